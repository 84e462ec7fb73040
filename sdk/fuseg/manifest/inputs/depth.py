"""Sensors of one value a pixel: depth, thermal and range cameras."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ...errors import ArgumentError, ManifestError
from ..schema import require, within
from ..units import parse_unit
from .base import BaseImageInput

__all__ = ["DepthInput", "require_readings"]

_QUANTITIES = {
    "depth": ("length", "raw counts"),
    "range": ("length", "raw counts"),
    "thermal": ("temperature in kelvin", "temperature in Celsius", "raw counts"),
}
_LARGEST_RAW = {"uint8": 255, "uint16": 65535}


@dataclass(frozen=True, kw_only=True)
class DepthInput(BaseImageInput):
    """A sensor of one value a pixel: its frames, ``(H, W)``, fill one channel, or more.

    In this order: unit, invalid mask, resize, normalise, fill. The tensor's value is
    ``(v * scale - mean[c]) / std[c]``, where ``v`` is the resized frame's value.

    Attributes:
        copies: How many channels it fills, each with the same frame; one if absent. 3
            where a plane is repeated for an encoder that takes three.
        unit: One step of the raw values: ``m``, ``cm``, ``mm``, ``um``, ``K`` or ``C``,
            with a factor in front if needed (``0.1mm``), or ``1`` for raw counts.
        invalid: Raw values that are no reading. NaN, infinity, and what overflows
            float32 in the tensor never are a reading.
    """

    kind: Literal["depth", "thermal", "range"]
    copies: int | None = field(
        default=None, metadata={"key": "planes", **within(1, 64)}
    )
    unit: str
    invalid: tuple[int | float, ...] = ()

    @property
    def planes(self) -> int:
        return self.copies or 1

    @property
    def frame_shape(self) -> tuple[int | str, ...]:
        return ("H", "W")

    def _check_kind(self) -> None:
        kind = self.kind
        try:
            quantity, _ = parse_unit(self.unit)
        except ArgumentError as err:
            raise ManifestError(str(err)) from None
        require(
            quantity in _QUANTITIES[kind],
            f"unit must fit kind {kind!r}, got {self.unit!r}, which measures "
            f"{quantity}.",
        )
        require_readings(self, self.invalid)


def require_readings(entry: BaseImageInput, invalid: tuple[int | float, ...]) -> None:
    """Refuse what frames with holes in them cannot be, and values they cannot hold."""
    require(
        entry.resize.filter != "bilinear-antialias",
        f"resize.filter must be 'nearest', 'nearest-exact' or 'bilinear' for kind "
        f"{entry.kind!r}, got 'bilinear-antialias', which is for colour.",
    )
    top = _LARGEST_RAW.get(entry.dtype)
    for index, value in enumerate(invalid):
        require(
            top is None or (isinstance(value, int) and 0 <= value <= top),
            f"invalid[{index}] must be a whole number from 0 to {top}, as the "
            f"frames are {entry.dtype}, got {value}.",
        )
