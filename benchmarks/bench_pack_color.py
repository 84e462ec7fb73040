"""pack_color against the usual OpenCV and NumPy recipe, a tuned one, and torch.

python benchmarks/bench_pack_color.py
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from fuseg.ops import PackColor
from fuseg.ops.placement import place
from record import COLD, Bar, Row, compare, report

# Frame, planes, filter, letterbox, dtype: full HD, HD, depth cameras, a network larger
# than the frame. The last two of a line are "stretch" and float32 unless given.
CASES = [
    ((1080, 1920), (480, 640), "bilinear"),
    ((1080, 1920), (512, 1024), "bilinear"),
    ((1080, 1920), (480, 640), "bilinear", "stretch", np.int8),
    ((720, 1280), (360, 640), "bilinear"),
    ((480, 640), (240, 320), "bilinear"),
    ((480, 640), (240, 320), "bilinear", "stretch", np.int8),
    ((480, 640), (480, 640), "bilinear"),
    ((480, 640), (480, 480), "bilinear", "letterbox"),
    ((480, 640), (240, 320), "nearest"),
    ((240, 320), (480, 640), "bilinear"),
    ((1080, 1920), (480, 640), "bilinear-antialias"),
]
USUAL = "cv2.resize, NumPy (usual)"
TUNED = "cv2.resize, split, NumPy (tuned)"
INT8 = "the tuned one, then int8"
RESIZE_ALONE = "cv2.resize alone, uint8 out"
BARS = {
    CASES[0]: [
        Bar(4, TUNED, avx2=3),
        Bar(15, USUAL, avx2=12),
        Bar(2.5, RESIZE_ALONE),
        Bar(0.6, COLD),
    ],
    CASES[2]: [Bar(8, INT8, avx2=5)],
}
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
STEP = np.float32(0.02)  # of int8
TAKEN = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR}


def rows_read(rows: int, length: int, filter: str) -> int:
    """How many rows of the frame the definition reads."""
    if filter == "bilinear-antialias":
        return rows
    if filter == "nearest":
        return min(rows, length)
    at = np.clip((np.arange(length) + 0.5) * rows / length - 0.5, 0, rows - 1)
    return len({*np.floor(at), *np.ceil(at)})


def bench(
    rng: np.random.Generator,
    shape: tuple[int, int],
    size: tuple[int, int],
    filter: str,
    fit: str = "stretch",
    dtype: type = np.float32,
) -> list[Row]:
    frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    frame = cv2.GaussianBlur(frame, (0, 0), 1.0)
    out = np.empty((3, *size), dtype)
    pack = PackColor(
        size=size,
        mean=MEAN,
        std=STD,
        filter=filter,
        fit=fit,
        dtype=dtype,
        out_scale=float(STEP) if dtype is np.int8 else 1.0,
    )

    def ours() -> np.ndarray:
        return pack(frame, out)

    ours()
    top, left, height, width = place(frame.shape[:2], size, fit=fit).picture
    inside = np.s_[:, top : top + height, left : left + width]
    taken = TAKEN.get(filter, cv2.INTER_AREA)
    factor, offset = 1 / 255 / STD, -MEAN / STD
    whole = np.zeros((3, *size), np.float32)

    def recipe() -> np.ndarray:
        small = cv2.resize(frame, (width, height), interpolation=taken)
        values = (small.astype(np.float32) / 255 - MEAN) / STD
        if fit == "stretch":
            return np.ascontiguousarray(values.transpose(2, 0, 1))
        padded = np.zeros((*size, 3), np.float32)
        padded[inside[1:]] = values
        return np.ascontiguousarray(padded.transpose(2, 0, 1))

    small = np.empty((height, width, 3), np.uint8)
    planes = [np.empty((height, width), np.uint8) for _ in range(3)]

    def tuned() -> np.ndarray:
        cv2.resize(frame, (width, height), dst=small, interpolation=taken)
        cv2.split(small, planes)
        for p, plane in enumerate(planes):
            np.multiply(plane, factor[p], out=whole[inside][p], dtype=np.float32)
            whole[inside][p] += offset[p]
        return whole

    def int8() -> np.ndarray:
        return np.clip(np.rint(tuned() / STEP), -128, 127).astype(np.int8)

    tensor = torch.from_numpy(frame)
    mean, std = (torch.from_numpy(a).view(3, 1, 1) for a in (MEAN, STD))
    mode = filter.removesuffix("-antialias")

    def pytorch() -> np.ndarray:
        values = tensor.permute(2, 0, 1)[None].float()
        shrunk = torch.nn.functional.interpolate(
            values, (height, width), mode=mode, antialias=mode != filter
        )[0]
        return ((shrunk / 255 - mean) / std).numpy()

    # OpenCV rounds the blend to whole steps, and its averages have sharper edges; torch
    # finds its positions in float32. int8 may fall to the other side of a tie.
    unit = float(STEP) if dtype is np.int8 else 1.0
    got = ours().astype(np.float32) * unit
    step = float(1 / 255 / STD.min())
    close = 40.0 if mode != filter else 1.0
    for peer, allowed in ((recipe, close), (tuned, close), (pytorch, 0.05)):
        result = peer()
        result = result if result.shape == got[inside].shape else result[inside]
        worst = np.abs(result - got[inside]).max()
        assert worst <= allowed * step + unit * (dtype is np.int8), (
            f"{peer.__name__} is off by {worst}"
        )

    case = f"{shape[0]}x{shape[1]} -> {size[0]}x{size[1]} {filter}"
    case += " letterbox" * (fit == "letterbox") + " int8" * (dtype is np.int8)
    calls = {"fuseg.ops.PackColor": ours, USUAL: recipe, TUNED: tuned}
    if dtype is np.int8:
        calls[INT8] = int8
    calls |= {
        "torch": pytorch,
        RESIZE_ALONE: lambda: cv2.resize(
            frame, (width, height), dst=small, interpolation=taken
        ),
    }
    bars = {(*key, "stretch", np.float32)[:5]: bars for key, bars in BARS.items()}
    return compare(
        case,
        calls,
        read=rows_read(shape[0], height, filter) * shape[1] * 3,
        written=out.nbytes,
        bars=bars.get((shape, size, filter, fit, dtype), ()),
    )


def cases() -> list[Row]:
    rng = np.random.default_rng(0)
    return [row for case in CASES for row in bench(rng, *case)]


if __name__ == "__main__":
    report("pack_color: uint8 frame to the planes a network reads", cases)
