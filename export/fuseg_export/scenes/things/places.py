"""Three kinds of room, told apart by floor and walls."""

from __future__ import annotations

from ..material_sampling import Rng, paint, pick
from ..materials import Material

PLACES = ("home", "workshop", "office")


def place_materials(rng: Rng, place: int) -> tuple[Material, Material]:
    """Floor and wall of a room of that kind, an index into `PLACES`.

    Their colours are dull, so that no thing of a named colour looks like them.
    """
    return (_home, _workshop, _office)[place](rng)


def _home(rng: Rng) -> tuple[Material, Material]:
    """Brown boards, warm paint or wallpaper."""
    hue, value = rng.uniform(0.04, 0.1), rng.uniform(0.4, 0.7)
    floor = Material(
        "planks",
        dark=paint(hue, rng.uniform(0.35, 0.55), value * 0.8),
        light=paint(hue, rng.uniform(0.3, 0.45), value),
        cell_m=rng.uniform(0.1, 0.2),
        turned=bool(rng.random() < 0.5),
        phase=rng.uniform(0.0, 10.0),
    )
    hue, value = rng.uniform(0.05, 0.15), rng.uniform(0.75, 0.92)
    wall = Material(
        pick(rng, ("plain", "stripes")),
        dark=paint(hue, rng.uniform(0.12, 0.25), value * 0.9),
        light=paint(hue, rng.uniform(0.08, 0.2), value),
        cell_m=rng.uniform(0.06, 0.2),
        phase=rng.uniform(0.0, 10.0),
    )
    return floor, wall


def _workshop(rng: Rng) -> tuple[Material, Material]:
    """Concrete, and bricks as dark as it."""
    value = rng.uniform(0.35, 0.55)
    floor = Material(
        "speckle",
        dark=paint(0.1, 0.05, value * 0.75),
        light=paint(0.1, 0.05, value),
        cell_m=rng.uniform(0.02, 0.04),
        phase=rng.uniform(0.0, 10.0),
    )
    hue, value = rng.uniform(0.02, 0.06), rng.uniform(0.4, 0.6)
    wall = Material(
        "bricks",
        dark=paint(hue, 0.2, value * 0.7),
        light=paint(hue, rng.uniform(0.3, 0.4), value),
        cell_m=rng.uniform(0.1, 0.16),
        phase=rng.uniform(0.0, 10.0),
    )
    return floor, wall


def _office(rng: Rng) -> tuple[Material, Material]:
    """Tiles or carpet, and pale walls, bluish or white."""
    value = rng.uniform(0.5, 0.8)
    floor = Material(
        pick(rng, ("tiles", "checks", "plain")),
        dark=paint(0.6, 0.08, value * rng.uniform(0.7, 0.85)),
        light=paint(0.6, rng.uniform(0.0, 0.12), value),
        cell_m=rng.uniform(0.25, 0.5),
        phase=rng.uniform(0.0, 10.0),
    )
    value = rng.uniform(0.75, 0.92)
    wall = Material(
        "plain",
        dark=paint(0.58, 0.12, value * 0.9),
        light=paint(0.58, rng.uniform(0.02, 0.12), value),
        phase=rng.uniform(0.0, 10.0),
    )
    return floor, wall
