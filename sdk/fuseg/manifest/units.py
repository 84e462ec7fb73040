"""Units of raw sensor values: the words a manifest and a user may say."""

from __future__ import annotations

import re
from fractions import Fraction

from ..errors import ArgumentError

__all__ = ["parse_unit", "unit_factor"]

_DIMENSIONS = {
    "m": ("length", Fraction(1)),
    "cm": ("length", Fraction(1, 100)),
    "mm": ("length", Fraction(1, 1000)),
    "um": ("length", Fraction(1, 1_000_000)),
    "K": ("temperature in kelvin", Fraction(1)),
    "C": ("temperature in Celsius", Fraction(1)),
}
_SPELLING = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)?(m|cm|mm|um|K|C)")


def parse_unit(unit: str) -> tuple[str, Fraction]:
    """Read a unit such as ``"mm"``, ``"0.1mm"``, ``"0.01K"`` or ``"1"``.

    A unit is one of m, cm, mm, um, K, C, with a decimal factor in front if one
    raw step is not one of them; ``"1"`` stands for raw counts.

    Returns:
        The dimension in words, and the size of one raw step in that dimension's
        own base: metres, kelvin, degrees Celsius, or counts. Exact.

    Raises:
        ArgumentError: it is spelled otherwise, or its factor is 0.
    """
    if unit == "1":
        return "raw counts", Fraction(1)
    match = _SPELLING.fullmatch(unit) if isinstance(unit, str) else None
    if match is None or (match[1] and Fraction(match[1]) == 0):
        raise ArgumentError(
            "unit must be m, cm, mm, um, K or C, with a factor in front if needed "
            f"('0.1mm'), or '1' for raw counts, got {str(unit)[:40]!r}."
        )
    dimension, step = _DIMENSIONS[match[2]]
    return dimension, step * Fraction(match[1] or 1)


def unit_factor(given: str, wanted: str) -> float:
    """Return what a raw value in ``given`` is multiplied by to be in ``wanted``.

    The ratio is computed exactly and rounded once, to the nearest double.

    Raises:
        ArgumentError: a unit is misspelled, or the two measure different things.
            Celsius and kelvin do: they differ by an offset, not by a factor.

    Example:
        >>> unit_factor("0.1mm", "mm")
        0.1
        >>> unit_factor("m", "0.1mm")
        10000.0
    """
    given_dimension, given_step = parse_unit(given)
    wanted_dimension, wanted_step = parse_unit(wanted)
    if given_dimension != wanted_dimension:
        raise ArgumentError(
            f"unit must measure {wanted_dimension} like {wanted!r}, got {given!r}, "
            f"which measures {given_dimension}."
        )
    return float(given_step / wanted_step)
