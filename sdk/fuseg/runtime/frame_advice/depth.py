"""Frames of depth-like sensors in other element types, with or without a unit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ...cuda.array_view import CudaArrayView
from ...manifest import DepthInput
from ...manifest.units import parse_unit
from .advice import ANOTHER_SENSOR, NONE, Advice

__all__ = ["DepthAdvice"]

_BASE = {"length": "m", "temperature in kelvin": "K", "temperature in Celsius": "C"}
_COUNTS = "1"

Units = Mapping[np.dtype[Any], str]


class DepthAdvice:
    """See `KindAdvice`.

    Args:
        units: The element types that are taken, and the unit of each.
    """

    def __init__(self, spec: DepthInput, units: Units) -> None:
        self.name, self._spec, self._units = spec.name, spec, units

    @property
    def dtypes(self) -> Collection[np.dtype[Any]]:
        return self._units.keys()

    @property
    def no_value_for_masked(self) -> str:
        name = self.name
        return (
            "The bundle has no raw value for no reading; NaN is one: "
            f"{name}.astype(np.float32).filled(np.nan), loaded with "
            f"units={{{name!r}: {self._spec.unit!r}}}."
        )

    def shape(self, array: Any) -> tuple[str | int, ...]:  # noqa: ARG002
        return ("H", "W")

    def how_to_convert(self, found: np.dtype[Any]) -> Advice:
        return _how_to_convert(self._spec, found, self._units)

    def how_to_reshape(self, array: Any) -> Advice:
        name = self.name
        if array.ndim != 3:
            return NONE
        if array.shape[2] == 1:
            return Advice(
                f"Drop the last axis: {name}[..., 0].", "Save it without the last axis."
            )
        if not isinstance(array, CudaArrayView) and (array == array[..., :1]).all():
            return Advice(
                "Its planes are equal; take one: "
                f"np.ascontiguousarray({name}[..., 0]).",
                "Its planes are equal: save one of them.",
            )
        return NONE

    def what_it_may_be(self, array: Any) -> Advice:
        if array.dtype == np.uint8:
            return self.how_to_convert(array.dtype)
        return ANOTHER_SENSOR


def _how_to_convert(spec: DepthInput, found: np.dtype[Any], units: Units) -> Advice:
    name = spec.name
    if found == np.uint8:
        lost = "An 8-bit image has lost the sensor's values:"
        return Advice(
            f"{lost} take the raw frame, from a file with cv2.imread(path, "
            "cv2.IMREAD_UNCHANGED).",
            f"{lost} give the one that the sensor's driver stored.",
        )
    if found.kind == "f":
        cast = f"{name}.astype(np.float32)"
        if np.dtype(np.float32) in units:
            return Advice(f"Convert it: {cast}.", "Save it as float32.")
        base = _BASE.get(parse_unit(spec.unit)[0], _COUNTS)
        if found == np.float32:
            return _say_the_unit(name, base)
        said, option = _say_the_unit(name, base)
        return Advice(
            f"Convert it: {cast}. {said}",
            f"Save it as float32. {option}",
        )
    if spec.dtype == "uint8":
        said = "How its 16 bits became the 8 that the network knows is not known here."
        return Advice(said, said)
    if found == np.uint16:
        unit = _usual_unit(spec)
        each = {"uint16": unit} | {str(dtype): of for dtype, of in units.items()}
        return Advice(
            "Say the unit of each type when loading, such as "
            f"units={{{name!r}: {each}}}.",
            f"Say the unit of these files, such as --unit {name}={unit}.",
        )
    if found.kind in "iu":
        return _integer_advice(spec)
    return NONE


def _usual_unit(spec: DepthInput) -> str:
    """Of 16-bit frames."""
    length = parse_unit(spec.unit)[0] == "length"
    return "mm" if length and spec.dtype == "float32" else spec.unit


def _say_the_unit(name: str, unit: str) -> Advice:
    return Advice(
        f"Say its unit when loading, such as units={{{name!r}: {unit!r}}}.",
        f"Say its unit, such as --unit {name}={unit}.",
    )


def _integer_advice(spec: DepthInput) -> Advice:
    """Of integers that may be below 0 or above 65535: those become no reading."""
    name = spec.name
    converted = f"np.clip({name}, 0, 65535).astype(np.uint16)"
    if spec.dtype == "uint16" and spec.invalid and not {0, 65535} <= {*spec.invalid}:
        none = spec.invalid[0]
        converted = (
            f"np.where(({name} >= 0) & ({name} <= 65535), {name}, {none})"
            ".astype(np.uint16)"
        )
    python, command = f"Convert it: {converted}.", "Save it as uint16."
    if spec.dtype == "float32":
        said, option = _say_the_unit(name, _usual_unit(spec))
        return Advice(f"{python} {said}", f"{command} {option}")
    return Advice(python, command)
