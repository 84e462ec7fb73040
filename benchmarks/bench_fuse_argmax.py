"""fuse_argmax against torch, ONNX Runtime and a tuned OpenCV program.

python benchmarks/bench_fuse_argmax.py
python benchmarks/bench_fuse_argmax.py --save fuse_argmax.json
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper

from fuseg.ops import FusedLabeler
from record import Call, Row, compare, report

CLASSES = 19
SIZE = (1024, 2048)


@dataclass(frozen=True)
class Case:
    """Two sensors over one scene, or over none."""

    name: str
    grids: tuple[tuple[int, int], ...]
    how: str = "add"
    kind: str = "scene"
    holes: bool = False
    classes: int = CLASSES
    size: tuple[int, int] = SIZE
    results: Sequence[str] = field(default=())


SAME = ((128, 256), (128, 256))
OTHER = ((128, 256), (64, 128))
CASES = [
    Case("add", SAME),
    Case("add, noise", SAME, kind="noise"),
    Case("add with confidence", SAME, results=("confidence",)),
    Case("add with source", SAME, results=("source",)),
    Case("add", OTHER),
    Case("add, one map with holes", SAME, holes=True),
    Case("multiply", SAME, "multiply"),
    Case("multiply", OTHER, "multiply"),
    Case("max", SAME, "max"),
    Case("max", OTHER, "max"),
    Case("add", ((60, 80), (60, 80)), classes=12, size=(480, 640)),
]


def scene(
    classes: int, grids: Sequence[tuple[int, int]], rng: np.random.Generator
) -> list[np.ndarray]:
    """What several sensors score of one street of patches with soft borders."""
    height, width = (4 * max(sides) for sides in zip(*grids, strict=True))
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    for axis in (ys, xs):
        bend = cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), 12)
        axis += bend / bend.std() * width / 60
    points = rng.uniform(0, 1, (40, 2)) * (height, width)
    distance = [(ys - y) ** 2 * 1.5 + (xs - x) ** 2 for y, x in points]
    labels = rng.integers(0, classes, 40)[np.argmin(distance, axis=0)]
    maps = []
    for grid in grids:
        scores = []
        for c in range(classes):
            share = cv2.resize(
                (labels == c).astype(np.float32),
                grid[::-1],
                interpolation=cv2.INTER_AREA,
            )
            drift = cv2.GaussianBlur(rng.standard_normal(grid), (0, 0), 4)
            scores.append(12 * cv2.GaussianBlur(share, (0, 0), 0.8))
            scores[-1] += 1.5 * drift / drift.std() + 0.3 * rng.standard_normal(grid)
        maps.append(np.array(scores, np.float32))
    return maps


def disputed(scores: np.ndarray) -> float:
    """Share of the cells whose four corners do not agree."""
    winners = scores.argmax(0)
    first = winners[:-1, :-1]
    others = winners[1:, :-1], winners[:-1, 1:], winners[1:, 1:]
    return float(
        np.mean([(other != first) for other in others], axis=0).astype(bool).mean()
    )


def probabilities(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max(0))
    return (shares / shares.sum(0)).astype(np.float32)


TORCH = {
    "add": lambda a, b: a + b,
    "multiply": lambda a, b: a * b,
    "max": torch.maximum,
}
ONNX = {"add": "Add", "multiply": "Mul", "max": "Max"}
CV2 = {"add": cv2.add, "multiply": cv2.multiply, "max": cv2.max}


def torch_program(
    maps: list[np.ndarray], size: tuple[int, int], how: str
) -> dict[str, Call]:
    def fuse(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        dense = [
            torch.nn.functional.interpolate(t, size, mode="bilinear") for t in (a, b)
        ]
        return TORCH[how](*dense).argmax(1)[0]

    given = [torch.from_numpy(scores)[None] for scores in maps]
    last = [t.contiguous(memory_format=torch.channels_last) for t in given]
    compiled = torch.compile(fuse, dynamic=False)
    return {
        "torch interpolate, fuse, argmax": lambda: fuse(*given).numpy(),
        "torch, channels last": lambda: fuse(*last).numpy(),
        "torch.compile": lambda: compiled(*given).numpy(),
    }


def onnx_program(maps: list[np.ndarray], size: tuple[int, int], how: str) -> Call:
    nodes, inputs, constants = [], [], []
    for i, scores in enumerate(maps):
        _, height, width = scores.shape
        ratios = [1.0, 1.0, size[0] / height, size[1] / width]
        constants.append(
            helper.make_tensor(f"ratios{i}", TensorProto.FLOAT, [4], ratios)
        )
        inputs.append(
            helper.make_tensor_value_info(
                f"scores{i}", TensorProto.FLOAT, (1, *scores.shape)
            )
        )
        nodes.append(
            helper.make_node(
                "Resize",
                [f"scores{i}", "", f"ratios{i}"],
                [f"dense{i}"],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            )
        )
    nodes += [
        helper.make_node(ONNX[how], ["dense0", "dense1"], ["fused"]),
        helper.make_node("ArgMax", ["fused"], ["labels"], axis=1, keepdims=0),
    ]
    outputs = [helper.make_tensor_value_info("labels", TensorProto.INT64, None)]
    graph = helper.make_graph(nodes, "fuse", inputs, outputs, constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    given = {f"scores{i}": scores[None] for i, scores in enumerate(maps)}
    return lambda: session.run(None, given)[0][0]


def opencv_program(maps: list[np.ndarray], size: tuple[int, int], how: str) -> Call:
    best, plane, other = (np.empty(size, np.float32) for _ in range(3))
    wins, labels = np.empty(size, np.uint8), np.empty(size, np.uint8)
    numbers = [np.full(size, c, np.uint8) for c in range(len(maps[0]))]
    one_grid = how == "add" and maps[0].shape == maps[1].shape
    small = np.empty_like(maps[0][0])

    def fused(c: int, dst: np.ndarray) -> None:
        if one_grid:  # sums may be taken before they are resized
            cv2.add(maps[0][c], maps[1][c], dst=small)
            cv2.resize(small, size[::-1], dst=dst)
            return
        cv2.resize(maps[0][c], size[::-1], dst=dst)
        cv2.resize(maps[1][c], size[::-1], dst=other)
        CV2[how](dst, other, dst=dst)

    def tuned() -> np.ndarray:
        labels[...] = 0
        fused(0, best)
        for c in range(1, len(maps[0])):
            fused(c, plane)
            cv2.compare(plane, best, cv2.CMP_GT, dst=wins)
            cv2.copyTo(numbers[c], wins, labels)
            cv2.max(plane, best, dst=best)
        return labels

    return tuned


def bench(case: Case, rng: np.random.Generator) -> list[Row]:
    maps = scene(case.classes, case.grids, rng)
    if case.kind == "noise":
        maps = [rng.standard_normal(m.shape, dtype=np.float32) for m in maps]
    share = " / ".join(f"{disputed(scores):.0%}" for scores in maps)
    if case.how == "multiply":
        maps = [probabilities(scores) for scores in maps]
    label = FusedLabeler(case.classes, case.grids, size=case.size, how=case.how)
    out = np.empty(case.size, np.uint8)
    results = {}
    if "confidence" in case.results:
        results["confidence"] = np.empty(case.size, np.float32)
    if "source" in case.results:
        results["source"] = np.empty(case.size, np.uint8)
    valid = None
    if case.holes:
        rough = cv2.GaussianBlur(rng.standard_normal(case.grids[1]), (0, 0), 6)
        valid = [None, (rough > np.quantile(rough, 0.15)).astype(np.uint8)]

    calls: dict[str, Call] = {
        "fuseg.ops.FusedLabeler": lambda: label(maps, valid=valid, out=out, **results),
    }
    if not case.holes:
        calls |= torch_program(maps, case.size, case.how)
        calls["ONNX Runtime Resize, fuse, ArgMax"] = onnx_program(
            maps, case.size, case.how
        )
        calls["cv2 resize, fuse, compare, max"] = opencv_program(
            maps, case.size, case.how
        )
        # A float32 peer may differ where two scores are as good as equal.
        ours = label(maps)
        for name, call in calls.items():
            differing = np.mean(np.asarray(call()) != ours)
            assert differing < 1e-4, f"{name} differs at {differing:.2%} of the pixels"
    grids = " + ".join(f"{h}x{w}" for h, w in case.grids)
    name = (
        f"{case.name}: C={case.classes} {grids} -> {case.size[0]}x{case.size[1]}, "
        f"{share} of the cells disputed"
    )
    moved = sum(m.nbytes for m in maps) + out.nbytes
    return compare(name, calls, moved + sum(r.nbytes for r in results.values()))


def cases() -> list[Row]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    return [row for case in CASES for row in bench(case, rng)]


if __name__ == "__main__":
    report("fuse_argmax: float32 scores of two maps to uint8 labels", cases)
