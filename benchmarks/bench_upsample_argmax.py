"""upsample_argmax against ONNX Runtime, torch and a tuned OpenCV program.

python benchmarks/bench_upsample_argmax.py
python benchmarks/bench_upsample_argmax.py --save upsample_argmax.json
"""

from __future__ import annotations

import cv2
import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper

from fuseg.ops import upsample_argmax
from record import Call, Row, compare, report

# Classes, grid, labels. Each with scores like a network's, and with noise: the worst.
CASES = [
    (12, (60, 80), (240, 320)),
    (12, (60, 80), (480, 640)),
    (40, (120, 160), (480, 640)),
    (19, (128, 256), (512, 1024)),
]


def scene(classes: int, grid: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Scores of a street of patches with soft borders, (C, h, w) float32."""
    height, width = (4 * n for n in grid)
    seeds = 40
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    for axis in (ys, xs):
        bend = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 12)
        axis += bend / bend.std() * width / 60
    points = rng.uniform(0, 1, (seeds, 2)) * (height, width)
    distance = [(ys - y) ** 2 * 1.5 + (xs - x) ** 2 for y, x in points]
    labels = rng.integers(0, classes, seeds)[np.argmin(distance, axis=0)]
    scores = []
    for c in range(classes):
        share = cv2.resize(
            (labels == c).astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA
        )
        drift = cv2.GaussianBlur(rng.standard_normal(grid), (0, 0), 4)
        scores.append(12 * cv2.GaussianBlur(share, (0, 0), 0.8))
        scores[-1] += 1.5 * drift / drift.std() + 0.3 * rng.standard_normal(grid)
    return np.array(scores, np.float32)


def disputed(scores: np.ndarray) -> float:
    """Share of the cells whose four corners do not agree."""
    winners = scores.argmax(0)
    first = winners[:-1, :-1]
    others = winners[1:, :-1], winners[:-1, 1:], winners[1:, 1:]
    return float(
        np.mean([(other != first) for other in others], axis=0).astype(bool).mean()
    )


def onnx_session(
    shape: tuple[int, ...], size: tuple[int, int], confidence: bool
) -> onnxruntime.InferenceSession:
    ratios = [1.0, 1.0, size[0] / shape[1], size[1] / shape[2]]
    nodes = [
        helper.make_node(
            "Resize",
            ["scores", "", "ratios"],
            ["dense"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        ),
        helper.make_node("ArgMax", ["dense"], ["labels"], axis=1, keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("labels", TensorProto.INT64, None)]
    if confidence:
        nodes += [
            helper.make_node("Softmax", ["dense"], ["shares"], axis=1),
            helper.make_node("ReduceMax", ["shares"], ["sure"], axes=[1], keepdims=0),
        ]
        outputs += [helper.make_tensor_value_info("sure", TensorProto.FLOAT, None)]
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, (1, *shape))
    graph = helper.make_graph(
        nodes,
        "resize_argmax",
        [given],
        outputs,
        [helper.make_tensor("ratios", TensorProto.FLOAT, [4], ratios)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def opencv_program(scores: np.ndarray, size: tuple[int, int]) -> Call:
    best, plane = np.empty(size, np.float32), np.empty(size, np.float32)
    wins, labels = np.empty(size, np.uint8), np.empty(size, np.uint8)

    def tuned() -> np.ndarray:
        labels[...] = 0
        cv2.resize(scores[0], size[::-1], dst=best)
        for c in range(1, len(scores)):
            cv2.resize(scores[c], size[::-1], dst=plane)
            cv2.compare(plane, best, cv2.CMP_GT, dst=wins)
            labels[wins.view(bool)] = c
            cv2.max(plane, best, dst=best)
        return labels

    return tuned


def bench(scores: np.ndarray, kind: str, size: tuple[int, int]) -> list[Row]:
    out, sure = np.empty(size, np.uint8), np.empty(size, np.float32)
    tensor, given = torch.from_numpy(scores)[None], {"scores": scores[None]}
    session = onnx_session(scores.shape, size, confidence=False)
    sure_session = onnx_session(scores.shape, size, confidence=True)

    def dense() -> torch.Tensor:
        return torch.nn.functional.interpolate(tensor, size, mode="bilinear")[0]

    calls: dict[str, Call] = {
        "fuseg.ops.upsample_argmax": lambda: upsample_argmax(
            scores, size=size, out=out
        ),
        "ONNX Runtime Resize, ArgMax": lambda: session.run(None, given)[0][0],
        "torch interpolate, argmax": lambda: dense().argmax(0).numpy(),
        "cv2 resize, compare, max (tuned)": opencv_program(scores, size),
    }
    # A float32 peer may differ where two scores are as good as equal.
    ours = upsample_argmax(scores, size=size)
    for name, call in calls.items():
        differing = np.mean(np.asarray(call()) != ours)
        assert differing < 1e-4, f"{name} differs at {differing:.1%} of the pixels"

    upsample_argmax(scores, size=size, confidence=sure)
    assert np.abs(sure_session.run(None, given)[1][0] - sure).max() < 1e-4
    calls["ours, with confidence"] = lambda: upsample_argmax(
        scores, size=size, out=out, confidence=sure
    )
    calls["ONNX Runtime, with confidence"] = lambda: sure_session.run(None, given)
    grid = f"{scores.shape[1]}x{scores.shape[2]}"
    case = (
        f"C={len(scores)} {grid} -> {size[0]}x{size[1]} {kind}, "
        f"{disputed(scores):.0%} of the cells disputed"
    )
    return compare(case, calls, scores.nbytes + out.nbytes)


def cases() -> list[Row]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    rows = []
    for classes, grid, size in CASES:
        rows += bench(scene(classes, grid, rng), "scene", size)
        noise = rng.standard_normal((classes, *grid), dtype=np.float32)
        rows += bench(noise, "noise", size)
    return rows


if __name__ == "__main__":
    report("upsample_argmax: float32 scores to uint8 labels", cases)
