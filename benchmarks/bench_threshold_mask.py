"""threshold_mask against NumPy and OpenCV.

python benchmarks/bench_threshold_mask.py
"""

from __future__ import annotations

import cv2
import numpy as np

from fuseg.ops import ThresholdMask
from record import Row, compare, report

SIZES = [(480, 640), (1024, 2048)]


def bench(size: tuple[int, int]) -> list[Row]:
    confidence = np.random.default_rng(0).random(size, dtype=np.float32)
    out = np.empty(size, np.uint8)
    mask = ThresholdMask(size, threshold=0.5)
    calls = {
        "fuseg.ops.threshold_mask": lambda: mask(confidence, out=out),
        "NumPy": lambda: (confidence >= 0.5).view(np.uint8),
        "numpy, out": lambda: np.greater_equal(confidence, 0.5, out=out.view(bool)),
        "cv2.compare": lambda: cv2.compare(confidence, 0.5, cv2.CMP_GE),
    }
    wanted = calls["NumPy"]() != 0
    for call in calls.values():
        assert np.array_equal(np.asarray(call()) != 0, wanted)
    case = f"{size[0]}x{size[1]}"
    return compare(case, calls, read=confidence.nbytes, written=out.nbytes)


def cases() -> list[Row]:
    return [row for size in SIZES for row in bench(size)]


if __name__ == "__main__":
    report("threshold_mask: confidence to a mask of what is certain", cases)
