"""Named things as a colour, a depth and a thermal camera and a LiDAR see them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frame_cache import cached_arrays
from ..many import render_each
from ..raycast import cast
from ..things import (
    KINDS,
    capture_named,
    draw_named_exposure,
    make_named_world,
)
from .bad_light import badly_lit
from .lidar import scan
from .thermal import measure_heat

__all__ = ["HOT", "SensedScene", "SensedThings", "render_sensed", "sensed_of"]

HOT = 1 + len(KINDS)  # the class of a hot thing, whatever its kind


@dataclass(frozen=True)
class SensedScene:
    """One frame of each sensor, and its truth, each ``(H, W)`` but in colour.

    Attributes:
        color, depth: See `NamedScene`.
        spoilt: ``color``, or the same scene in bad light, see `badly_lit`.
        thermal: See `measure_heat`.
        range: See `scan`.
        kinds: 0 for the room, else 1 + kind of the thing, uint8.
        hot: The same, but `HOT` for hot things.
    """

    color: NDArray[np.uint8]
    spoilt: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    thermal: NDArray[np.uint16]
    range: NDArray[np.float32]
    kinds: NDArray[np.uint8]
    hot: NDArray[np.uint8]


@dataclass(frozen=True)
class SensedThings:
    """N frames of one size, each as in `SensedScene`; the first axis is N."""

    color: NDArray[np.uint8]
    spoilt: NDArray[np.uint8]
    depth: NDArray[np.uint16]
    thermal: NDArray[np.uint16]
    range: NDArray[np.float32]
    kinds: NDArray[np.uint8]
    hot: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.color)


def render_sensed(seed: int, height: int, width: int) -> SensedScene:
    """The scene with this number; the same seed and size give the same bytes."""
    rng = np.random.default_rng([seed, 6])
    named = make_named_world(rng)
    scene = capture_named(named, draw_named_exposure(rng), height, width, rng)
    kinds = [0, *(1 + thing.kind for thing in scene.attributes)]
    hot = [0, *(HOT if t.hot else 1 + t.kind for t in scene.attributes)]
    return SensedScene(
        color=scene.color,
        depth=scene.depth,
        thermal=measure_heat(scene.instances, scene.attributes, rng),
        range=scan(cast(named.world, height, width), rng),
        spoilt=badly_lit(scene.color, rng),
        kinds=np.asarray(kinds, np.uint8)[scene.instances],
        hot=np.asarray(hot, np.uint8)[scene.instances],
    )


def sensed_of(
    seeds: Sequence[int], height: int, width: int, cache: Path
) -> SensedThings:
    """The frames of ``seeds``, from the folder ``cache`` if it has them."""
    names = [field.name for field in fields(SensedThings)]

    def make() -> dict[str, NDArray[Any]]:
        one = partial(render_sensed, height=height, width=width)
        scenes = [*render_each(one, seeds, os.cpu_count() or 1)]
        return {n: np.stack([getattr(s, n) for s in scenes]) for n in names}

    stem = f"sensed-{seeds[0]}-{seeds[-1]}-{height}x{width}"
    return SensedThings(**cached_arrays(cache, stem, names, make))
