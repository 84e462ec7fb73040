from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

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

__all__ = ["pack_depth"]

_FILTERS = {"nearest": 0, "nearest-exact": 1}  # common/resample.h
_MOST_INVALID = 16


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
    """Resize a depth frame, normalise it, and fill in where there is no reading.

    Any one-channel frame will do: depth, disparity, thermal, height. It is never
    blended: half-way between two surfaces there is no surface.

    Args:
        frame: Raw readings, shape ``(H, W)``, uint8, uint16 or float32, in any
            unit. The pixels of a row lie side by side; the rows may lie anywhere,
            so a crop or a flip of a larger image is read where it is.
        size: ``(h, w)`` of the result, in pixels. Larger, equal or smaller.
        scale: Factor on the readings, before ``mean`` and ``std``: 0.001 turns
            millimetres into metres.
        mean: Subtracted.
        std: Divided by. Not 0.
        invalid: Raw values that mean "no reading", compared before scaling, in
            float32; at most 16. NaN and the infinities always mean it, as ROS REP
            117 sends them.
        fill: Written as it is, NaN included, where there is no reading.
        filter: ``"nearest"``, pixel ``floor(i * H / h)``, or ``"nearest-exact"``,
            pixel ``floor((i + 1/2) * H / h)``.
        out: Buffer for the result, shape ``(h, w)``, float32, C-contiguous, not
            sharing memory with ``frame``. Give the same one every frame to keep the
            loop free of large allocations; a row of scratch memory is taken either
            way. A new one is made if omitted.

    Returns:
        ``(raw * scale - mean) / std`` or ``fill``, shape ``(h, w)``, float32 (this
        is ``out`` itself if ``out`` was given), and how many of its pixels are
        readings.

        The formula is computed as ``raw * a + b`` with ``a = scale / std`` and
        ``b = -mean / std`` rounded to float32, which errs by less than
        ``2**-22 * (abs(raw * scale) + abs(mean)) / abs(std)``.

    Raises:
        ShapeError: ``frame`` is not ``(H, W)`` or is empty, or ``out`` is not
            ``(h, w)``.
        LayoutError: The pixels of a row of ``frame`` are not side by side, or
            ``out`` is a strided view.
        DTypeError: ``frame`` is none of the three types, or ``out`` is not float32.
        ArgumentError: A number is not finite, ``std`` is 0, a value of ``invalid``
            cannot occur in ``frame``, ``filter`` is not one of the two, or ``out``
            is read-only or shares memory with ``frame``.

    Example:
        >>> frame = np.array([[1500, 0], [2000, 65535]], dtype=np.uint16)
        >>> pack_depth(frame, size=(2, 2), mean=1000, invalid=(0, 65535), fill=-1.0)
        (array([[ 500.,   -1.],
               [1000.,   -1.]], dtype=float32), 2)

    Source:
        Definition: ``frame[ys][:, xs]`` in NumPy, with ``ys = range(h) * H // h``
        and ``xs`` alike, then the formula above. No reading: `REP 117
        <https://www.ros.org/reps/rep-0117.html>`_.
    """
    require_rows("frame", frame, (np.uint8, np.uint16, np.float32), ("H", "W"))
    pack = DepthPacker(
        frame.dtype,
        size=size,
        scale=scale,
        mean=mean,
        std=std,
        invalid=invalid,
        fill=fill,
        filter=filter,
    )
    if out is None:
        out = np.empty(pack.size, np.float32)
    require_out("out", out, np.float32, pack.size, frame=frame)
    return out, pack(frame, out)


class DepthPacker:
    """`pack_depth` for a frame loop: settings are checked and scratch is made once.

    Args:
        dtype: Element type of the frames.
        size, scale, mean, std, invalid, fill, filter: See `pack_depth`.

    Raises:
        ArgumentError: As `pack_depth`.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        *,
        size: tuple[int, int],
        scale: float,
        mean: float,
        std: float,
        invalid: Sequence[float],
        fill: float,
        filter: str,
    ) -> None:
        self.size = require_size("size", size)
        require_choice("filter", filter, tuple(_FILTERS))
        scale = require_number("scale", scale)
        mean = require_number("mean", mean)
        std = require_number("std", std)
        if std == 0:
            raise ArgumentError("std must not be 0.")
        self._multiply = require_number("scale / std", scale / std)
        self._add = require_number("mean / std", -mean / std)
        if math.isfinite(fill):
            require_number("fill", fill)
        self._fill = fill
        self._invalid = _invalid_in(dtype, invalid)
        self._filter = _FILTERS[filter]
        self._scratch = np.empty(
            _kernels.pack_depth_scratch_bytes(self.size[1]), np.uint8
        )

    def __call__(self, frame: NDArray[Any], out: NDArray[np.float32]) -> int:
        """Fill ``out``, return its readings; the caller checked both arrays."""
        return _kernels.pack_depth_cpu(
            frame,
            out,
            self._multiply,
            self._add,
            self._invalid,
            self._fill,
            self._filter,
            self._scratch,
        )

    def has_reading(self, frame: NDArray[Any]) -> bool:
        """Whether a call would find a reading at all; nothing is written."""
        return _kernels.has_reading_cpu(frame, *self.size, self._invalid, self._filter)


def _invalid_in(dtype: np.dtype[Any], invalid: Sequence[float]) -> NDArray[np.float32]:
    if len(invalid) > _MOST_INVALID:
        raise ArgumentError(
            f"invalid must be at most {_MOST_INVALID} values, got {len(invalid)}."
        )
    for value in invalid:
        if dtype.kind == "f":
            possible = not math.isfinite(value) or value == require_number(
                "invalid", value
            )
        else:
            possible = value in range(np.iinfo(dtype).max + 1)
        if not possible:
            raise ArgumentError(
                f"invalid must hold values that a {dtype} frame can hold, got {value}."
            )
    return np.array(invalid, np.float32)
