"""Procedural textures, evaluated only where a ray has landed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pattern = Literal[
    "plain", "planks", "tiles", "bricks", "checks", "stripes", "speckle", "ribs"
]
Rgb = tuple[float, float, float]

# One period of a hash: cells that repeat after 1024 steps repeat outside any room.
_HASH = np.random.default_rng(20).random(1024, dtype=np.float32)


@dataclass(frozen=True)
class Material:
    """A two-colour pattern in metres of its surface.

    Attributes:
        pattern: Which texture.
        dark: Linear reflectance where the pattern is 0, each channel in [0, 1].
        light: Linear reflectance where the pattern is 1.
        cell_m: Size of one plank, tile, check, stripe or speck, metres.
        turned: Swaps the two texture axes.
        phase: Shifts the pattern and its hash, any number.
    """

    pattern: Pattern
    dark: Rgb
    light: Rgb
    cell_m: float = 0.2
    turned: bool = False
    phase: float = 0.0


def reflectance(
    material: Material, u: Floats, v: Floats, footprint_m: Floats
) -> Floats:
    """Evaluate a material at points of its surface.

    Args:
        material: The texture.
        u: First surface coordinate, shape ``(N,)``, metres.
        v: Second surface coordinate, shape ``(N,)``, metres.
        footprint_m: How much surface a pixel sees, shape ``(N,)``, metres.
            Detail finer than that fades to its mean instead of flickering.

    Returns:
        Linear RGB in [0, 1.1], shape ``(3, N)``, float32.
    """
    if material.turned:
        u, v = v, u
    cell = np.float32(1.0 / material.cell_m)
    phase = np.float32(material.phase)
    value = _pattern(material.pattern, u * cell + phase, v * cell + phase, phase)
    if material.pattern != "plain":
        fade: Floats = 1.0 / (1.0 + np.square(footprint_m * (2.0 * cell)))
        value = 0.5 + (value - 0.5) * fade
    # Stains, about a metre wide: no real surface is of one colour.
    stain = np.sin(2.9 * u + 1.7 * v + phase)
    stain *= np.sin(3.7 * v - 1.3 * u + 2.0 * phase)
    gain = 1.0 + 0.07 * stain
    dark = np.asarray(material.dark, np.float32)[:, None]
    light = np.asarray(material.light, np.float32)[:, None]
    color: Floats = (dark + (light - dark) * value) * gain
    return color


def _pattern(pattern: Pattern, a: Floats, b: Floats, phase: np.float32) -> Floats:
    """The pattern's value in [0, 1] at ``a``, ``b``, counted in cells."""
    if pattern == "plain":
        return np.full_like(a, 0.5)
    if pattern == "stripes":
        return _soft(_wave(0.5 * a))
    if pattern == "ribs":
        return 0.5 + 0.5 * _wave(a)
    if pattern == "checks":
        return _soft(4.0 * _wave(0.5 * a) * _wave(0.5 * b))
    row: Floats = np.floor(b)
    if pattern == "speckle":
        return _hash(np.floor(a), row, phase)
    if pattern == "planks":
        grain: Floats = np.sin(a * 1.9 + 9.0 * b + 2.0 * np.sin(0.8 * a))
        shade = 0.3 + 0.5 * _hash(np.floor(0.15 * a + 0.37 * row), row, phase)
        return (shade + 0.15 * grain) * _joint(b - row, 0.05)
    if pattern == "bricks":
        odd: Floats = row - 2.0 * np.floor(0.5 * row)
        a = 0.45 * a + 0.5 * odd
    column: Floats = np.floor(a)
    shade = 0.55 + 0.45 * _hash(column, row, phase)
    return shade * _joint(a - column, 0.04) * _joint(b - row, 0.04)


def _wave(turns: Floats) -> Floats:
    """A sine of period 1."""
    wave: Floats = np.sin(np.float32(2.0 * np.pi) * turns)
    return wave


def _soft(wave: Floats) -> Floats:
    """A wave's sign, as 0 or 1, with a short slope in between."""
    step: Floats = np.clip(0.5 + 3.0 * wave, 0.0, 1.0)
    return step


def _joint(fraction: Floats, width: float) -> Floats:
    """0 in the gap between two cells, else 1."""
    solid: NDArray[np.bool_] = np.abs(fraction - 0.5) < 0.5 - width
    return solid.astype(np.float32)


def _hash(column: Floats, row: Floats, phase: np.float32) -> Floats:
    """A fixed random number in [0, 1) for each cell."""
    index = column.astype(np.int32) * 73 + row.astype(np.int32) * 179
    number: Floats = _HASH[(index + int(phase * 97)) & 1023]
    return number
