"""TensorRT's layouts of what goes into a network and of what comes out: "chw4" has four
channels of a pixel side by side, "hwc8" all classes of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._check import require_choice, require_whole
from ..cuda.array_view import as_view
from ..errors import ArgumentError, DTypeError, LayoutError, ShapeError
from .array_checks import require_out

__all__ = ["OutPlanes", "hwc8_shape", "require_16_byte_alignment"]

_LAYOUTS = ("linear", "chw4")
_GROUP = 4  # common/out_planes.h
_GROUPED = (np.float16, np.int8)
_EIGHT = 8
_MOST_CHANNELS = 65535


class OutPlanes:
    """Planes of ``shape``, ``(h, w)`` or ``(planes, h, w)``: a result of that shape, or
    the channels from ``channel`` on of one in the layout ``"chw4"``,
    ``(ceil(C / 4), h, w, 4)``.

    Attributes:
        shape: Of the smallest result that has room for the planes.
        chw4_channel: Their first channel, or -1 for a linear result.

    Raises:
        ArgumentError: ``layout`` is neither, ``channel`` is out of range, or one of
            them does not go with the other or with ``dtype``.
    """

    def __init__(
        self,
        layout: str,
        channel: int,
        *,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
    ) -> None:
        require_choice("layout", layout, _LAYOUTS)
        channel = require_whole("channel", channel, 0, _MOST_CHANNELS)
        self._dtype = dtype
        self.shape = shape
        self.chw4_channel = -1
        if layout == "linear":
            if channel != 0:
                raise ArgumentError(
                    f"channel must be 0 unless layout is 'chw4', got {channel}: a "
                    "linear out is the planes' own part of the tensor."
                )
            return
        if dtype not in _GROUPED:
            raise ArgumentError(
                "layout must be 'linear' unless dtype is float16 or int8, got "
                f"{layout!r} for {dtype}."
            )
        planes = shape[0] if len(shape) == 3 else 1
        self.shape = (-(-(channel + planes) // _GROUP), *shape[-2:], _GROUP)
        self.chw4_channel = channel

    def make(self) -> NDArray[Any]:
        """Make a result; channels that are not the planes' hold 0."""
        made = np.empty if self.chw4_channel < 0 else np.zeros
        return made(self.shape, self._dtype)

    def require(self, out: Any, **inputs: Any) -> Any:
        """Refuse ``out`` unless it has room for the planes; as `require_out`."""
        shape = self.shape
        if self.chw4_channel >= 0:
            given = as_view("out", out).shape
            if len(given) == len(shape):
                shape = (max(shape[0], given[0]), *shape[1:])
        return require_out("out", out, self._dtype, shape, **inputs)


def hwc8_shape(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int, int]:
    """The shape ``(h, w, P)`` that scores of ``shape`` have in the layout "hwc8".

    Raises:
        ShapeError: ``shape`` is not ``(C, h, w)``.
        DTypeError: ``dtype`` is not float16.
    """
    if len(shape) != 3:
        raise ShapeError(
            f"shape must be (C, h, w) for the layout 'hwc8', got {shape}: it holds one "
            "image."
        )
    if dtype != np.float16:
        raise DTypeError(f"dtype must be float16 for the layout 'hwc8', got {dtype}.")
    classes, height, width = shape
    return height, width, -(-classes // _EIGHT) * _EIGHT


def require_16_byte_alignment(scores: Any) -> None:
    """Refuse scores on the GPU whose classes cannot be read eight at a time."""
    if scores.pointer % 16:
        raise LayoutError(
            "scores must begin at a multiple of 16 bytes on the GPU for the layout "
            f"'hwc8', got address {scores.pointer:#x}. Copy them once."
        )
