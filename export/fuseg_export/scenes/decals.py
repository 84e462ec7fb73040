"""Rugs, posters and painted shade: flat, whatever they look like."""

from __future__ import annotations

from math import cos, exp, log, pi, sin

from . import classes
from .layout import Layout
from .material_sampling import bin_material, count, crate_material, decal_material
from .world import Patch


def add_rug(layout: Layout) -> None:
    """A rug on the floor, at times with boxes woven into it."""
    rng = layout.rng
    half = (rng.uniform(0.4, 1.0), rng.uniform(0.4, 0.8))
    at = layout.free_position(0.3, 0.0, 4.0, flat=True)
    if at is None:
        return
    yaw = rng.uniform(-pi, pi)
    _add_decal(layout, 4, at, half, yaw, classes.RUG, oval=bool(rng.random() < 0.3))


def add_poster(layout: Layout) -> None:
    """A poster or a painted door on a wall."""
    rng = layout.rng
    door = rng.random() < 0.2
    half = (rng.uniform(0.35, 0.5), 1.0) if door else tuple(rng.uniform(0.3, 0.7, 2))
    middle = 1.0 if door else rng.uniform(0.8, 1.7)
    position = layout.free_wall_position(middle)
    if position is not None:
        side, along = position
        _add_decal(layout, side, (along, middle), half, 0.0, classes.POSTER)


def _add_decal(
    layout: Layout,
    side: int,
    center: tuple[float, float],
    half: tuple[float, ...],
    yaw: float,
    label: int,
    *,
    oval: bool = False,
) -> None:
    """Rim, field, and sometimes pictures of crates and bins."""
    rng = layout.rng
    width, height = half
    rim = rng.uniform(0.82, 0.94)
    for scale in (1.0, rim):
        size = (width * scale, height * scale)
        ink = decal_material(rng)
        layout.patches[side].append(
            Patch(center, size, yaw, ink, label=label, oval=oval)
        )
    if rng.random() < 0.5:
        material = (crate_material, bin_material)[rng.integers(2)](rng)
        share = rng.uniform(0.4, 0.85)
        split = rng.uniform(-0.3, 0.3)
        gains = rng.uniform(0.7, 1.05, 2)
        # Two shades side by side: the corner of a box, seen from the front.
        for low, high, gain in ((-1.0, split, gains[0]), (split, 1.0, gains[1])):
            shift = 0.5 * (low + high) * share * width
            middle = (center[0] + shift * cos(yaw), center[1] + shift * sin(yaw))
            size = (0.5 * (high - low) * share * width, share * height)
            layout.patches[side].append(
                Patch(middle, size, yaw, material, float(gain), label)
            )


def add_stains(layout: Layout) -> None:
    """Shade painted on floor and walls, shaped like the sides of a block."""
    rng = layout.rng
    stains: list[tuple[int, Patch]] = []
    for _ in range(count(rng, 1, 2, 3)):
        at = layout.free_position(0.2, 0.0, 4.5, flat=True)
        if at is not None:
            yaw, gain = rng.uniform(-pi, pi), rng.uniform(0.6, 0.95)
            half = (rng.uniform(0.3, 0.8), rng.uniform(0.08, 0.5))
            stains.append((4, Patch(at, half, yaw, gain=gain)))
    for _ in range(count(rng, 1, 2, 3)):
        position = layout.free_wall_position(1.2)
        if position is not None:
            side, along = position
            wide = rng.uniform(0.2, 0.55)
            strip = rng.uniform(0.05, 0.25)
            high = layout.size[2] / 2 if rng.random() < 0.5 else rng.uniform(0.4, 1.0)
            front = exp(rng.uniform(log(0.8), log(1.15)))
            stains.append((side, Patch((along, high), (wide, high), gain=front)))
            shift = rng.choice([-1.0, 1.0]) * (wide + strip)
            gain = rng.uniform(0.55, 0.9)
            stains.append(
                (side, Patch((along + shift, high), (strip, high), gain=gain))
            )
    # Underneath the posters, which came after the paint.
    for side, patch in stains:
        layout.patches[side].insert(0, patch)
