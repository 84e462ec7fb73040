"""fuse_argmax against torch, ONNX Runtime, OpenVINO and a tuned OpenCV program.

python benchmarks/bench_fuse_argmax.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from onnx import helper

from fuseg.ops import FuseArgmax
from peers import FRAMEWORKS, OPENCV, onnx_model, runtimes, torch_ways
from record import Bar, Call, Row, compare, report
from scenes import DRIFT, MARGIN, NOISE, mixed, scene_labels

CLASSES = 19
SIZE = (1024, 2048)


@dataclass(frozen=True)
class FusionCase:
    """Two sensors over one scene, or over none."""

    name: str
    grids: tuple[tuple[int, int], ...]
    mode: str = "add"
    kind: str = "scene"
    holes: bool = False
    classes: int = CLASSES
    size: tuple[int, int] = SIZE
    results: Sequence[str] = ()
    bars: Sequence[Bar] = ()


SAME = ((128, 256), (128, 256))
OTHER = ((128, 256), (64, 128))
CASES = [
    FusionCase("add", SAME, bars=[Bar(100, FRAMEWORKS), Bar(30, OPENCV)]),
    FusionCase("add, noise", SAME, kind="noise"),
    FusionCase("add with confidence", SAME, results=("confidence",)),
    FusionCase("add with source", SAME, results=("source",)),
    FusionCase("add", OTHER),
    FusionCase("add, one map with holes", SAME, holes=True),
    FusionCase("multiply", SAME, "multiply"),
    FusionCase("multiply", OTHER, "multiply"),
    FusionCase("max", SAME, "max"),
    FusionCase("max", OTHER, "max"),
    FusionCase("add", ((60, 80), (60, 80)), classes=12, size=(480, 640)),
]


def scene(
    classes: int, grids: Sequence[tuple[int, int]], rng: np.random.Generator
) -> list[np.ndarray]:
    """What several sensors score of one scene, `scenes.scene_scores` of each."""
    height, width = (4 * max(sides) for sides in zip(*grids, strict=True))
    labels = scene_labels(classes, (height, width), 120, rng)
    maps = []
    for grid in grids:
        scores = np.empty((classes, *grid), np.float32)
        for c, plane in enumerate(scores):
            share = (labels == c).astype(np.float32)
            share = cv2.resize(share, grid[::-1], interpolation=cv2.INTER_AREA)
            plane[...] = MARGIN * cv2.GaussianBlur(share, (0, 0), 0.8)
            drift = cv2.GaussianBlur(rng.standard_normal(grid, np.float32), (0, 0), 4)
            plane += DRIFT * drift / drift.std()
            plane += NOISE * rng.standard_normal(grid, np.float32)
        maps.append(scores)
    return maps


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


def frameworks(
    maps: list[np.ndarray], size: tuple[int, int], mode: str
) -> dict[str, Call]:
    """The runtimes and torch: labels first in a list, (1, H, W)."""

    def fuse(a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
        dense = [
            torch.nn.functional.interpolate(t, size, mode="bilinear") for t in (a, b)
        ]
        return [TORCH[mode](*dense).argmax(1)]

    nodes, ratios = [], {}
    for i, scores in enumerate(maps):
        sides = np.divide(size, scores.shape[1:])
        ratios[f"ratios{i}"] = np.array([1, 1, *sides], np.float32)
        names = [f"scores{i}", "", f"ratios{i}"]
        options = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        nodes.append(helper.make_node("Resize", names, [f"dense{i}"], **options))
    nodes += [
        helper.make_node(ONNX[mode], ["dense0", "dense1"], ["fused"]),
        helper.make_node("ArgMax", ["fused"], ["labels"], axis=1, keepdims=0),
    ]
    feed = {f"scores{i}": scores[None] for i, scores in enumerate(maps)}
    model = onnx_model(nodes, feed, {"labels": np.int64}, ratios)
    images = [torch.from_numpy(scores)[None] for scores in maps]
    return {**runtimes(model, feed), **torch_ways(fuse, *images)}


def opencv_program(maps: list[np.ndarray], size: tuple[int, int], mode: str) -> Call:
    best, plane, other = (np.empty(size, np.float32) for _ in range(3))
    wins, labels = np.empty(size, np.uint8), np.empty(size, np.uint8)
    numbers = [np.full(size, c, np.uint8) for c in range(len(maps[0]))]
    one_grid = mode == "add" and maps[0].shape == maps[1].shape
    small = np.empty_like(maps[0][0])

    def fused(c: int, dst: np.ndarray) -> None:
        if one_grid:  # sums may be taken before they are resized
            cv2.add(maps[0][c], maps[1][c], dst=small)
            cv2.resize(small, size[::-1], dst=dst)
            return
        cv2.resize(maps[0][c], size[::-1], dst=dst)
        cv2.resize(maps[1][c], size[::-1], dst=other)
        CV2[mode](dst, other, dst=dst)

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


def bench(case: FusionCase, rng: np.random.Generator) -> list[Row]:
    maps = scene(case.classes, case.grids, rng)
    if case.kind == "noise":
        maps = [rng.standard_normal(m.shape, dtype=np.float32) for m in maps]
    share = " / ".join(f"{mixed(scores):.0%}" for scores in maps)
    if case.mode == "multiply":
        maps = [probabilities(scores) for scores in maps]
    label = FuseArgmax(case.classes, case.grids, size=case.size, mode=case.mode)
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
        "fuseg": lambda: label(maps, valid=valid, out=out, **results),
    }
    if not case.holes:
        peers = frameworks(maps, case.size, case.mode)
        peers[OPENCV] = opencv_program(maps, case.size, case.mode)
        # A float32 peer may differ where two scores are as good as equal.
        ours = label(maps)
        for name, call in peers.items():
            got = call()
            differing = np.mean(np.asarray(got if name == OPENCV else got[0]) != ours)
            assert differing < 1e-4, f"{name} differs at {differing:.2%} of the pixels"
        calls |= peers
    grids = " + ".join(f"{h}x{w}" for h, w in case.grids)
    name = f"C{case.classes} {grids} -> {case.size[0]}x{case.size[1]} {case.name}"
    notes = f"{share} of the cells are mixed"
    read = sum(scores.nbytes for scores in maps)
    written = out.nbytes + sum(result.nbytes for result in results.values())
    return compare(name, calls, read=read, written=written, bars=case.bars, notes=notes)


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    return [row for case in CASES for row in bench(case, rng)]


if __name__ == "__main__":
    report("fuse_argmax: float32 scores of two maps to uint8 labels", cases)
