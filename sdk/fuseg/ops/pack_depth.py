from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import (
    FLOAT32_MAX,
    require_choice,
    require_number,
    require_out,
    require_rows,
    require_size,
)
from ..errors import ArgumentError

__all__ = ["pack_depth"]

_FILTERS = {"nearest": 0, "nearest-exact": 1}  # common/resample.h


def pack_depth(
    frame: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    *,
    size: tuple[int, int],
    scale: float = 1.0,
    mean: float = 0.0,
    std: float = 1.0,
    invalid: Sequence[float] = (0,),
    fill: float = 0.0,
    filter: str = "nearest",
    out: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.float32], int]:
    """Resize a depth frame, normalize it, and fill in where there is no reading."""
    require_rows("frame", frame, (np.uint8, np.uint16, np.float32), ("H", "W"))
    height, width = require_size("size", size)
    require_choice("filter", filter, tuple(_FILTERS))
    scale = require_number("scale", scale)
    mean = require_number("mean", mean)
    std = require_number("std", std)
    if std == 0:
        raise ArgumentError("std must not be 0.")
    multiply = require_number("scale / std", scale / std)
    add = require_number("mean / std", -mean / std)
    fill = float(fill)
    if FLOAT32_MAX < abs(fill) < float("inf"):
        require_number("fill", fill)
    if out is None:
        out = np.empty((height, width), np.float32)
    require_out("out", out, np.float32, (height, width), frame=frame)
    scratch = np.empty(_kernels.pack_depth_scratch_bytes(width), np.uint8)
    readings = _kernels.pack_depth_cpu(
        frame,
        out,
        multiply,
        add,
        np.asarray(invalid, np.float32),
        fill,
        _FILTERS[filter],
        scratch,
    )
    return out, readings
