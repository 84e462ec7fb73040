"""confusion_matrix against NumPy, OpenCV and torch.

python benchmarks/bench_confusion_matrix.py
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fuseg.ops import ConfusionMatrix
from record import Bar, Row, compare, report
from scenes import scene_labels

CLASSES, IGNORE = 19, 255
SIZES = [(480, 640), (1024, 2048)]
OPENCV, BINCOUNT = "cv2.calcHist", "numpy.bincount"
BARS = {
    "scene": [Bar(4.5, OPENCV, avx2=4.5), Bar(12, BINCOUNT, avx2=12)],
    "noise": [Bar(1.2, OPENCV, avx2=1.2), Bar(4, BINCOUNT, avx2=4)],
}


def scene(
    size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Truth, some blocks of it unknown, and a prediction: a few pixels beside, and
    wrong in 5 % of the blocks."""
    truth = scene_labels(CLASSES, size, 120, rng)
    prediction = np.roll(truth, (2, 3), (0, 1))
    wrong = blocks(size, 32, 0.05, rng)
    prediction[wrong] = (prediction[wrong] + 5) % CLASSES
    truth[blocks(size, 64, 0.03, rng)] = IGNORE
    return truth, prediction


def blocks(
    size: tuple[int, int], side: int, share: float, rng: np.random.Generator
) -> np.ndarray:
    height, width = size
    coarse = rng.random((-(-height // side), -(-width // side))) < share
    return coarse.repeat(side, 0).repeat(side, 1)[:height, :width]


def bench(kind: str, truth: np.ndarray, prediction: np.ndarray) -> list[Row]:
    count = ConfusionMatrix(np.uint8, classes=CLASSES, ignore=IGNORE)
    wide = ConfusionMatrix(np.uint16, classes=CLASSES, ignore=IGNORE)
    wide_truth, wide_prediction = truth.astype(np.uint16), prediction.astype(np.uint16)
    torch_truth, torch_prediction = map(torch.from_numpy, (truth, prediction))

    def opencv() -> np.ndarray:
        sides, sizes = [0, CLASSES, 0, CLASSES], [CLASSES, CLASSES]
        return cv2.calcHist([truth, prediction], [0, 1], None, sizes, sides)

    def bincount() -> np.ndarray:
        pairs = truth.astype(np.int64) * 256 + prediction
        counts = np.bincount(pairs.ravel(), minlength=65536).reshape(256, 256)
        return counts[:CLASSES, :CLASSES]

    def masked() -> np.ndarray:
        known = truth != IGNORE
        pairs = truth[known].astype(np.int64) * CLASSES + prediction[known]
        counts = np.bincount(pairs, minlength=CLASSES**2)
        return counts.reshape(CLASSES, CLASSES)

    def with_torch() -> torch.Tensor:
        known = torch_truth != IGNORE
        pairs = torch_truth[known].long() * CLASSES + torch_prediction[known]
        counts = torch.bincount(pairs, minlength=CLASSES**2)
        return counts.reshape(CLASSES, CLASSES)

    calls = {
        "fuseg.ops.confusion_matrix": lambda: count(truth, prediction),
        "ours, uint16": lambda: wide(wide_truth, wide_prediction),
        OPENCV: opencv,
        BINCOUNT: bincount,
        "numpy.bincount (masked)": masked,
        "torch.bincount (masked)": with_torch,
    }
    wanted = masked()
    for name, call in calls.items():
        assert np.array_equal(np.asarray(call()), wanted), name
    height, width = truth.shape
    return compare(
        f"{height}x{width} {kind}",
        calls,
        read=truth.nbytes + prediction.nbytes,
        written=wanted.nbytes,
        bars=BARS[kind] if height >= 1024 else (),
        notes=f"a new pair of labels every {run_length(truth, prediction):.1f} pixels",
    )


def run_length(truth: np.ndarray, prediction: np.ndarray) -> float:
    pairs = truth.ravel().astype(int) * 256 + prediction.ravel()
    return pairs.size / (1 + np.count_nonzero(np.diff(pairs)))


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    rows = []
    for size in SIZES:
        rows += bench("scene", *scene(size, rng))
        rows += bench("noise", *rng.integers(0, CLASSES, (2, *size), dtype=np.uint8))
    return rows


if __name__ == "__main__":
    report(f"confusion_matrix: {CLASSES} classes, uint8", cases)
