"""What an input's frames were like when the bundle was made."""

from __future__ import annotations

from dataclasses import dataclass

from .schema import Record, require

__all__ = ["Statistics"]


@dataclass(frozen=True)
class Statistics(Record):
    """The raw values of an input's frames, over all their pixels.

    In the manifest's unit, one number for each of a colour camera's channels in the
    manifest's order, else one; of readings alone. ``p1`` is what 1 % of them are below,
    and so on; ``valid_share`` is how many of the pixels are readings, 0 to 1.
    """

    frames: int
    valid_share: float
    p1: tuple[float, ...]
    p50: tuple[float, ...]
    p99: tuple[float, ...]

    def _check(self) -> None:
        require(self.frames >= 1, f"frames must be at least 1, got {self.frames}.")
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
