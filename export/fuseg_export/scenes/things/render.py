"""A seed in, a frame of named things out; and many, kept in files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..frame_cache import cached_arrays
from ..many import render_each, require_renderable, require_workers
from ..material_sampling import Rng
from ..raycast import SIDES_PER_THING, cast
from ..sensors import Exposure, draw_exposure, measure_depth, photograph
from ..shade import shade
from .world import MAX_THINGS, Attributes, NamedWorld, make_named_world

HEIGHT, WIDTH = 96, 128
VALIDATION_SEEDS = range(900_000, 910_000)
# A colour that is too dark or too bright has no name.
_LEAST_GAIN, _MOST_GAIN = 0.6, 1.6


@dataclass(frozen=True)
class NamedScene:
    """One frame and its truth.

    Attributes:
        color: RGB, shape ``(H, W, 3)``, uint8.
        depth: Millimetres along the optical axis, shape ``(H, W)``, uint16,
            0 = no reading.
        instances: 0 for the room, else 1 + index into ``attributes``, shape
            ``(H, W)``, uint8.
        attributes: Of each thing; it may be out of sight.
        place: Index into `PLACES`.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    instances: NDArray[np.uint8]
    attributes: tuple[Attributes, ...]
    place: int


@dataclass(frozen=True)
class ThingFrames:
    """N frames of one size, each as in `NamedScene`.

    Attributes:
        color: Shape ``(N, H, W, 3)``, uint8.
        depth: Shape ``(N, H, W)``, uint16.
        instances: Shape ``(N, H, W)``, uint8.
        attributes: Kind, colour and whether it is hot, shape ``(N, 6, 3)``, int8; -1
            where there is no such thing.
        places: Shape ``(N,)``, uint8.
    """

    color: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    instances: NDArray[np.uint8]
    attributes: NDArray[np.int8]
    places: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.color)

    def labels(self, index: int) -> NDArray[np.uint8]:
        """0 for the room, else 1 + index into `KINDS`, shape ``(H, W)``."""
        return kind_labels(self.instances[index], self.attributes[index, :, 0])


def kind_labels(
    instances: NDArray[np.uint8], kinds: Sequence[int] | NDArray[np.int8]
) -> NDArray[np.uint8]:
    """0 for the room, else 1 + kind, of the shape of ``instances``.

    Args:
        instances: 0 for the room, else 1 + index into ``kinds``.
        kinds: Of each thing.
    """
    table = np.zeros(len(kinds) + 1, np.uint8)
    table[1:] = np.asarray(kinds) + 1
    return table[instances]


def render_things(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NamedScene:
    """Render the room of named things with this number.

    The same seed and size give the same bytes (on one NumPy version). At another
    size the room, its light and its camera are the same; only noise differs.

    Args:
        seed: Which room, at least 0.
        height: Rows of the frame, at least 8.
        width: Columns of the frame, at least 8.

    Raises:
        ArgumentError: ``seed`` is negative, or a side is under 8.
    """
    require_renderable(seed, height, width)
    named = make_named_world(np.random.default_rng([seed, 3]))
    exposure = draw_named_exposure(np.random.default_rng([seed, 4]))
    noise = np.random.default_rng([seed, 5])
    return capture_named(named, exposure, height, width, noise)


def draw_named_exposure(rng: Rng) -> Exposure:
    """An exposure that leaves colours their names."""
    exposure = draw_exposure(rng)
    gain = min(max(exposure.gain, _LEAST_GAIN), _MOST_GAIN)
    return replace(exposure, gain=gain)


def capture_named(
    named: NamedWorld, exposure: Exposure, height: int, width: int, rng: Rng
) -> NamedScene:
    """Photograph and measure a world; ``rng`` makes the sensors' noise."""
    hits = cast(named.world, height, width)
    shaded = shade(named.world, hits)
    return NamedScene(
        color=photograph(shaded.radiance, exposure, rng),
        depth=measure_depth(hits.depth, shaded.facing, shaded.depth_loss, rng),
        instances=hits.surface // np.uint8(SIDES_PER_THING),
        attributes=named.attributes,
        place=named.place,
    )


def render_many_things(
    seeds: Sequence[int],
    height: int = HEIGHT,
    width: int = WIDTH,
    *,
    workers: int = 1,
) -> ThingFrames:
    """Render one frame per seed.

    Args:
        seeds: Which rooms; N of them, none is allowed.
        height: Rows of each frame, at least 8.
        width: Columns of each frame, at least 8.
        workers: How many processes render. More than 1 starts a pool, so the
            caller's main module must be importable without side effects.

    Raises:
        ArgumentError: A seed is negative, a side is under 8, or ``workers`` is
            under 1.
    """
    for seed in seeds:
        require_renderable(seed, height, width)
    require_workers(workers)
    count = len(seeds)
    made = ThingFrames(
        color=np.empty((count, height, width, 3), np.uint8),
        depth=np.empty((count, height, width), np.uint16),
        instances=np.empty((count, height, width), np.uint8),
        attributes=np.full((count, MAX_THINGS, 3), -1, np.int8),
        places=np.empty(count, np.uint8),
    )
    one = partial(render_things, height=height, width=width)

    for index, scene in enumerate(render_each(one, seeds, workers)):
        made.color[index], made.depth[index] = scene.color, scene.depth
        made.instances[index], made.places[index] = scene.instances, scene.place
        for thing, attributes in enumerate(scene.attributes):
            made.attributes[index, thing] = attributes
    return made


def things_of(seeds: range, height: int, width: int, cache: Path) -> ThingFrames:
    """The frames of ``seeds``, from the folder ``cache`` if it has them.

    They are read as they are needed, not all at once.
    """
    names = [field.name for field in fields(ThingFrames)]

    def make() -> dict[str, NDArray[np.generic]]:
        frames = render_many_things(seeds, height, width, workers=os.cpu_count() or 1)
        return {name: getattr(frames, name) for name in names}

    stem = f"things-{seeds.start}-{seeds.stop}-{height}x{width}"
    return ThingFrames(**cached_arrays(cache, stem, names, make))
