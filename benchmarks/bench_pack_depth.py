"""pack_depth against the usual OpenCV and NumPy recipe, and a tuned one.

python benchmarks/bench_pack_depth.py
"""

from __future__ import annotations

import cv2
import numpy as np

from fuseg.ops import pack_depth
from record import Bar, Row, compare, report

CASES = [
    (np.uint16, (480, 640), (240, 320)),
    (np.uint16, (480, 640), (480, 640)),
    (np.uint16, (720, 1280), (480, 640)),
    (np.uint16, (480, 848), (480, 640)),
    (np.uint16, (1080, 1920), (480, 640)),
    (np.float32, (480, 640), (240, 320)),
    (np.float32, (1080, 1920), (480, 640)),
    (np.uint8, (480, 640), (240, 320)),
]
TUNED = "cv2.resize, NumPy (tuned)"
BARS = {(np.uint16, (1080, 1920), (480, 640)): [Bar(4, TUNED, avx2=2)]}
SCALE, MEAN, STD = 0.001, 2.0, 1.5


def bench(
    dtype: type, shape: tuple[int, int], size: tuple[int, int], rng: np.random.Generator
) -> list[Row]:
    frame = rng.integers(1, 200, shape).astype(dtype)
    frame[rng.random(shape) < 0.1] = 0
    if dtype is np.float32:
        frame[rng.random(shape) < 0.05] = np.nan
    out = np.empty(size, np.float32)
    nearest = cv2.INTER_NEAREST

    def ours() -> tuple[np.ndarray, int]:
        return pack_depth(frame, size=size, scale=SCALE, mean=MEAN, std=STD, out=out)

    def recipe() -> tuple[np.ndarray, int]:
        small = cv2.resize(frame, size[::-1], interpolation=nearest)
        valid = small != 0
        if dtype is np.float32:
            valid &= np.isfinite(small)
        values = (small.astype(np.float32) * np.float32(SCALE) - np.float32(MEAN)) / STD
        values[~valid] = 0
        return values, int(valid.sum())

    small = np.empty(size, dtype)
    valid, finite = np.empty(size, bool), np.empty(size, bool)
    tuned_out = np.empty(size, np.float32)

    def tuned() -> tuple[np.ndarray, int]:
        cv2.resize(frame, size[::-1], dst=small, interpolation=nearest)
        np.not_equal(small, 0, out=valid)
        if dtype is np.float32:
            np.isfinite(small, out=finite)
            np.logical_and(valid, finite, out=valid)
        np.multiply(small, np.float32(SCALE / STD), out=tuned_out, dtype=np.float32)
        np.subtract(tuned_out, np.float32(MEAN / STD), out=tuned_out)
        np.copyto(tuned_out, np.float32(0), where=~valid)
        return tuned_out, np.count_nonzero(valid)

    for peer in (recipe, tuned):
        (wanted, readings), (got, count) = peer(), ours()
        np.testing.assert_allclose(got, wanted, atol=1e-5)
        assert count == readings

    case = f"{np.dtype(dtype)} {shape[0]}x{shape[1]} -> {size[0]}x{size[1]}"
    calls = {
        "fuseg.ops.pack_depth": ours,
        "cv2.resize, NumPy (usual)": recipe,
        TUNED: tuned,
        "cv2.resize alone, raw values out": lambda: cv2.resize(
            frame, size[::-1], dst=small, interpolation=nearest
        ),
    }
    return compare(
        case,
        calls,
        read=min(shape[0], size[0]) * shape[1] * frame.itemsize,
        written=out.nbytes,
        bars=BARS.get((dtype, shape, size), ()),
        seconds=2.0,
    )


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    return [row for case in CASES for row in bench(*case, rng)]


if __name__ == "__main__":
    report("pack_depth: raw readings to a float32 plane, nearest", cases)
