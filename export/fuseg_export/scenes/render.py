"""A seed in, a frame out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from .furniture import make_room
from .many import render_each, require_renderable, require_workers
from .materials import Floats
from .raycast import SIDES_PER_THING, Hits, cast
from .sensors import Exposure, draw_exposure, measure_depth, photograph
from .shade import Shaded, shade
from .world import World

TRAIN_SEEDS = range(100_000)
HELD_OUT_SEEDS = range(1_000_000, 1_010_000)


@dataclass(frozen=True)
class Scene:
    """One frame and its truth.

    Attributes:
        color: RGB, shape ``(H, W, 3)``, uint8.
        depth: Millimetres along the optical axis, shape ``(H, W)``, uint16,
            0 = no reading.
        labels: Index into ``CLASSES``, shape ``(H, W)``, uint8, 255 = ignore.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    labels: NDArray[np.uint8]


def render(seed: int, height: int = 240, width: int = 320) -> Scene:
    """Render the room with this number.

    The same seed and size give the same bytes (on one NumPy version). At another
    size the room, its light and its camera are the same; only noise differs.

    Args:
        seed: Which room, at least 0.
        height: Rows of the frame, at least 8.
        width: Columns of the frame, at least 8.

    Returns:
        The frame.

    Raises:
        ArgumentError: ``seed`` is negative, or a side is under 8.
    """
    require_renderable(seed, height, width)
    world = make_room(np.random.default_rng([seed, 0]))
    exposure = draw_exposure(np.random.default_rng([seed, 1]))
    noise = np.random.default_rng([seed, 2])
    return capture(world, exposure, height, width, noise)


def capture(
    world: World,
    exposure: Exposure,
    height: int,
    width: int,
    rng: np.random.Generator,
) -> Scene:
    """Photograph and measure a world; ``rng`` makes the sensors' noise."""
    hits = cast(world, height, width)
    shaded = shade(world, hits)
    radiance, labels = shaded.radiance, shaded.labels
    if world.painted:
        radiance, labels = _painted_on(world, hits, shaded)
    return Scene(
        color=photograph(radiance, exposure, rng),
        depth=measure_depth(hits.depth, shaded.facing, shaded.depth_loss, rng),
        labels=labels,
    )


def _painted_on(
    world: World, hits: Hits, shaded: Shaded
) -> tuple[Floats, NDArray[np.uint8]]:
    """Radiance with the painted things on the room, and labels of what is there.

    Paint covers whatever is flat, so a rug under it is floor; what stands in front of
    it, or behind the thing that it shows, is seen as it is.
    """
    solid = replace(world, things=world.things + world.painted, painted=())
    height, width = hits.depth.shape
    seen = cast(solid, height, width)
    fake = seen.surface >= SIDES_PER_THING * (1 + len(world.things))
    room = hits.surface < SIDES_PER_THING
    flat = np.array([finish.label for finish in world.room.finishes], np.uint8)
    labels = np.where(fake & room, flat[hits.surface % SIDES_PER_THING], shaded.labels)
    hidden = fake & ~room
    return np.where(hidden, shaded.radiance, shade(solid, seen).radiance), labels


def render_many(
    seeds: Sequence[int], height: int = 240, width: int = 320, *, workers: int = 1
) -> tuple[NDArray[np.uint8], NDArray[np.uint16], NDArray[np.uint8]]:
    """Render one frame per seed.

    Args:
        seeds: Which rooms; N of them, none is allowed.
        height: Rows of each frame, at least 8.
        width: Columns of each frame, at least 8.
        workers: How many processes render. More than 1 starts a pool, so the
            caller's main module must be importable without side effects.

    Returns:
        Colour ``(N, H, W, 3)`` uint8, depth ``(N, H, W)`` uint16 millimetres and
        labels ``(N, H, W)`` uint8, as in ``Scene``.

    Raises:
        ArgumentError: A seed is negative, a side is under 8, or ``workers`` is
            under 1.
    """
    for seed in seeds:
        require_renderable(seed, height, width)
    require_workers(workers)
    color = np.empty((len(seeds), height, width, 3), np.uint8)
    depth = np.empty((len(seeds), height, width), np.uint16)
    labels = np.empty((len(seeds), height, width), np.uint8)
    one = partial(render, height=height, width=width)
    for index, scene in enumerate(render_each(one, seeds, workers)):
        color[index], depth[index] = scene.color, scene.depth
        labels[index] = scene.labels
    return color, depth, labels
