from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import (
    require_choice,
    require_number,
    require_numbers,
    require_out,
    require_rows,
    require_size,
)
from ..errors import ArgumentError

__all__ = ["pack_color"]

_FILTERS = {"nearest": 0, "nearest-exact": 1, "bilinear": 2}  # common/resample.h
_ORDERS = ("RGB", "BGR")


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
    """Resize a colour frame, normalise it, and split it into planes, in one pass.

    Args:
        frame: Pixels, shape ``(H, W, 3)``, uint8. The pixels of a row lie side by
            side; the rows may lie anywhere, so a crop or a flip of a larger image
            is read where it is.
        size: ``(h, w)`` of the planes, in pixels. Larger, equal or smaller.
        scale: Factor on the pixels, before ``mean`` and ``std``.
        mean: Subtracted, one number per plane of the result.
        std: Divided by, one number per plane of the result. Not 0.
        channels: Order of the channels in ``frame``, ``"RGB"`` or ``"BGR"``.
        planes: Order of the planes in the result, ``"RGB"`` or ``"BGR"``.
        filter: ``"bilinear"``, with half-pixel centres and without antialiasing;
            ``"nearest"``, pixel ``floor(i * H / h)``; or ``"nearest-exact"``, pixel
            ``floor((i + 1/2) * H / h)``. Beyond the edge the edge is repeated.
        out: Buffer for the planes, shape ``(3, h, w)``, float32, C-contiguous, not
            sharing memory with ``frame``. Give the same one every frame to keep the
            loop free of large allocations; a few rows of scratch memory are taken
            either way. A new one is made if omitted.

    Returns:
        ``(pixel * scale - mean) / std``, shape ``(3, h, w)``, float32. This is
        ``out`` itself if ``out`` was given.

        It is computed as ``pixel * a + b`` with ``a = scale / std`` and
        ``b = -mean / std`` rounded to float32, which errs by less than
        ``2**-22 * (abs(pixel * scale) + abs(mean)) / abs(std)``. The pixel itself
        is exact for the nearest filters and wherever ``size`` is the frame's size,
        and within 1e-4 of the exact blend for bilinear.

    Raises:
        ShapeError: ``frame`` is not ``(H, W, 3)`` or is empty, or ``out`` is not
            ``(3, h, w)``.
        LayoutError: The pixels of a row of ``frame`` are not side by side, or
            ``out`` is a strided view.
        DTypeError: ``frame`` is not uint8, or ``out`` is not float32.
        ArgumentError: A number is not finite, a ``std`` is 0, a word is not one of
            those above, or ``out`` is read-only or shares memory with ``frame``.

    Example:
        >>> frame = np.array([[[0, 50, 255], [100, 50, 255]]], dtype=np.uint8)
        >>> pack_color(frame, size=(1, 4), scale=1.0)[0]
        array([[  0.,  25.,  75., 100.]], dtype=float32)

    Source:
        Definition: ``torch.nn.functional.interpolate(mode=filter)`` without
        ``align_corners``, in float64, then the formula above. torch finds its
        positions in floating point; these are exact fractions.
    """
    require_rows("frame", frame, (np.uint8,), ("H", "W", 3))
    pack = ColorPacker(
        size=size,
        scale=scale,
        mean=mean,
        std=std,
        channels=channels,
        planes=planes,
        filter=filter,
    )
    if out is None:
        out = np.empty((3, *pack.size), np.float32)
    require_out("out", out, np.float32, (3, *pack.size), frame=frame)
    pack(frame, out)
    return out


class ColorPacker:
    """`pack_color` for a frame loop: settings are checked and scratch is made once.

    Args:
        size, scale, mean, std, channels, planes, filter: See `pack_color`.

    Raises:
        ArgumentError: As `pack_color`.
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        scale: float,
        mean: Sequence[float],
        std: Sequence[float],
        channels: str,
        planes: str,
        filter: str,
    ) -> None:
        self.size = require_size("size", size)
        require_choice("channels", channels, _ORDERS)
        require_choice("planes", planes, _ORDERS)
        require_choice("filter", filter, tuple(_FILTERS))
        self._multiply, self._add = _fold(scale, mean, std)
        self._swap = channels != planes
        self._filter = _FILTERS[filter]
        self._width = 0  # of the frames that the scratch is made for
        self._scratch = np.empty(0, np.uint8)

    def __call__(self, frame: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Fill ``out``; the caller checked both arrays."""
        if frame.shape[1] != self._width:
            self._width = frame.shape[1]
            self._scratch = np.empty(
                _kernels.pack_color_scratch_bytes(self._width, self.size[1]), np.uint8
            )
        _kernels.pack_color_cpu(
            frame,
            out,
            self._multiply,
            self._add,
            self._swap,
            self._filter,
            self._scratch,
        )


def _fold(
    scale: float, mean: Sequence[float], std: Sequence[float]
) -> tuple[list[float], list[float]]:
    """Turn ``(pixel * scale - mean) / std`` into ``pixel * multiply + add``."""
    scale = require_number("scale", scale)
    mean = require_numbers("mean", mean, 3)
    std = require_numbers("std", std, 3)
    if 0 in std:
        raise ArgumentError(f"std must not hold 0, got {std}.")
    multiply = [scale / s for s in std]
    add = [-m / s for m, s in zip(mean, std, strict=True)]
    require_numbers("scale / std", multiply, 3)
    require_numbers("mean / std", add, 3)
    return multiply, add
