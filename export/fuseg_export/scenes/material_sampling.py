"""Random materials for a room and the things in it."""

from __future__ import annotations

from colorsys import hsv_to_rgb

import numpy as np

from .materials import Material, Pattern, Rgb

Rng = np.random.Generator


def paint(hue: float, saturation: float, value: float) -> Rgb:
    """Linear reflectance of a colour given as on a screen, each in [0, 1]."""
    red, green, blue = hsv_to_rgb(hue % 1.0, saturation, value)
    return red * red, green * green, blue * blue


def pick(rng: Rng, patterns: tuple[Pattern, ...]) -> Pattern:
    """One of the patterns."""
    return patterns[int(rng.integers(len(patterns)))]


def count(rng: Rng, *choices: int) -> int:
    """One of the numbers; a number given twice is twice as likely."""
    return choices[int(rng.integers(len(choices)))]


def floor_material(rng: Rng) -> Material:
    """Boards, tiles, concrete or carpet: dull colours only."""
    pattern = pick(rng, ("planks", "planks", "tiles", "speckle", "plain", "checks"))
    hue, value = rng.uniform(0.04, 0.13), rng.uniform(0.4, 0.75)
    saturation = rng.uniform(0.25, 0.55) if pattern == "planks" else rng.uniform(0, 0.2)
    cells = {"planks": (0.1, 0.2), "tiles": (0.25, 0.5), "checks": (0.25, 0.5)}
    return Material(
        pattern,
        dark=paint(hue, saturation, value * rng.uniform(0.72, 0.9)),
        light=paint(hue, saturation * 0.8, value),
        cell_m=rng.uniform(*cells.get(pattern, (0.02, 0.04))),
        turned=bool(rng.random() < 0.5),
        phase=rng.uniform(0.0, 10.0),
    )


def wall_material(rng: Rng) -> Material:
    """Paint, wallpaper, brick or plaster: pale."""
    pattern = pick(rng, ("plain", "plain", "stripes", "speckle", "bricks"))
    hue, saturation = rng.random(), rng.uniform(0.0, 0.16)
    value = rng.uniform(0.68, 0.92)
    cells = {"stripes": (0.06, 0.2), "bricks": (0.1, 0.16)}
    return Material(
        pattern,
        dark=paint(hue, saturation * 1.3, value * rng.uniform(0.85, 0.93)),
        light=paint(hue, saturation, value),
        cell_m=rng.uniform(*cells.get(pattern, (0.03, 0.06))),
        phase=rng.uniform(0.0, 10.0),
    )


def ceiling_material(rng: Rng) -> Material:
    """White, plain or tiled."""
    value = rng.uniform(0.85, 0.97)
    hue, saturation = rng.random(), rng.uniform(0.0, 0.05)
    return Material(
        pick(rng, ("plain", "plain", "tiles")),
        dark=paint(hue, saturation, value * 0.88),
        light=paint(hue, saturation, value),
        cell_m=rng.uniform(0.5, 0.7),
        phase=rng.uniform(0.0, 10.0),
    )


def crate_material(rng: Rng) -> Material:
    """Slatted wood, orange to yellow."""
    hue, value = rng.uniform(0.06, 0.22), rng.uniform(0.4, 0.85)
    return Material(
        "planks",
        dark=paint(hue, rng.uniform(0.75, 0.9), value * 0.5),
        light=paint(hue, rng.uniform(0.55, 0.75), value),
        cell_m=rng.uniform(0.07, 0.13),
        turned=bool(rng.random() < 0.3),
        phase=rng.uniform(0.0, 10.0),
    )


def bin_material(rng: Rng) -> Material:
    """Ribbed plastic, green to blue."""
    hue, value = rng.uniform(0.16, 0.32), rng.uniform(0.4, 0.85)
    return Material(
        pick(rng, ("ribs", "stripes", "plain")),
        dark=paint(hue, rng.uniform(0.6, 0.9), value * 0.75),
        light=paint(hue, rng.uniform(0.5, 0.85), value),
        cell_m=rng.uniform(0.05, 0.12),
        turned=bool(rng.random() < 0.3),
        phase=rng.uniform(0.0, 10.0),
    )


def ball_material(rng: Rng) -> Material:
    """Anything: a ball is known by its shape."""
    hue = rng.random()
    return Material(
        pick(rng, ("plain", "stripes", "checks", "plain")),
        dark=paint(hue + rng.uniform(-0.3, 0.3), rng.uniform(0, 0.9), 0.8),
        light=paint(hue, rng.uniform(0.2, 0.9), rng.uniform(0.4, 0.95)),
        cell_m=rng.uniform(0.1, 0.3),
        turned=bool(rng.random() < 0.5),
        phase=rng.uniform(0.0, 10.0),
    )


def decal_material(rng: Rng) -> Material:
    """Cloth or paper: purple to red, unlike rooms and boxes; a third is faded."""
    hue = rng.uniform(0.74, 1.02)
    ink = rng.uniform(0.05, 0.3) if rng.random() < 0.35 else 1.0
    value = rng.uniform(0.6, 0.9)
    return Material(
        pick(rng, ("plain", "checks", "stripes", "speckle", "ribs")),
        dark=paint(
            hue + rng.uniform(-0.08, 0.08),
            ink * rng.uniform(0.5, 0.85),
            value - ink * 0.3,
        ),
        light=paint(hue, ink * rng.uniform(0.35, 0.8), value),
        cell_m=rng.uniform(0.06, 0.2),
        turned=bool(rng.random() < 0.5),
        phase=rng.uniform(0.0, 10.0),
    )
