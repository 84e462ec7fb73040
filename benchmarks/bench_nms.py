"""nms against ONNX Runtime's operator, OpenCV, torchvision and NumPy.

python benchmarks/bench_nms.py
"""

from __future__ import annotations

import importlib.util

import cv2
import numpy as np
import torch
from onnx import helper

from fuseg.ops import Nms
from peers import ONNXRUNTIME, OPENVINO, onnx_model, runtimes
from record import Bar, Call, Row, compare, report

IOU = 0.45
OPENCV, NUMPY = "cv2.dnn.NMSBoxesBatched", "numpy, class by class"
TORCHVISION = "torchvision.ops.batched_nms"
CASES = {  # candidates, classes, objects, the most that may stay
    "1000 of 80 classes": (1000, 80, 40, 300),
    "1000 of 1 class": (1000, 1, 40, 300),
    "8400 of 80 classes, 300 stay": (8400, 80, 4000, 300),
}
PEERS = (ONNXRUNTIME, OPENVINO, OPENCV, TORCHVISION)
BARS = {
    "1000 of 80 classes": [Bar(4, PEERS, avx2=3)],
    "1000 of 1 class": [Bar(4, PEERS, avx2=3)],
    "8400 of 80 classes, 300 stay": [Bar(20, PEERS, avx2=15)],
}


def scene(
    count: int, kinds: int, objects: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Candidates around objects of 20 to 170 pixels: boxes, scores and classes."""
    of = rng.integers(0, objects, count)
    centres = (rng.random((objects, 2)) * 560 + 40)[of] + rng.normal(0, 6, (count, 2))
    sides = (rng.random((objects, 2)) * 150 + 20)[of]
    sides *= np.exp(rng.normal(0, 0.15, (count, 2)))
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], 1)
    scores = rng.uniform(0.25, 1, count)
    classes = rng.integers(0, kinds, objects)[of]
    return boxes.astype("f4"), scores.astype("f4"), classes.astype("i4")


def by_numpy(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """As most programs have it: the best against all that are left, in turns."""
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for k in np.unique(classes):
        left = np.flatnonzero(classes == k)
        left = left[np.argsort(-scores[left], kind="stable")]
        while left.size:
            best, left = left[0], left[1:]
            kept.append(best)
            sides = np.minimum(boxes[best, 2:], boxes[left, 2:])
            sides -= np.maximum(boxes[best, :2], boxes[left, :2])
            shared = np.maximum(sides, 0).prod(1)
            left = left[shared / (areas[best] + areas[left] - shared) <= IOU]
    found = np.array(kept)
    return found[np.argsort(-scores[found], kind="stable")]


def bench(
    case: str, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, most: int
) -> list[Row]:
    """Peers are given what they ask for, and only their own call is timed. None has a
    limit for all classes together: they find more than ``most`` where there are."""
    count = len(scores)
    suppress = Nms(iou_threshold=IOU, max_candidates=count, max_boxes=most)
    out = np.empty(most, np.int32)
    corner_and_sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1)
    dense = np.zeros((1, int(classes.max()) + 1, count), np.float32)
    dense[0, classes, np.arange(count)] = scores
    feed = {
        "boxes": boxes[None],
        "scores": dense,
        "most": np.array([most]),
        "iou": np.array([IOU], np.float32),
        "least": np.zeros(1, np.float32),
    }
    node = helper.make_node("NonMaxSuppression", [*feed], ["kept"])
    model = onnx_model([node], feed, {"kept": np.int64})

    def opencv() -> np.ndarray:
        return cv2.dnn.NMSBoxesBatched(corner_and_sides, scores, classes, 0.0, IOU)

    calls: dict[str, Call] = {
        "fuseg.ops.nms": lambda: suppress(boxes, scores, classes, out=out),
        OPENCV: opencv,
        NUMPY: lambda: by_numpy(boxes, scores, classes),
    }
    for name, run in runtimes(model, feed).items():
        calls[name] = lambda run=run: run()[0][:, 2]
    if importlib.util.find_spec("torchvision"):
        import torchvision

        given = [torch.from_numpy(a) for a in (boxes, scores, classes.astype(np.int64))]
        calls[TORCHVISION] = lambda: torchvision.ops.batched_nms(*given, IOU).numpy()
    wanted = by_numpy(boxes, scores, classes)[:most].tolist()
    for name, call in calls.items():
        found = np.asarray(call())
        assert sorted(found, key=lambda n: (-scores[n], n))[:most] == wanted, name
    return compare(
        case,
        calls,
        read=boxes.nbytes + scores.nbytes + classes.nbytes,
        written=out.nbytes,
        bars=BARS.get(case, ()),
        notes=f"{len(wanted)} stay",
    )


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for case, (count, kinds, objects, most) in CASES.items():
        rows += bench(case, *scene(count, kinds, objects, rng), most)
    return rows


if __name__ == "__main__":
    report("nms: boxes around objects, overlap up to 0.45", cases)
