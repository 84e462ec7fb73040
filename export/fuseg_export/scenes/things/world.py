"""Rooms of things that have names: each a kind, one of four colours, hot or cold."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, pi
from typing import NamedTuple

from ..decals import add_stains
from ..layout import Layout, sample_camera
from ..material_sampling import Rng, ceiling_material, paint, pick
from ..materials import Material
from ..world import Ball, Box, Cylinder, Finish, Light, Room, Thing, World
from .places import PLACES, place_materials

KINDS = ("crate", "ball", "drum", "post", "slab")
COLORS = ("red", "green", "blue", "yellow")
CRATE, BALL, DRUM, POST, SLAB = range(5)
MAX_THINGS = 6

_HUES = (0.0, 0.36, 0.62, 0.15)
_FAR_M = 3.8


class Attributes(NamedTuple):
    """What a thing is.

    Attributes:
        kind: Index into `KINDS`.
        color: Index into `COLORS`.
        hot: Whether it is warmer than the room; colour and depth do not show it.
    """

    kind: int
    color: int
    hot: bool


@dataclass(frozen=True)
class NamedWorld:
    """A world whose things have names.

    Attributes:
        world: Its ``things`` have the class ``kind + 1``, all else 0.
        attributes: Of each of ``world.things``, at most `MAX_THINGS`.
        place: Index into `PLACES`.
    """

    world: World
    attributes: tuple[Attributes, ...]
    place: int


def make_named_world(rng: Rng) -> NamedWorld:
    """A room of 3 to 7 m with up to six things where its camera looks."""
    size = (rng.uniform(3, 7), rng.uniform(3, 7), rng.uniform(2.4, 3.0))
    layout = Layout(rng, size, sample_camera(rng, size))
    place = int(rng.integers(len(PLACES)))
    floor, wall = place_materials(rng, place)

    attributes = []
    for _ in range(int(rng.integers(3, MAX_THINGS + 1))):
        kind, color = int(rng.integers(len(KINDS))), int(rng.integers(len(COLORS)))
        hot = bool(rng.random() < 0.5)
        thing = _placed(layout, kind, _colored(rng, color))
        if thing is not None:
            layout.things.append(thing)
            attributes.append(Attributes(kind, color, hot))
    add_stains(layout)

    west, east, south, north, below = (
        Finish(floor if side == 4 else wall, 0, patches=tuple(layout.patches[side]))
        for side in range(5)
    )
    above = Finish(ceiling_material(rng), 0)
    room = Room(size, (west, east, south, north, below, above))
    x, y = (rng.uniform(0.2, 0.8) * extent for extent in size[:2])
    power = rng.uniform(1.2, 3.2)
    lights = (Light((x, y, size[2] - 0.3), (power, power, power)),)
    world = World(
        room, tuple(layout.things), lights, layout.camera, rng.uniform(0.3, 0.6)
    )
    return NamedWorld(world, tuple(attributes), place)


def _placed(layout: Layout, kind: int, material: Material) -> Thing | None:
    """A thing on a free place of the floor; None if there is none."""
    rng = layout.rng
    if kind == CRATE:
        half = (rng.uniform(0.2, 0.38), rng.uniform(0.2, 0.38))
        radius, height = hypot(*half), rng.uniform(0.35, 0.8)
    elif kind == SLAB:
        half = (rng.uniform(0.35, 0.6), rng.uniform(0.25, 0.45))
        radius, height = hypot(*half), rng.uniform(0.1, 0.16)
    elif kind == BALL:
        radius = rng.uniform(0.2, 0.38)
        height = 2 * radius
    elif kind == DRUM:
        radius, height = rng.uniform(0.2, 0.33), rng.uniform(0.4, 0.8)
    else:
        radius, height = rng.uniform(0.06, 0.1), rng.uniform(1.0, 1.8)
    at = layout.free_position(radius, height / 2, _FAR_M)
    if at is None:
        return None
    layout.taken.append((*at, radius))
    center = (*at, height / 2)
    finish = Finish(material, kind + 1)
    if kind == BALL:
        return Ball(center, radius, finish)
    if kind in (DRUM, POST):
        return Cylinder(center, radius, height / 2, finish)
    gains = tuple(rng.uniform(0.8, 1.05, 6))
    return Box(center, (*half, height / 2), rng.uniform(-pi, pi), finish, gains)


def _colored(rng: Rng, color: int) -> Material:
    """Any pattern, in two shades of the colour."""
    hue = _HUES[color] + rng.uniform(-0.025, 0.025)
    value = rng.uniform(0.6, 0.95)
    return Material(
        pick(rng, ("plain", "stripes", "planks", "checks")),
        dark=paint(hue, rng.uniform(0.75, 0.95), value * 0.65),
        light=paint(hue, rng.uniform(0.6, 0.85), value),
        cell_m=rng.uniform(0.07, 0.25),
        turned=bool(rng.random() < 0.5),
        phase=rng.uniform(0.0, 10.0),
    )
