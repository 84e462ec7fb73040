"""What an input's frames were like when the bundle was made."""

from __future__ import annotations

from dataclasses import dataclass, field

from .schema import Record, require, within

__all__ = ["Statistics"]


@dataclass(frozen=True)
class Statistics(Record):
    """The raw values of an input's frames, over all their pixels.

    Percentiles are of the readings only, in the input's unit, with one number for each
    that a pixel of the frames has.

    Attributes:
        frames: How many frames were looked at.
        valid_share: The share of pixels with a reading, above 0 and at most 1.
        p1: The 1st percentile.
        p50: The median.
        p99: The 99th percentile.
    """

    frames: int = field(metadata=within(1))
    valid_share: float
    p1: tuple[float, ...]
    p50: tuple[float, ...]
    p99: tuple[float, ...]

    def _check(self) -> None:
        require(
            0 < self.valid_share <= 1,
            f"valid_share must be above 0 and at most 1, got {self.valid_share}.",
        )
        for key in ("p50", "p99"):
            count, wanted = len(getattr(self, key)), len(self.p1)
            require(
                count == wanted,
                f"{key} must be a list of {wanted} like p1, got a list of {count}.",
            )
        for index, values in enumerate(zip(self.p1, self.p50, self.p99, strict=True)):
            low, middle, high = values
            require(
                low <= middle <= high,
                f"p50[{index}] must lie between p1 and p99, {low} and {high}, got "
                f"{middle}.",
            )
