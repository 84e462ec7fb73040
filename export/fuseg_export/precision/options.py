"""What ``fuseg export`` is asked for in other precisions than float32."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fuseg.errors import ArgumentError

__all__ = ["FP32", "KINDS", "Budget", "Precision", "parse_kinds"]

KINDS = ("fp32", "fp16", "int8")
_USED = 0.75  # of a budget, on the frames that layers are chosen by


@dataclass(frozen=True)
class Budget:
    """What a variant may lose against float32 before it is refused.

    Attributes:
        miou_drop: Of the mean IoU, where the truth is known.
        class_drop: Of the IoU of any class.
        agreement: Share of equal labels that there must be where it is not known.
        share: How much of its own budget an output of another kind may use.
    """

    miou_drop: float = 0.005
    class_drop: float = 0.02
    agreement: float = 0.995
    share: float = 1.0

    @classmethod
    def of(cls, miou_drop: float | None, agreement: float | None) -> Budget:
        """What the user says of it; a larger drop lets each class lose four times as
        much."""
        drop = cls.miou_drop if miou_drop is None else miou_drop
        least = cls.agreement if agreement is None else agreement
        return cls(drop, max(cls.class_drop, 4 * drop), least)

    def with_reserve(self) -> Budget:
        """Three quarters of each loss, since other frames may be harder; but all of a
        class's, which one frame of few decides."""
        agreement = 1 - (1 - self.agreement) * _USED
        return Budget(
            self.miou_drop * _USED, self.class_drop, agreement, self.share * _USED
        )


@dataclass(frozen=True)
class Precision:
    """Which variants to make beside fp32, and what they may lose.

    Attributes:
        kinds: Of `KINDS`, fp32 among them.
        auto: Whether variants that are over the budget or not faster are not missed; if
            not, they were asked for.
        calibration: Frames to calibrate on, sources by input name.
        method: See `calibrate.calibrate`.
        cache: See `calibrate.cached`; None: nothing is kept.
        budget: Against fp32.
    """

    kinds: tuple[str, ...] = ("fp32",)
    auto: bool = False
    calibration: Mapping[str, str] | None = None
    method: str = "minmax"
    cache: Path | None = None
    budget: Budget = field(default_factory=Budget)


FP32 = Precision()


def parse_kinds(words: str) -> tuple[tuple[str, ...], bool]:
    """Read ``--precision``: kinds joined by commas, or ``auto``, which is all of them.

    Returns:
        The kinds, fp32 first, and whether it was ``auto``.

    Raises:
        ArgumentError: A word is none of them.
    """
    if words == "auto":
        return KINDS, True
    kinds = tuple(dict.fromkeys(["fp32", *words.split(",")]))
    if not set(kinds) <= set(KINDS):
        raise ArgumentError(
            f"--precision must be auto, or of {', '.join(KINDS)} joined by commas, "
            f"got {words!r}."
        )
    return kinds, False
