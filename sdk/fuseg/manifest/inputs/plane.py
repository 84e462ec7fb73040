"""Any map of numbers that is no distance and no temperature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import within
from .numbers import NumbersInput

__all__ = ["PlaneInput"]


@dataclass(frozen=True, kw_only=True)
class PlaneInput(NumbersInput):
    """Numbers of any meaning: disparity, height, HHA, counts of events.

    Its frames are ``(H, W)``, or ``(H, W, planes)`` where there are several planes. In
    this order: invalid mask, scale, clip, transform, resize, normalise, fill. The
    tensor's value is ``(v - mean[c]) / std[c]``, where ``v`` is the value that has been
    scaled, transformed and resized.

    Attributes:
        count: How many numbers a pixel has, each a channel of the tensor.
    """

    kind: Literal["plane"] = "plane"
    count: int = field(default=1, metadata={"key": "planes", **within(1, 64)})

    @property
    def planes(self) -> int:
        return self.count

    @property
    def frame_shape(self) -> tuple[int | str, ...]:
        return ("H", "W") if self.count == 1 else ("H", "W", self.count)
