"""Where an int8 result's planes lie: side by side, or as TensorRT likes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._check import require_choice, require_out, require_whole
from .._device import borrow
from ..errors import ArgumentError

__all__ = ["OutPlanes"]

_LAYOUTS = ("linear", "chw4")
_GROUP = 4  # common/out_planes.h
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
        if dtype != np.int8:
            raise ArgumentError(
                f"layout must be 'linear' unless dtype is int8, got {layout!r} for "
                f"{dtype}."
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
            given = borrow("out", out).shape
            if len(given) == len(shape):
                shape = (max(shape[0], given[0]), *shape[1:])
        return require_out("out", out, self._dtype, shape, **inputs)
