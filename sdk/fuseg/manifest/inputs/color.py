"""Colour cameras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .base import BaseImageInput

__all__ = ["ColorInput"]


@dataclass(frozen=True, kw_only=True)
class ColorInput(BaseImageInput):
    """A colour camera: its frames, ``(H, W, 3)``, fill three channels of a tensor.

    In this order: resize, normalise, fill. The tensor's value is
    ``(v * scale - mean[c]) / std[c]``, where ``v`` is the resized frame's value.

    Attributes:
        channels: The order of the camera's channels and of the network's.
    """

    kind: Literal["color"] = "color"
    dtype: Literal["uint8"] = "uint8"
    channels: Literal["RGB", "BGR"]

    @property
    def planes(self) -> int:
        return 3

    @property
    def frame_shape(self) -> tuple[int | str, ...]:
        return ("H", "W", 3)
