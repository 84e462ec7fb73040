"""Variants beside the float32 network: what is counted, and what is too much."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset.scoring import Score

from ..precision.options import Budget

__all__ = [
    "SHOWN",
    "Comparison",
    "Evaluation",
    "Tally",
    "over",
    "way_out",
    "worst_of",
]

SHOWN = 4  # frames that a report shows


@dataclass(frozen=True)
class Comparison:
    """One output of a variant beside the float32 network's, on the same frames.

    Attributes:
        frames: How many.
        agreement: Share of equal results: of pixels with the same label; for other
            kinds see `outputs`.
        max_abs_logit_diff: Largest difference of one value of the tensor.
        miou: Of the variant; None without truth.
        miou_drop: The float32 network's less the variant's.
        interval: Of ``miou_drop``: 95 % of 1000 paired bootstrap draws of the frames.
        worst_class: The class that loses most IoU.
        worst_drop: What it loses.
        worst_frames: Numbers of the frames that agree least, the worst first.
    """

    frames: int
    agreement: float
    max_abs_logit_diff: float
    miou: float | None = None
    miou_drop: float | None = None
    interval: tuple[float, float] | None = None
    worst_class: str | None = None
    worst_drop: float | None = None
    worst_frames: tuple[int, ...] = ()

    def over(self, budget: Budget) -> str | None:
        """What is over the budget, in words; None if nothing is."""
        faults = []
        if not math.isfinite(self.max_abs_logit_diff):
            faults.append("it gives scores that are NaN or infinite")
        if self.miou_drop is None and self.agreement < budget.agreement:
            faults.append(
                f"{_told(self.agreement, budget.agreement)} of the labels agree with "
                f"fp32's, fewer than {budget.agreement}"
            )
        if self.miou_drop is not None and self.miou_drop > budget.miou_drop:
            faults.append(
                f"mIoU falls by {_told(self.miou_drop, budget.miou_drop)}, more than "
                f"{budget.miou_drop}"
            )
        if self.worst_drop is not None and self.worst_drop > budget.class_drop:
            faults.append(
                f"IoU of {self.worst_class} falls by "
                f"{_told(self.worst_drop, budget.class_drop)}, more than "
                f"{budget.class_drop}"
            )
        return "; ".join(faults) or None


def _told(value: float, limit: float) -> str:
    """With as many decimals as tell it from the limit, four or more."""
    decimals = 4
    while round(value, decimals) == round(limit, decimals) and decimals < 9:
        decimals += 1
    return f"{value:.{decimals}f}"


def over(comparisons: Mapping[str, Comparison], budget: Budget) -> str | None:
    """What is over the budget, by output name; None if nothing is."""
    faults = {name: found.over(budget) for name, found in comparisons.items()}
    named = len(faults) > 1
    return (
        "; ".join(f"{n}: {f}" if named else f for n, f in faults.items() if f) or None
    )


def way_out(comparisons: Mapping[str, Comparison], budget: Budget) -> str:
    """What to do about results that are over the budget."""
    others = (
        "give other calibration frames, --calibration, or another --calibration-method"
    )
    truth = {"raise --max-miou-drop": {"miou_drop": 1.0, "class_drop": 1.0}}
    labels = {"lower --min-agreement": {"agreement": 0.0}}
    for options in (truth, labels, truth | labels):
        wider = budget
        for changes in options.values():
            wider = replace(wider, **changes)
        if over(comparisons, wider) is None:
            return f"{' and '.join(options)}, or {others}"
    return others


@dataclass(frozen=True)
class Evaluation:
    """One output of the float32 network and of its variants, on the same frames.

    Attributes:
        frames: How many.
        fp32: The score of the float32 network; None without truth, or where all of it
            is ignored.
        scores: Those of the variants, by name; empty where ``fp32`` is None.
        comparisons: The variants beside the float32 network, by name.
        worst_frames: Numbers of those where most labels of the float32 network are
            wrong, the worst first; where truth is known.
    """

    frames: int
    fp32: Score | None
    scores: dict[str, Score]
    comparisons: dict[str, Comparison]
    worst_frames: tuple[int, ...] = ()


class Tally(Protocol):
    """Compares the variants' tensors with the float32 network's, frame by frame."""

    def add(
        self,
        truth: NDArray[np.uint8] | None,
        fp32: NDArray[Any],
        variants: Mapping[str, NDArray[Any]],
    ) -> None: ...

    def done(self) -> Evaluation: ...


def worst_of(equal: Collection[float]) -> tuple[int, ...]:
    """Numbers of the frames that agree least, of those that do not agree."""
    values = list(equal)
    order = np.argsort(values, kind="stable")[:SHOWN]
    return tuple(int(i) for i in order if values[i] < 1)
