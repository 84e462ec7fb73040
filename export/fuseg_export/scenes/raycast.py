"""Rays against a world: the nearest surface of every pixel, analytically."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from .materials import Floats
from .world import Ball, Box, Camera, Cylinder, Thing, World

NEAR_M = 0.02
SIDES_PER_THING = 6


@dataclass(frozen=True)
class Rays:
    """A bundle of rays ``origin + t * (base + a * across + b * down)``.

    Written so, a ray's direction along any axis is one outer sum. For a camera
    ``base`` has length 1 along the optical axis, hence ``t`` is the depth.

    Attributes:
        origin: Shape ``(3,)``, metres.
        base, across, down: Shape ``(3,)``.
        a: Shape ``(W,)``.
        b: Shape ``(H,)``.
    """

    origin: Floats
    base: Floats
    across: Floats
    down: Floats
    a: Floats
    b: Floats

    def along(self, axis: Floats) -> Floats:
        """Every ray's direction along ``axis``, shape ``(H, W)``."""
        row = self.base @ axis + self.a * (self.across @ axis)
        return row[None, :] + (self.b * (self.down @ axis))[:, None]

    def window(self, rows: slice, columns: slice) -> Rays:
        """The rays of a part of the image."""
        a, b = self.a[columns], self.b[rows]
        return Rays(self.origin, self.base, self.across, self.down, a, b)


@dataclass(frozen=True)
class Hits:
    """What each ray met.

    Attributes:
        depth: Metres along the optical axis, shape ``(H, W)``, float32.
        surface: Shape ``(H, W)``, uint8: side of the room (0 to 5), or
            ``6 + 6 * thing + side``. Sides are -x, +x, -y, +y, -z, +z; the
            round side of a ball or cylinder is 0.
        rays: The rays that were cast.
    """

    depth: Floats
    surface: NDArray[np.uint8]
    rays: Rays


def camera_rays(camera: Camera, height: int, width: int) -> Rays:
    """One ray through the middle of each pixel."""
    forward, right, up = camera.axes().astype(np.float32)
    half = camera.half_width()
    a = half * (2.0 * (np.arange(width) + 0.5) / width - 1.0)
    b = half * height / width * (2.0 * (np.arange(height) + 0.5) / height - 1.0)
    origin = np.asarray(camera.position, np.float32)
    return Rays(origin, forward, right, -up, a.astype(np.float32), b.astype(np.float32))


def cast(world: World, height: int, width: int) -> Hits:
    """Find the nearest surface of every pixel of an image of that size."""
    rays = camera_rays(world.camera, height, width)
    depth, surface = _room(world, rays)
    for index, thing in enumerate(world.things):
        window = _window(thing, rays)
        if window is None:
            continue
        x, y, z = local_axes(thing)
        part = rays.window(*window)
        start = part.origin - np.asarray(thing.center, np.float32)
        near, side, hit = enter(
            thing,
            (float(start @ x), float(start @ y), float(start @ z)),
            (part.along(x), part.along(y), part.along(z)),
        )
        hit &= (near > NEAR_M) & (near < depth[window])
        first = SIDES_PER_THING * (index + 1)
        np.copyto(depth[window], near, where=hit)
        np.copyto(surface[window], side + np.uint8(first), where=hit)
    return Hits(depth, surface, rays)


def local_axes(thing: Thing) -> Floats:
    """The thing's own axes in the world, shape ``(3, 3)``, one per row."""
    yaw = thing.yaw if isinstance(thing, Box) else 0.0
    c, s = cos(yaw), sin(yaw)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]], np.float32)


