"""Sensors of one value a pixel: depth, thermal and range cameras."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ...errors import ArgumentError, ManifestError
from ..schema import require, within
from ..units import parse_unit
from .numbers import NumbersInput

__all__ = ["DepthInput"]

_QUANTITIES = {
    "depth": ("length", "raw counts"),
    "range": ("length", "raw counts"),
    "thermal": ("temperature in kelvin", "temperature in Celsius", "raw counts"),
}


@dataclass(frozen=True, kw_only=True)
class DepthInput(NumbersInput):
    """A sensor of one value a pixel: its frames, ``(H, W)``, fill one channel, or more.

    In this order: unit, invalid mask, scale, clip, transform, resize, normalise, fill.
    The tensor's value is ``(v - mean[c]) / std[c]``, where ``v`` is the value that has
    been scaled, transformed and resized.

    Attributes:
        copies: How many channels it fills, each with the same frame; one if absent. 3
            where a plane is repeated for an encoder that takes three.
        unit: One step of the raw values: ``m``, ``cm``, ``mm``, ``um``, ``K`` or ``C``,
            with a factor in front if needed (``0.1mm``), or ``1`` for raw counts.
    """

    kind: Literal["depth", "thermal", "range"]
    copies: int | None = field(
        default=None, metadata={"key": "planes", **within(1, 64)}
    )
    unit: str

    @property
    def planes(self) -> int:
        return self.copies or 1

    @property
    def frame_shape(self) -> tuple[int | str, ...]:
        return ("H", "W")

    def _check(self) -> None:
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
        super()._check()
