"""How a depth-like sensor may deliver its frames: element types and units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError, Fault
from ..manifest import DepthInput
from ..manifest.units import parse_unit, unit_factor

__all__ = ["DepthFormat", "formats"]

_DELIVERED = ("uint16", "float32")  # what drivers deliver


@dataclass(frozen=True)
class DepthFormat:
    """Frames of one element type, and how their raw values are read.

    Attributes:
        dtype: Of the frames.
        unit: Of one raw step.
        scale: The manifest's, for values in this unit.
        invalid: Raw values that are no reading.
        valid_range: Lowest and highest raw value that is one, of float32 frames that
            stand for integers; else None.
    """

    dtype: np.dtype[Any]
    unit: str
    scale: float
    invalid: tuple[float, ...]
    valid_range: tuple[float, float] | None = None


def formats(
    spec: DepthInput, given: str | Mapping[str, str] | None
) -> dict[np.dtype[Any], DepthFormat]:
    """The frames an input takes, by element type.

    Args:
        spec: A depth-like input.
        given: What the user said of its unit: nothing, one unit for frames of any type,
            or one for each type. A type that is not the manifest's is taken only with
            a unit, and never 8 bits for more. One unit of a metre or more is not that
            of whole numbers, unless it is the manifest's.

    Raises:
        ArgumentError: a unit is misspelled or measures something else, or a type is
            none that is taken.
    """
    own: str = spec.dtype
    units = {own: spec.unit}
    if given is not None and not isinstance(given, Mapping):
        taken = dict.fromkeys((own, *_taken(spec)))
        units = {d: given for d in taken if not _too_coarse(spec, d, given)}
    elif given is not None:
        units |= given
        for dtype in units:
            if dtype not in (own, *_taken(spec)):
                words = " or ".join(dict.fromkeys((own, *_taken(spec))))
                raise ArgumentError.of(
                    Fault(
                        "units",
                        spec.name,
                        f"must name element types that it takes, {words}, got "
                        f"{dtype!r}.",
                    )
                )
    found = (_format(spec, dtype, unit) for dtype, unit in units.items())
    return {made.dtype: made for made in found}


def _taken(spec: DepthInput) -> tuple[str, ...]:
    # An 8-bit sensor's range is too small for what 16 bits hold.
    return _DELIVERED if spec.dtype != "uint8" else ("float32",)


def _too_coarse(spec: DepthInput, dtype: str, unit: str) -> bool:
    """Whether whole numbers in this unit are surely a mistake."""
    if dtype == "float32" or (dtype, unit) == (spec.dtype, spec.unit):
        return False
    try:
        dimension, step = parse_unit(unit)
    except ArgumentError:
        return False  # refused where it is read
    return dimension == "length" and step >= 1


def _format(spec: DepthInput, dtype: str, unit: str) -> DepthFormat:
    try:
        factor = unit_factor(unit, spec.unit)
    except ArgumentError as err:
        problem = str(err).removeprefix("unit ")
        raise ArgumentError.of(Fault("units", spec.name, problem)) from None
    made = np.dtype(dtype)
    scale = spec.scale * factor
    if dtype == spec.dtype:
        return DepthFormat(made, unit, scale, spec.invalid)
    if dtype == "float32":
        invalid, valid_range = _of_floats(spec, factor)
        return DepthFormat(made, unit, scale, invalid, valid_range)
    return DepthFormat(made, unit, scale, _of_integers(spec, factor, made))


def _of_floats(
    spec: DepthInput, factor: float
) -> tuple[tuple[float, ...], tuple[float, float]]:
    """No reading: what the manifest's integers cannot hold, or have for no reading.

    A value counts as the integer that it would be rounded to.
    """
    invalid = set(spec.invalid)
    low, high = 0, int(np.iinfo(spec.dtype).max)
    while low in invalid:
        low += 1
    while high in invalid:
        high -= 1
    within = sorted(value for value in invalid if low < value < high)
    # As drivers scale them, in float32 or in double: equal, or one step apart.
    step = np.float32(1 / factor)
    marks = {float(np.float32(v / factor)) for v in within}
    marks |= {float(np.float32(v) * step) for v in within}
    return tuple(sorted(marks)), ((low - 0.5) / factor, (high + 0.5) / factor)


def _of_integers(
    spec: DepthInput, factor: float, dtype: np.dtype[Any]
) -> tuple[float, ...]:
    """No reading: the manifest's values in this unit; of a distance, 0 and the largest
    integer too, which stand for "none" and "too far" where there is no NaN."""
    largest = int(np.iinfo(dtype).max)
    none = {0, largest} if parse_unit(spec.unit)[0] == "length" else set()
    for value in spec.invalid:
        raw = value / factor
        if abs(raw - round(raw)) < 1e-3 and 0 <= round(raw) <= largest:
            none.add(round(raw))
    return tuple(sorted(none))