def enter(
    thing: Thing,
    start: tuple[float, float, float],
    direction: tuple[Floats, Floats, Floats],
) -> tuple[Floats, NDArray[np.uint8], NDArray[np.bool_]]:
    """Where rays enter a thing, in its own axes.

    Args:
        thing: The thing, its center at the origin.
        start: Where all rays start, outside the thing.
        direction: Ray directions along x, y, z, each of shape S.

    Returns:
        Parameter ``t`` of the entry (negative if behind the start), side, and
        whether the ray hits at all, each of shape S. The first two mean nothing
        where the third is False.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if isinstance(thing, Box):
            return _enter_box(thing, start, direction)
        if isinstance(thing, Ball):
            near, _ = _roots(start, direction, thing.radius)
            return near, np.zeros(near.shape, np.uint8), ~np.isnan(near)
        return _enter_cylinder(thing, start, direction)


def _enter_box(
    box: Box,
    start: tuple[float, float, float],
    direction: tuple[Floats, Floats, Floats],
) -> tuple[Floats, NDArray[np.uint8], NDArray[np.bool_]]:
    entries, exits = zip(
        *(_slab(o, d, h) for o, d, h in zip(start, direction, box.half, strict=True)),
        strict=True,
    )
    near = np.maximum(np.maximum(entries[0], entries[1]), entries[2])
    far = np.minimum(np.minimum(exits[0], exits[1]), exits[2])
    # A ray that comes from outside enters an axis by the side it started on.
    x, y, z = (np.uint8(2 * axis + (o > 0)) for axis, o in enumerate(start))
    side = np.where(near == entries[2], z, np.where(near == entries[1], y, x))
    return near, side, near <= far


def _enter_cylinder(
    cylinder: Cylinder,
    start: tuple[float, float, float],
    direction: tuple[Floats, Floats, Floats],
) -> tuple[Floats, NDArray[np.uint8], NDArray[np.bool_]]:
    round_near, round_far = _roots(start[:2], direction[:2], cylinder.radius)
    cap_near, cap_far = _slab(start[2], direction[2], cylinder.half_height)
    near = np.maximum(round_near, cap_near)
    side = np.where(cap_near > round_near, np.uint8(5 if start[2] > 0 else 4), 0)
    hit = near <= np.minimum(round_far, cap_far)
    return near, side.astype(np.uint8), hit


def _slab(start: float, direction: Floats, half: float) -> tuple[Floats, Floats]:
    """Entry and exit of the layer ``-half .. half`` of one axis."""
    inverse = 1.0 / direction
    middle = inverse * np.float32(-start)
    reach = np.abs(inverse) * np.float32(half)
    return middle - reach, middle + reach


def _roots(
    start: tuple[float, ...], direction: tuple[Floats, ...], radius: float
) -> tuple[Floats, Floats]:
    """Entry and exit of a ball or an endless cylinder; NaN for a miss."""
    squared = sum(d * d for d in direction)
    half_b = sum(d * np.float32(o) for d, o in zip(direction, start, strict=True))
    c = np.float32(sum(o * o for o in start) - radius * radius)
    root = np.sqrt(half_b * half_b - squared * c)
    return (-half_b - root) / squared, (-half_b + root) / squared


def _room(world: World, rays: Rays) -> tuple[Floats, NDArray[np.uint8]]:
    """Depth and side of the empty room, seen from inside."""
    depth = np.full((len(rays.b), len(rays.a)), np.inf, np.float32)
    surface = np.zeros(depth.shape, np.uint8)
    with np.errstate(divide="ignore"):
        for axis, size in enumerate(world.room.size):
            direction = rays.along(np.eye(3, dtype=np.float32)[axis])
            ahead = direction > 0
            wall = np.where(ahead, np.float32(size), np.float32(0.0))
            distance = np.abs((wall - rays.origin[axis]) / direction)
            nearer = distance < depth
            np.copyto(depth, distance, where=nearer)
            np.copyto(surface, ahead + np.uint8(2 * axis), where=nearer)
    return depth, surface


def _window(thing: Thing, rays: Rays) -> tuple[slice, slice] | None:
    """Rows and columns that can see the thing; None if none can."""
    corners = _corners(thing) - rays.origin
    forward = corners @ rays.base
    if forward.max() <= NEAR_M:
        return None
    if forward.min() <= NEAR_M:
        return slice(0, len(rays.b)), slice(0, len(rays.a))
    a = corners @ rays.across / forward
    b = corners @ rays.down / forward
    columns = slice(*np.searchsorted(rays.a, [a.min(), a.max()]).tolist())
    rows = slice(*np.searchsorted(rays.b, [b.min(), b.max()]).tolist())
    if columns.start >= columns.stop or rows.start >= rows.stop:
        return None
    return rows, columns


def _corners(thing: Thing) -> Floats:
    """Corners of the thing's bounding box, shape ``(8, 3)``."""
    if isinstance(thing, Box):
        half = thing.half
    elif isinstance(thing, Ball):
        half = (thing.radius,) * 3
    else:
        half = (thing.radius, thing.radius, thing.half_height)
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    corners = (signs * np.asarray(half)) @ local_axes(thing)
    return np.asarray(corners + np.asarray(thing.center), np.float32)
