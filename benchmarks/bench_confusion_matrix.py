"""confusion_matrix against NumPy, OpenCV and torch.

python benchmarks/bench_confusion_matrix.py
python benchmarks/bench_confusion_matrix.py --save confusion_matrix.json
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fuseg.ops import ConfusionCounter
from record import Row, compare, report

CLASSES, IGNORE = 19, 255


def blocks(
    height: int, width: int, side: int, share: float, rng: np.random.Generator
) -> np.ndarray:
    coarse = rng.random((-(-height // side), -(-width // side))) < share
    return coarse.repeat(side, 0).repeat(side, 1)[:height, :width]


def scene(
    height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Regions with curved borders, thin objects, some pixels without truth; predicted
    a few pixels beside, with another class in 5 % of the blocks."""
    sites = rng.uniform(0, 1, (120, 2)) * (height, width)
    classes = rng.integers(0, CLASSES, 120).astype(np.uint8)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for axis in (y, x):
        bend = cv2.GaussianBlur(
            rng.standard_normal((height, width)), (0, 0), width / 60
        )
        axis += bend / bend.std() * width / 60
    nearest = np.full((height, width), np.inf, np.float32)
    truth = np.zeros((height, width), np.uint8)
    for (top, left), label in zip(sites, classes, strict=True):
        distance = (y - top) ** 2 * 1.5 + (x - left) ** 2
        truth[distance < nearest] = label
        nearest = np.minimum(nearest, distance)
    for _ in range(40):
        top, left = rng.integers(0, height), rng.integers(0, width)
        tall, wide = (
            rng.integers(height // 30, height // 5),
            rng.integers(2, width // 60),
        )
        truth[top : top + tall, left : left + wide] = rng.integers(0, CLASSES)
    prediction = np.roll(truth, (2, 3), (0, 1))
    wrong = blocks(height, width, 32, 0.05, rng)
    prediction[wrong] = (prediction[wrong] + 5) % CLASSES
    truth[blocks(height, width, 64, 0.03, rng)] = IGNORE
    return truth, prediction


def bench(case: str, truth: np.ndarray, prediction: np.ndarray) -> list[Row]:
    count = ConfusionCounter(truth.dtype, classes=CLASSES, ignore=IGNORE)
    out = np.zeros((CLASSES, CLASSES), np.int64)
    wide = ConfusionCounter(np.uint16, classes=CLASSES, ignore=IGNORE)
    wide_truth, wide_prediction = (a.astype(np.uint16) for a in (truth, prediction))

    def ours() -> np.ndarray:
        out[...] = 0
        count(truth, prediction, out)
        return out

    def ours_uint16() -> np.ndarray:
        out[...] = 0
        wide(wide_truth, wide_prediction, out)
        return out

    def opencv() -> np.ndarray:
        sides, sizes = [0, CLASSES, 0, CLASSES], [CLASSES, CLASSES]
        return cv2.calcHist([truth, prediction], [0, 1], None, sizes, sides)

    def numpy() -> np.ndarray:
        pairs = truth.astype(np.int64) * 256 + prediction
        counts = np.bincount(pairs.ravel(), minlength=65536).reshape(256, 256)
        return counts[:CLASSES, :CLASSES]

    def masked() -> np.ndarray:
        known = truth != IGNORE
        pairs = truth[known].astype(np.int64) * CLASSES + prediction[known]
        counts = np.bincount(pairs, minlength=CLASSES**2)
        return counts.reshape(CLASSES, CLASSES)

    torch_truth, torch_prediction = (
        torch.from_numpy(truth),
        torch.from_numpy(prediction),
    )

    def with_torch() -> torch.Tensor:
        known = torch_truth != IGNORE
        pairs = torch_truth[known].long() * CLASSES + torch_prediction[known]
        counts = torch.bincount(pairs, minlength=CLASSES**2)
        return counts.reshape(CLASSES, CLASSES)

    calls = {
        "fuseg.ops.confusion_matrix": ours,
        "ours, uint16": ours_uint16,
        "cv2.calcHist": opencv,
        "numpy.bincount": numpy,
        "numpy.bincount (masked)": masked,
        "torch.bincount (masked)": with_torch,
    }
    wanted = masked().copy()
    for name, call in calls.items():
        assert np.array_equal(np.asarray(call()), wanted), name
    return compare(case, calls, truth.nbytes + prediction.nbytes)


def cases() -> list[Row]:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    rows = []
    for height, width in [(480, 640), (1024, 2048)]:
        rows += bench(f"{height}x{width} scene", *scene(height, width, rng))
        noise = rng.integers(0, CLASSES, (2, height, width)).astype(np.uint8)
        rows += bench(f"{height}x{width} noise", *noise)
    return rows


if __name__ == "__main__":
    report(f"confusion_matrix: {CLASSES} classes, uint8, added to int64", cases)
