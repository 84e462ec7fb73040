from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import (
    require_choice,
    require_number,
    require_out,
    require_rows,
    require_size,
)
from ..errors import ArgumentError

__all__ = ["pack_color"]

_FILTERS = {"nearest": 0, "nearest-exact": 1, "bilinear": 2}  # common/resample.h


def pack_color(
    frame: NDArray[np.uint8],
    *,
    size: tuple[int, int],
    scale: float = 1 / 255,
    mean: Sequence[float] = (0.0, 0.0, 0.0),
    std: Sequence[float] = (1.0, 1.0, 1.0),
    channels: str = "RGB",
    planes: str = "RGB",
    filter: str = "bilinear",
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Resize a color frame, normalize it, and split it into planes."""
    require_rows("frame", frame, (np.uint8,), ("H", "W", 3))
    height, width = require_size("size", size)
    require_choice("channels", channels, ("RGB", "BGR"))
    require_choice("planes", planes, ("RGB", "BGR"))
    require_choice("filter", filter, tuple(_FILTERS))
    multiply, add = _fold(scale, mean, std)
    if out is None:
        out = np.empty((3, height, width), np.float32)
    require_out("out", out, np.float32, (3, height, width), frame=frame)
    scratch = np.empty(
        _kernels.pack_color_scratch_bytes(frame.shape[1], width), np.uint8
    )
    _kernels.pack_color_cpu(
        frame, out, multiply, add, channels != planes, _FILTERS[filter], scratch
    )
    return out


def _fold(
    scale: float, mean: Sequence[float], std: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turn ``(pixel * scale - mean) / std`` into ``pixel * multiply + add``."""
    scale = require_number("scale", scale)
    if len(mean) != 3 or len(std) != 3:
        raise ArgumentError(
            "mean and std must have one number per plane, 3, got "
            f"{len(mean)} and {len(std)}."
        )
    multiply, add = [], []
    for p in range(3):
        middle = require_number(f"mean[{p}]", mean[p])
        spread = require_number(f"std[{p}]", std[p])
        if spread == 0:
            raise ArgumentError(f"std[{p}] must not be 0.")
        multiply.append(require_number(f"scale / std[{p}]", scale / spread))
        add.append(require_number(f"mean[{p}] / std[{p}]", -middle / spread))
    return np.array(multiply, np.float32), np.array(add, np.float32)
