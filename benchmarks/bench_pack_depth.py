"""PackDepth against the usual OpenCV and NumPy recipe, and a tuned one.

Bilinear, they blend the pixels without a reading too; ours leaves them out.

python benchmarks/bench_pack_depth.py
"""

from __future__ import annotations

import cv2
import numpy as np

from fuseg.ops import PackDepth
from record import Bar, Row, compare, report

CASES = [
    (np.uint16, (480, 640), (240, 320)),
    (np.uint16, (480, 640), (480, 640)),
    (np.uint16, (720, 1280), (480, 640)),
    (np.uint16, (480, 848), (480, 640)),
    (np.uint16, (1080, 1920), (480, 640)),
    (np.uint16, (1080, 1920), (512, 1024)),
    (np.float32, (480, 640), (240, 320)),
    (np.float32, (1080, 1920), (480, 640)),
    (np.uint8, (480, 640), (240, 320)),
]
BLENDED = [
    (np.uint16, (480, 640), (240, 320)),
    (np.uint16, (1080, 1920), (480, 640)),
    (np.uint16, (1080, 1920), (512, 1024)),
    (np.float32, (1080, 1920), (480, 640)),
]
TUNED = "cv2.resize, NumPy (tuned)"
BARRED = CASES[4:6]
BARS = {
    "nearest": [Bar(4, TUNED, avx2=2)],
    "bilinear": [Bar(2, TUNED, avx2=1.5)],
}
SCALE, MEAN, STD = 0.001, 2.0, 1.5


def scene(dtype: type, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A smooth surface with round holes, about a twentieth of it."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    surface = cv2.GaussianBlur(noise, (0, 0), 9) * 32
    holes = cv2.GaussianBlur(noise[::-1], (0, 0), 15) * 53
    high = 200 if dtype is np.uint8 else 9000
    frame = ((surface - surface.min()) / np.ptp(surface) * high + 1).astype(dtype)
    frame[holes > 1.65] = 0
    return frame


def bench(
    filter: str, dtype: type, shape: tuple[int, int], size: tuple[int, int]
) -> list[Row]:
    frame = scene(dtype, shape, np.random.default_rng(0))
    out = np.empty(size, np.float32)
    near = filter == "nearest"
    way = cv2.INTER_NEAREST if near else cv2.INTER_LINEAR
    pack = PackDepth(dtype, size=size, scale=SCALE, mean=MEAN, std=STD, filter=filter)

    def ours() -> tuple[np.ndarray, int]:
        return out, pack(frame, out)

    def recipe() -> tuple[np.ndarray, int]:
        small = cv2.resize(frame, size[::-1], interpolation=way)
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
        cv2.resize(frame, size[::-1], dst=small, interpolation=way)
        np.multiply(small, np.float32(SCALE / STD), out=tuned_out, dtype=np.float32)
        np.subtract(tuned_out, np.float32(MEAN / STD), out=tuned_out)
        if not near:
            return tuned_out, 0
        np.not_equal(small, 0, out=valid)
        if dtype is np.float32:
            np.isfinite(small, out=finite)
            np.logical_and(valid, finite, out=valid)
        np.copyto(tuned_out, np.float32(0), where=~valid)
        return tuned_out, np.count_nonzero(valid)

    if near:
        for peer in (recipe, tuned):
            (wanted, readings), (got, count) = peer(), ours()
            np.testing.assert_allclose(got, wanted, atol=1e-5)
            assert count == readings
    else:
        whole = np.maximum(frame, dtype(1))  # no holes: then all blend the same pixels
        wanted = cv2.resize(whole.astype(np.float32), size[::-1], interpolation=way)
        pack(whole, out)
        np.testing.assert_allclose(out, (wanted * SCALE - MEAN) / STD, atol=1e-3)

    case = f"{filter} {np.dtype(dtype)} {shape[0]}x{shape[1]} -> {size[0]}x{size[1]}"
    calls = {
        "fuseg.ops.PackDepth": ours,
        "cv2.resize, NumPy (usual)": recipe,
        TUNED: tuned,
        "cv2.resize alone, raw values out": lambda: cv2.resize(
            frame, size[::-1], dst=small, interpolation=way
        ),
    }
    rows = min(shape[0], size[0] * (1 if near else 2))
    return compare(
        case,
        calls,
        read=rows * shape[1] * frame.itemsize,
        written=out.nbytes,
        bars=BARS[filter] if (dtype, shape, size) in BARRED else (),
        seconds=2.0,
    )


def cases() -> list[Row]:
    rows = [row for case in CASES for row in bench("nearest", *case)]
    return rows + [row for case in BLENDED for row in bench("bilinear", *case)]


if __name__ == "__main__":
    report("pack_depth: raw readings to a float32 plane", cases)
