"""What inputs have whose frames are numbers of a meaning, not colours."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import require, spell, within
from .base import BaseImageInput

__all__ = ["NumbersInput"]

_LARGEST_RAW = {"uint8": 255, "uint16": 65535}


@dataclass(frozen=True, kw_only=True)
class NumbersInput(BaseImageInput):
    """What depth-like sensors and maps share.

    Attributes:
        clip: The lowest and the highest value, in the units of ``mean``; what lies
            beyond becomes the nearer of them.
        transform: What becomes of each value, in the units of ``mean`` and clipped: its
            natural logarithm, ``log``; 1 over it, ``inverse``; or where it lies between
            the least reading of its frame, 0, and the largest, 1: ``min-max``. What has
            none, such as the logarithm of 0, is no reading.
        percentiles: Of a frame's readings, in the place of the least and the largest;
            what lies beyond becomes 0 or 1. With ``min-max`` only.
        invalid: Raw values that are no reading, in the plane where they are. NaN,
            infinity, and what overflows float32 in the tensor never are a reading.
    """

    clip: tuple[float, float] | None = None
    transform: Literal["log", "inverse", "min-max"] | None = None
    percentiles: tuple[float, float] | None = field(
        default=None, metadata=within(0, 100)
    )
    invalid: tuple[int | float, ...] = ()

    @property
    def is_transformed(self) -> bool:
        """Whether more becomes of a frame's values than to be scaled."""
        return self.clip is not None or self.transform is not None

    def _check(self) -> None:
        super()._check()
        for key in ("clip", "percentiles"):
            low, high = getattr(self, key) or (0, 1)
            require(
                low < high,
                f"{key} must begin with the lower one, got {low} and {high}.",
            )
        require(
            self.percentiles is None or self.transform == "min-max",
            "percentiles must be absent unless the transform is 'min-max', got "
            f"transform {spell(self.transform)}.",
        )
        require(
            self.resize.filter != "bilinear-antialias",
            f"resize.filter must be 'nearest', 'nearest-exact' or 'bilinear' for kind "
            f"{self.kind!r}, got 'bilinear-antialias', which is for colour.",
        )
        top = _LARGEST_RAW.get(self.dtype)
        for index, value in enumerate(self.invalid):
            require(
                top is None or (isinstance(value, int) and 0 <= value <= top),
                f"invalid[{index}] must be a whole number from 0 to {top}, as the "
                f"frames are {self.dtype}, got {value}.",
            )
