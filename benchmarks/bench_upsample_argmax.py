"""upsample_argmax against torch, ONNX Runtime, OpenVINO and a tuned OpenCV program.

python benchmarks/bench_upsample_argmax.py
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from onnx import helper
from shipped import shipped_scores

from fuseg.ops import UpsampleArgmax, upsample_argmax
from peers import FRAMEWORKS, OPENCV, onnx_model, runtimes, torch_ways
from record import Bar, Call, Row, compare, cores, report
from scenes import mixed, scene_scores

# Classes, grid, labels, regions of the scene; bars of a scene: against the fastest
# framework, against OpenCV; the same on AVX2. The first is judged with confidence too.
CASES = [
    ((19, (128, 256), (1024, 2048), 120), (150, 50), (120, 40)),
    ((40, (120, 160), (480, 640), 60), (100, 20), (75, 15)),
    ((19, (256, 512), (1024, 2048), 120), (45, 17), (40, 15)),
    ((150, (128, 128), (512, 512), 60), (60, 12), (45, 9)),
    ((12, (60, 80), (240, 320), 20), None, None),
    ((12, (60, 80), (480, 640), 20), None, None),
]
NOISE = (18, 4), (15, 3)
CONFIDENCE = [Bar(35, FRAMEWORKS, avx2=20)]
TWO_THREADS = [Bar(1.7, "fuseg", avx2=1.7)]


def bars(avx512: tuple[float, float] | None, avx2: tuple[float, float]) -> list[Bar]:
    if avx512 is None:
        return []
    peers = FRAMEWORKS, OPENCV
    return [Bar(a, p, avx2=b) for a, p, b in zip(avx512, peers, avx2, strict=True)]


def opencv_program(scores: np.ndarray, size: tuple[int, int]) -> Call:
    best, plane = np.empty(size, np.float32), np.empty(size, np.float32)
    wins, labels = np.empty(size, np.uint8), np.empty(size, np.uint8)

    def tuned() -> np.ndarray:
        labels[...] = 0
        cv2.resize(scores[0], size[::-1], dst=best)
        for c in range(1, len(scores)):
            cv2.resize(scores[c], size[::-1], dst=plane)
            cv2.compare(plane, best, cv2.CMP_GT, dst=wins)
            cv2.max(plane, best, dst=best)
            np.bitwise_and(wins, c, out=wins)
            cv2.max(labels, wins, dst=labels)
        return labels

    return tuned


def resize_argmax(
    scores: np.ndarray, size: tuple[int, int], *, confidence: bool
) -> dict[str, Call]:
    """The same graph for torch in its three ways and for the two runtimes."""

    def function(scores: torch.Tensor) -> tuple[torch.Tensor, ...]:
        dense = torch.nn.functional.interpolate(scores, size, mode="bilinear")
        if not confidence:
            return (dense.argmax(1),)
        return dense.argmax(1), dense.softmax(1).amax(1)

    ratios = [1.0, 1.0, size[0] / scores.shape[1], size[1] / scores.shape[2]]
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
    outputs: dict[str, type] = {"labels": np.int64}
    if confidence:
        nodes += [
            helper.make_node("Softmax", ["dense"], ["shares"], axis=1),
            helper.make_node("ReduceMax", ["shares"], ["sure"], axes=[1], keepdims=0),
        ]
        outputs["sure"] = np.float32
    feed = {"scores": scores[None]}
    constants = {"ratios": np.array(ratios, np.float32)}
    model = onnx_model(nodes, feed, outputs, constants)
    return torch_ways(function, torch.from_numpy(feed["scores"])) | runtimes(
        model, feed
    )


def bench(
    scores: np.ndarray, kind: str, size: tuple[int, int], bars: list[Bar], sure: bool
) -> list[Row]:
    labels, confidence = np.empty(size, np.uint8), np.empty(size, np.float32)
    peers = resize_argmax(scores, size, confidence=False)
    peers[OPENCV] = opencv_program(scores, size)
    # A float32 peer may differ where two scores are as good as equal.
    ours = upsample_argmax(scores, size=size)
    for name, call in peers.items():
        got = call()
        differing = np.mean(np.asarray(got if name == OPENCV else got[0]) != ours)
        assert differing < 1e-4, f"{name} differs at {differing:.1%} of the pixels"
    label = UpsampleArgmax(scores.shape, scores.dtype, size=size)
    halves = scores.astype(np.float16)
    label_halves = UpsampleArgmax(halves.shape, halves.dtype, size=size)
    calls = {
        "fuseg": lambda: label(scores, out=labels),
        **peers,
        "fuseg, float16 scores": lambda: label_halves(halves, out=labels),
    }
    grid = f"{scores.shape[1]}x{scores.shape[2]}"
    case = f"C{len(scores)} {grid} -> {size[0]}x{size[1]} {kind}"
    notes = f"{mixed(scores):.1%} of the cells are mixed"
    least = {"read": scores.nbytes, "written": labels.nbytes}
    rows = compare(case, calls, **least, bars=bars, notes=notes)
    if not sure:
        return rows

    peers = resize_argmax(scores, size, confidence=True)
    upsample_argmax(scores, size=size, confidence=confidence)
    for name, call in peers.items():
        off = np.abs(np.asarray(call()[1])[0] - confidence).max()
        assert off < 1e-4, f"{name}: confidence off by {off}"
    calls = {"fuseg": lambda: label(scores, out=labels, confidence=confidence), **peers}
    least["written"] += confidence.nbytes
    case += ", with confidence"
    return rows + compare(case, calls, **least, bars=CONFIDENCE, notes=notes)


def bench_threads(scores: np.ndarray, kind: str, size: tuple[int, int]) -> list[Row]:
    """Two threads beside one, where arithmetic is what takes the time."""
    if len(cores()) < 2:
        return []
    out = np.empty(size, np.uint8), np.empty(size, np.float32)
    one = UpsampleArgmax(scores.shape, scores.dtype, size=size)
    two = UpsampleArgmax(scores.shape, scores.dtype, size=size, threads=2)
    least = {"read": scores.nbytes, "written": out[0].nbytes, "cores": 2}
    calls = {
        "fuseg, 2 threads": lambda: two(scores, out=out[0]),
        "fuseg": lambda: one(scores, out=out[0]),
    }
    case = f"C{len(scores)} -> {size[0]}x{size[1]} {kind}, two threads"
    rows = compare(case, calls, **least, bars=TWO_THREADS)
    calls = {
        "fuseg, 2 threads": lambda: two(scores, out=out[0], confidence=out[1]),
        "fuseg": lambda: one(scores, out=out[0], confidence=out[1]),
    }
    least["written"] += out[1].nbytes
    case += ", with confidence"
    return rows + compare(case, calls, **least, bars=TWO_THREADS)


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for (classes, grid, size, sites), *least in CASES:
        scene = scene_scores(classes, grid, sites, rng)
        rows += bench(scene, "scene", size, bars(*least), sure=19 <= classes <= 40)
        noise = rng.standard_normal((classes, *grid), dtype=np.float32)
        rows += bench(noise, "noise", size, bars(*NOISE), sure=False)
        if size == (1024, 2048):
            rows += bench_threads(noise, "noise", size)
    for scores in shipped_scores()[:1]:
        for size in ((240, 320), (480, 640)):
            rows += bench(scores, "shipped checkpoint", size, [], sure=False)
    return rows


if __name__ == "__main__":
    report("upsample_argmax: float32 scores to uint8 labels", cases)
