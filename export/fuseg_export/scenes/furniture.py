"""A random room, furnished where its camera looks."""

from __future__ import annotations

from math import hypot, pi

from . import classes, decals
from .layout import Layout, sample_camera
from .material_sampling import (
    Rng,
    ball_material,
    bin_material,
    ceiling_material,
    count,
    crate_material,
    floor_material,
    wall_material,
)
from .materials import Material
from .world import Ball, Box, Cylinder, Finish, Light, Room, Thing, Vec, World


def make_room(rng: Rng) -> World:
    """A room of 3 to 7 m, furnished where its camera looks."""
    size = (rng.uniform(3, 7), rng.uniform(3, 7), rng.uniform(2.4, 3.0))
    layout = Layout(rng, size, sample_camera(rng, size))
    floor, wall = (
        floor_material(rng),
        wall_material(rng),
    )

    # Fewer real than painted ones, so that a photograph cannot tell.
    for things, numbers in ((layout.things, (1, 1, 2)), (layout.painted, (2, 3, 3))):
        for _ in range(count(rng, *numbers)):
            _add_platform(layout, things, floor)
        for _ in range(count(rng, *numbers)):
            _add_pillar(layout, things, wall)
    # Neither hue nor height alone tells a crate from a bin.
    for material, label, heights in (
        (crate_material, classes.CRATE, (0.2, 0.46)),
        (bin_material, classes.BIN, (0.3, 0.58)),
    ):
        for _ in range(count(rng, 0, 1, 1, 2, 2, 2)):
            _add_crate(layout, material(rng), label, heights)
    for _ in range(count(rng, 0, 1, 1, 2, 2)):
        _add_ball(layout)
    if rng.random() < 0.25:
        _add_clutter(layout)
    for _ in range(count(rng, 1, 1, 2)):
        decals.add_rug(layout)
    for _ in range(count(rng, 1, 2, 2)):
        decals.add_poster(layout)
    decals.add_stains(layout)

    finishes = [
        Finish(wall, classes.WALL, patches=tuple(layout.patches[side]))
        for side in range(4)
    ]
    finishes.append(Finish(floor, classes.FLOOR, patches=tuple(layout.patches[4])))
    finishes.append(Finish(ceiling_material(rng), classes.CEILING))
    west, east, south, north, below, above = finishes
    room = Room(size, (west, east, south, north, below, above))
    # Mostly diffuse light: it hides edges between sides of one material.
    share = rng.uniform(0.1, 0.3) if rng.random() < 0.8 else 1.0
    lights = tuple(_light(rng, size, share) for _ in range(count(rng, 1, 2)))
    ambient = rng.uniform(0.3, 0.6) + (1.0 - share) * 0.4
    return World(
        room,
        tuple(layout.things),
        lights,
        layout.camera,
        ambient,
        tuple(layout.painted),
    )


def _light(rng: Rng, size: Vec, share: float) -> Light:
    power, warmth = share * rng.uniform(1.2, 3.2), rng.uniform(-0.1, 0.1)
    x, y = (rng.uniform(0.2, 0.8) * extent for extent in size[:2])
    rgb = (power * (1 + warmth), power, power * (1 - warmth))
    return Light((x, y, size[2] - rng.uniform(0.1, 0.5)), rgb)


def _add_platform(layout: Layout, things: list[Thing], floor: Material) -> None:
    """A low block with the material of the floor."""
    rng = layout.rng
    half = (rng.uniform(0.3, 0.65), rng.uniform(0.3, 0.65))
    height = rng.uniform(0.02, 0.14)
    radius = hypot(*half)
    at = layout.free_position(radius, height, 4.5)
    if at is None:
        return
    layout.taken.append((*at, radius))
    # The top is exactly as bright as the floor.
    gains = (*rng.uniform(0.96, 1.03, 5), 1.0)
    yaw = rng.uniform(-pi, pi)
    center, extent = (*at, height / 2), (*half, height / 2)
    finish = Finish(floor, classes.PLATFORM)
    things.append(Box(center, extent, yaw, finish, gains, True))


def _add_pillar(layout: Layout, things: list[Thing], wall: Material) -> None:
    """A block that juts out of a wall, with its material."""
    rng = layout.rng
    position = layout.free_wall_position(rng.uniform(0.5, 1.8))
    if position is None:
        return
    side, along = position
    out, wide = rng.uniform(0.03, 0.2), rng.uniform(0.12, 0.4)
    kind = rng.random()
    if kind < 0.5:
        low, high = 0.0, layout.size[2]
    elif kind < 0.8:
        low, high = 0.0, rng.uniform(0.9, 2.0)
    else:
        low = rng.uniform(0.5, 1.1)
        high = low + rng.uniform(0.5, 1.0)
    across = out / 2 if side % 2 == 0 else layout.size[side // 2] - out / 2
    x, y = (across, along) if side < 2 else (along, across)
    radius = max(wide, out / 2)
    if not layout.free(x, y, radius):
        return
    if hypot(x - layout.camera.position[0], y - layout.camera.position[1]) < 1.2:
        return
    layout.taken.append((x, y, radius))
    half_xy = (out / 2, wide) if side < 2 else (wide, out / 2)
    gains = rng.uniform(0.96, 1.04, 6)
    gains[side ^ 1] = 1.0  # the front is exactly as bright as the wall
    center, extent = (x, y, (low + high) / 2), (*half_xy, (high - low) / 2)
    finish = Finish(wall, classes.PILLAR)
    things.append(Box(center, extent, 0.0, finish, tuple(gains), True))


def _add_crate(
    layout: Layout, material: Material, label: int, heights: tuple[float, float]
) -> None:
    """A box on the floor, its height between ``heights``, metres."""
    rng = layout.rng
    half = (rng.uniform(0.1, 0.24), rng.uniform(0.1, 0.24))
    height = rng.uniform(*heights)
    at = layout.free_position(hypot(*half), height / 2, 4.2)
    if at is None:
        return
    layout.taken.append((*at, hypot(*half)))
    gains = tuple(rng.uniform(0.85, 1.05, 6))
    loss = rng.uniform(0.1, 0.5) if rng.random() < 0.2 else 0.0
    finish = Finish(material, label, depth_loss=loss)
    extent = (*half, height / 2)
    yaw = rng.uniform(-pi, pi)
    layout.things.append(Box((*at, height / 2), extent, yaw, finish, gains))


def _add_ball(layout: Layout) -> None:
    """A ball on the floor."""
    rng = layout.rng
    radius = rng.uniform(0.07, 0.2)
    at = layout.free_position(radius, radius, 3.8)
    if at is None:
        return
    layout.taken.append((*at, radius))
    loss = rng.uniform(0.1, 0.5) if rng.random() < 0.2 else 0.0
    finish = Finish(ball_material(rng), classes.BALL, depth_loss=loss)
    layout.things.append(Ball((*at, radius), radius, finish))


def _add_clutter(layout: Layout) -> None:
    """An upright cylinder, which belongs to no class."""
    rng = layout.rng
    radius, half_height = rng.uniform(0.1, 0.25), rng.uniform(0.1, 0.4)
    at = layout.free_position(radius, half_height, 4.0)
    if at is None:
        return
    layout.taken.append((*at, radius))
    finish = Finish(ball_material(rng), classes.IGNORE)
    layout.things.append(Cylinder((*at, half_height), radius, half_height, finish))
