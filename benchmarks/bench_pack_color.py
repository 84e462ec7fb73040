"""pack_color against the usual OpenCV and NumPy recipe, a tuned one, and torch.

python benchmarks/bench_pack_color.py
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fuseg.ops import pack_color
from record import COLD, Bar, Row, compare, report

# Frame, planes, filter: depth cameras, full HD, a network larger than the frame.
CASES = [
    ((480, 640), (240, 320), "bilinear"),
    ((480, 640), (480, 640), "bilinear"),
    ((480, 640), (240, 320), "nearest"),
    ((720, 1280), (480, 640), "bilinear"),
    ((1080, 1920), (480, 640), "bilinear"),
    ((1080, 1920), (512, 1024), "bilinear"),
    ((240, 320), (480, 640), "bilinear"),
]
USUAL = "cv2.resize, NumPy (usual)"
TUNED = "cv2.resize, split, NumPy (tuned)"
RESIZE_ALONE = "cv2.resize alone, uint8 out"
BARS = {
    ((1080, 1920), (480, 640), "bilinear"): [
        Bar(4, TUNED, avx2=3),
        Bar(15, USUAL, avx2=12),
        Bar(2.5, RESIZE_ALONE),
        Bar(0.6, COLD),
    ]
}
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def bench(
    shape: tuple[int, int], size: tuple[int, int], filter: str, rng: np.random.Generator
) -> list[Row]:
    frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    frame = cv2.GaussianBlur(frame, (0, 0), 1.0)
    out = np.empty((3, *size), np.float32)
    taken = cv2.INTER_LINEAR if filter == "bilinear" else cv2.INTER_NEAREST

    def ours() -> np.ndarray:
        return pack_color(frame, size=size, mean=MEAN, std=STD, filter=filter, out=out)

    def recipe() -> np.ndarray:
        small = cv2.resize(frame, size[::-1], interpolation=taken)
        values = (small.astype(np.float32) / 255 - MEAN) / STD
        return np.ascontiguousarray(values.transpose(2, 0, 1))

    small = np.empty((*size, 3), np.uint8)
    planes = [np.empty(size, np.uint8) for _ in range(3)]
    tuned_out = np.empty((3, *size), np.float32)
    factor, offset = 1 / 255 / STD, -MEAN / STD

    def tuned() -> np.ndarray:
        cv2.resize(frame, size[::-1], dst=small, interpolation=taken)
        cv2.split(small, planes)
        for p, plane in enumerate(planes):
            np.multiply(plane, factor[p], out=tuned_out[p], dtype=np.float32)
            tuned_out[p] += offset[p]
        return tuned_out

    tensor = torch.from_numpy(frame)
    mean, std = (torch.from_numpy(a).view(3, 1, 1) for a in (MEAN, STD))

    def pytorch() -> np.ndarray:
        values = tensor.permute(2, 0, 1)[None].float()
        small = torch.nn.functional.interpolate(values, size, mode=filter)[0]
        return ((small / 255 - mean) / std).numpy()

    # OpenCV rounds the blend to whole steps, torch finds its positions in float32.
    step = float(1 / 255 / STD.min())
    for peer, allowed in ((recipe, 1.0), (tuned, 1.0), (pytorch, 0.05)):
        worst = np.abs(peer() - ours()).max()
        assert worst <= allowed * step, f"{peer.__name__} is off by {worst}"

    rows_read = min(shape[0], size[0] * (2 if filter == "bilinear" else 1))
    case = f"{shape[0]}x{shape[1]} -> {size[0]}x{size[1]} {filter}"
    calls = {
        "fuseg.ops.pack_color": ours,
        USUAL: recipe,
        TUNED: tuned,
        "torch": pytorch,
        RESIZE_ALONE: lambda: cv2.resize(
            frame, size[::-1], dst=small, interpolation=taken
        ),
    }
    return compare(
        case,
        calls,
        read=rows_read * shape[1] * 3,
        written=out.nbytes,
        bars=BARS.get((shape, size, filter), ()),
    )


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    return [row for case in CASES for row in bench(*case, rng)]


if __name__ == "__main__":
    report("pack_color: uint8 frame to float32 planes", cases)
