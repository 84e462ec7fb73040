"""From hits to light: textures, labels, lamps and shadows."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .materials import Floats, reflectance
from .raycast import SIDES_PER_THING, Hits, enter, local_axes
from .world import Ball, Box, Cylinder, Finish, Patch, Thing, World

# Textures fade with the pixels of a 320-wide image, at any size rendered: the
# same seed must look the same.
_NOMINAL_WIDTH = 320

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Shaded:
    """A world as an ideal sensor would see it.

    Attributes:
        radiance: Linear RGB, shape ``(3, H, W)``, float32.
        labels: Class index, shape ``(H, W)``, uint8.
        facing: Cosine between ray and surface normal, shape ``(H, W)``, float32:
            1 head-on, 0 grazing.
        depth_loss: Share of readings lost to the surface, shape ``(H, W)``,
            float32.
    """

    radiance: Floats
    labels: NDArray[np.uint8]
    facing: Floats
    depth_loss: Floats


def shade(world: World, hits: Hits) -> Shaded:
    """Evaluate every hit once."""
    shape = hits.depth.shape
    directions = np.stack([hits.rays.along(axis) for axis in np.eye(3, dtype="f4")])
    image_points: Floats = directions * hits.depth + hits.rays.origin[:, None, None]

    # Pixels sorted by surface, so that each surface is one contiguous run.
    surface = hits.surface.ravel()
    order = np.argsort(surface, kind="stable")
    counts = np.bincount(surface, minlength=1)
    stops = np.cumsum(counts)
    runs = [
        (int(k), slice(stops[k] - counts[k], stops[k])) for k in counts.nonzero()[0]
    ]
    points = np.take(image_points.reshape(3, -1), order, axis=1)

    normals = np.empty_like(points)
    for index, run in runs:
        normals[:, run] = _normals(world, index, points[:, run])
    view = points - hits.rays.origin[:, None]
    distance = np.sqrt(_dot(view, view))
    facing: Floats = np.abs(_dot(view, normals))
    facing /= distance
    pixel = np.float32(2.0 * world.camera.half_width() / _NOMINAL_WIDTH)
    footprint = distance * pixel / (facing + np.float32(0.02))

    color = np.empty(points.shape, np.float32)
    labels = np.empty(order.size, np.uint8)
    loss = np.empty(order.size, np.float32)
    for index, run in runs:
        finish = _finish(world, index)
        u, v = _coordinates(world, index, points[:, run])
        color[:, run], labels[run] = _painted(finish, u, v, footprint[run])
        loss[run] = finish.depth_loss

    lit = _shadow(world, image_points).ravel()[order]
    color *= _light(world, points, normals, lit)

    return Shaded(
        radiance=_unsorted(color, order, (3, *shape)),
        labels=_unsorted(labels, order, shape),
        facing=_unsorted(facing, order, shape),
        depth_loss=_unsorted(loss, order, shape),
    )


def _unsorted(
    values: NDArray[_Scalar], order: NDArray[np.intp], shape: tuple[int, ...]
) -> NDArray[_Scalar]:
    """Undo ``values = image[..., order]``."""
    image = np.empty_like(values)
    image[..., order] = values
    return image.reshape(shape)


def _dot(a: Floats, b: Floats) -> Floats:
    """Dot products of ``(3, N)`` with ``(3, N)`` or ``(3,)``."""
    product: Floats = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    return product


def _owner(world: World, index: int) -> tuple[Thing | None, int]:
    """Which thing (None: the room) and which of its sides a surface is."""
    thing, side = divmod(index, SIDES_PER_THING)
    return (world.things[thing - 1] if thing else None), side


def _finish(world: World, index: int) -> Finish:
    thing, side = _owner(world, index)
    if thing is None:
        return world.room.finishes[side]
    if isinstance(thing, Box):
        own = thing.finish
        gain = own.gain * thing.side_gains[side]
        return Finish(own.material, own.label, gain, own.patches, own.depth_loss)
    return thing.finish


def _normals(world: World, index: int, points: Floats) -> Floats:
    """Unit normals, towards the viewer, shape ``(3, N)`` or ``(3, 1)``."""
    thing, side = _owner(world, index)
    sign = np.float32(1.0 if side % 2 else -1.0)
    if thing is None:
        flat: Floats = -sign * np.eye(3, dtype=np.float32)[side // 2]
        return flat[:, None]
    if isinstance(thing, Box) or side >= 4:
        flat = sign * local_axes(thing)[side // 2]
        return flat[:, None]
    outward: Floats = points - np.asarray(thing.center, np.float32)[:, None]
    if isinstance(thing, Cylinder):
        outward[2] = 0.0
    outward /= np.float32(thing.radius)
    return outward


def _coordinates(world: World, index: int, points: Floats) -> tuple[Floats, Floats]:
    """Surface coordinates of points, metres."""
    thing, side = _owner(world, index)
    first, second = ((1, 2), (0, 2), (0, 1))[side // 2]
    if thing is None:
        return points[first], points[second]
    axes = local_axes(thing)
    if isinstance(thing, Box):
        if thing.continues_room:
            if side >= 4:
                return points[0], points[1]
            return _dot(points, axes[first]), points[2]
        corner = np.asarray(thing.center, np.float32) - thing.half @ axes
        own = points - corner.astype(np.float32)[:, None]
        return _dot(own, axes[first]), _dot(own, axes[second])
    own = points - np.asarray(thing.center, np.float32)[:, None]
    if isinstance(thing, Ball) or side >= 4:
        return own[0], own[2 if isinstance(thing, Ball) else 1]
    return np.arctan2(own[1], own[0]) * np.float32(thing.radius), own[2]


def _painted(
    finish: Finish, u: Floats, v: Floats, footprint: Floats
) -> tuple[Floats, NDArray[np.uint8]]:
    """Reflectance ``(3, N)`` and class ``(N,)`` of a finish at points."""
    color = reflectance(finish.material, u, v, footprint) * np.float32(finish.gain)
    labels = np.full(u.size, finish.label, np.uint8)
    for patch in finish.patches:
        s, t = _inside(patch, u, v)
        at = np.flatnonzero(
            s * s + t * t < 1.0 if patch.oval else np.maximum(np.abs(s), np.abs(t)) < 1
        )
        if not at.size:
            continue
        if patch.material is None:
            color[:, at] *= np.float32(patch.gain)
        else:
            own_u, own_v = s[at] * patch.half[0], t[at] * patch.half[1]
            paint = reflectance(patch.material, own_u, own_v, footprint[at])
            color[:, at] = paint * np.float32(patch.gain)
        if patch.label is not None:
            labels[at] = patch.label
    return color, labels


def _inside(patch: Patch, u: Floats, v: Floats) -> tuple[Floats, Floats]:
    """Patch coordinates: its rim is at -1 and 1."""
    c, s = np.float32(cos(patch.yaw)), np.float32(sin(patch.yaw))
    du, dv = u - np.float32(patch.center[0]), v - np.float32(patch.center[1])
    half_u, half_v = (np.float32(half) for half in patch.half)
    return (c * du + s * dv) / half_u, (c * dv - s * du) / half_v


def _light(world: World, points: Floats, normals: Floats, lit: Floats) -> Floats:
    """Irradiance, linear RGB, shape ``(3, N)``. ``lit`` shades the first light."""
    # A floor below white walls gets a little less stray light than a ceiling.
    stray = world.ambient * (np.float32(0.95) + np.float32(0.05) * normals[2])
    total = np.repeat(stray[None], 3, axis=0)
    for index, light in enumerate(world.lights):
        to_light = np.asarray(light.position, np.float32)[:, None] - points
        squared = _dot(to_light, to_light)
        slant = np.maximum(_dot(to_light, normals), 0.0) / np.sqrt(squared)
        arriving = slant / (squared + np.float32(1.0))
        if index == 0:
            arriving *= lit
        for channel, power in enumerate(light.power):
            total[channel] += arriving * np.float32(power)
    return total


def _shadow(world: World, points: Floats) -> Floats:
    """How much of the first light arrives, in [0, 1], shape ``(H, W)``.

    Cast for every second pixel of every second row, then softened: shadows of
    room lamps have no sharp rim, and it costs a quarter.
    """
    height, width = points.shape[1:]
    if not world.lights:
        return np.ones((height, width), np.float32)
    lamp = np.asarray(world.lights[0].position, np.float32)
    rays = points[:, ::2, ::2] - lamp[:, None, None]
    dark = np.zeros(rays.shape[1:], np.bool_)
    for thing in world.things:
        x, y, z = local_axes(thing)
        start = lamp - np.asarray(thing.center, np.float32)
        near, _, hit = enter(
            thing,
            (float(start @ x), float(start @ y), float(start @ z)),
            (_dot(rays, x), _dot(rays, y), rays[2]),
        )
        # Not quite 1, or every lit surface would shade itself.
        dark |= hit & (near > 0.0) & (near < np.float32(0.99))
    light = np.pad(1.0 - dark.astype(np.float32), 1, mode="edge")
    light = light[:-2] + light[1:-1] + light[2:]
    soft: Floats = (light[:, :-2] + light[:, 1:-1] + light[:, 2:]) / np.float32(9.0)
    return soft.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
