"""Which variants go into the bundle, in which order, and why others do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..outputs.comparison import way_out
from .built_variant import BuiltVariant
from .options import Budget, Precision

__all__ = ["FASTER", "over_budget", "rank", "refusal", "slow"]

FASTER = 0.95  # of fp32's time: what INT8 must reach to be worth its labels


def refusal(
    variant: BuiltVariant, fp32: BuiltVariant, precision: Precision
) -> str | None:
    """Why a variant is left out; None if it is not."""
    if variant.comparison is None:
        return None
    over, mixed = variant.over(precision.budget), variant.mixed_precision
    if over is not None and mixed is not None and mixed.stopped is not None:
        return f"{over}; {mixed.stopped}"
    if over is not None or not precision.auto or variant.name != "int8-cpu":
        return over
    if _faster(variant, fp32):
        return None
    return f"it is not faster here: {_times(variant, fp32)}"


def slow(built: Sequence[BuiltVariant], fp32: BuiltVariant) -> Iterator[str]:
    """A sentence on INT8 that was asked for, is kept, and is not faster here."""
    for variant in built:
        kept = variant.refused is None and variant.name == "int8-cpu"
        if kept and variant.times and not _faster(variant, fp32):
            yield f"{variant.name} is not faster here: {_times(variant, fp32)}"


def over_budget(built: Sequence[BuiltVariant], budget: Budget) -> Iterator[str]:
    """Of each that is left out, why, and what to do about it."""
    for variant in built:
        if variant.refused is not None:
            to_do = way_out(variant.comparisons, budget)
            yield f"{variant.name} is left out: {variant.refused}; {to_do}"


def rank(variant: BuiltVariant, fp32: BuiltVariant) -> int:
    """Kept before refused; INT8 before fp32 only where it is faster."""
    if variant.refused is not None:
        return 3
    if variant.name == "fp32":
        return 1
    return 0 if variant.name == "int8-cpu" and _faster(variant, fp32) else 2


def _times(*variants: BuiltVariant) -> str:
    return " against ".join(
        f"{ms:.2f} ms of {v.name} ({backend})"
        for v in variants
        for backend, ms in [v.fastest or ("no backend", 0.0)]
    )


def _faster(variant: BuiltVariant, fp32: BuiltVariant) -> bool:
    if variant.fastest is None or fp32.fastest is None:
        return False
    return variant.fastest[1] < fp32.fastest[1] * FASTER
