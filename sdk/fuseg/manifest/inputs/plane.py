"""Any map of numbers that is no distance and no temperature."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import within
from .base import BaseImageInput
from .depth import require_readings

__all__ = ["PlaneInput"]


@dataclass(frozen=True, kw_only=True)
class PlaneInput(BaseImageInput):
    """Numbers of any meaning: disparity, height, HHA, counts of events.

    Its frames are ``(H, W)``, or ``(H, W, planes)`` where there are several planes. In
    this order: invalid mask, resize, normalise, fill. The tensor's value is
    ``(v * scale - mean[c]) / std[c]``, where ``v`` is the resized frame's value.

    Attributes:
        count: How many numbers a pixel has, each a channel of the tensor.
        invalid: Raw values that are no reading, in the plane where they are. NaN,
            infinity, and what overflows float32 in the tensor never are a reading.
    """

    kind: Literal["plane"] = "plane"
    count: int = field(default=1, metadata={"key": "planes", **within(1, 64)})
    invalid: tuple[int | float, ...] = ()

    @property
    def planes(self) -> int:
        return self.count

    @property
    def frame_shape(self) -> tuple[int | str, ...]:
        return ("H", "W") if self.count == 1 else ("H", "W", self.count)

    def _check_kind(self) -> None:
        require_readings(self, self.invalid)
