"""A camera that drifts through a scene, and frames that go wrong on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import radians
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..frame_cache import cached_arrays
from ..material_sampling import Rng
from ..raycast import SIDES_PER_THING, cast
from ..sensors import photograph
from ..shade import shade
from ..things import draw_named_exposure, kind_labels, make_named_world

__all__ = ["FRAMES", "Clips", "clips_of", "render_clips", "spoil"]

FRAMES = 8  # of a clip
_DRIFT_M = 0.035  # a frame, along each axis: standard deviation
_TURN = radians(1.2)

_DARK, _BLOCKED = 0.2, 0.2  # shares of frames


@dataclass(frozen=True)
class Clips:
    """N clips of a moving camera: ``color`` (N, T, H, W, 3) uint8 and ``labels``
    (N, T, H, W) uint8, 0 for the room, else 1 + kind of the thing."""

    color: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.color)


def render_clips(seeds: Sequence[int], height: int, width: int) -> Clips:
    """Render a clip of `FRAMES` frames per seed; the same seed gives the same bytes."""
    shape = (len(seeds), FRAMES, height, width)
    clips = Clips(np.empty((*shape, 3), np.uint8), np.empty(shape, np.uint8))
    for index, seed in enumerate(seeds):
        rng = np.random.default_rng([seed, 9])
        named = make_named_world(rng)
        exposure = draw_named_exposure(rng)
        kinds = [thing.kind for thing in named.attributes]
        drift, turn = rng.normal(0, _DRIFT_M, 2), rng.normal(0, _TURN)
        camera = named.world.camera
        x, y, z = camera.position
        for time in range(FRAMES):
            steps = time - FRAMES / 2
            moved = replace(
                camera,
                position=(x + drift[0] * steps, y + drift[1] * steps, z),
                yaw=camera.yaw + turn * steps,
            )
            world = replace(named.world, camera=moved)
            hits = cast(world, height, width)
            shaded = shade(world, hits)
            clips.color[index, time] = photograph(shaded.radiance, exposure, rng)
            things = hits.surface // np.uint8(SIDES_PER_THING)
            clips.labels[index, time] = kind_labels(things, kinds)
    return clips


def clips_of(seeds: range, height: int, width: int, cache: Path) -> Clips:
    """The clips of ``seeds``, from the folder ``cache`` if it has them."""
    stem = f"clips-{seeds.start}-{seeds.stop}-{height}x{width}"
    return Clips(
        **cached_arrays(
            cache,
            stem,
            ("color", "labels"),
            lambda: vars(render_clips(seeds, height, width)),
        )
    )


def spoil(
    clip: NDArray[np.uint8], rng: Rng
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Make every frame noisy, and some of them dark or with a block gone.

    Args:
        clip: Shape ``(T, H, W, 3)``.
        rng: What goes wrong, and where, is drawn from it.

    Returns:
        The clip, and which of its frames are dark or blocked, shape ``(T,)``.
    """
    height, width = clip.shape[1:3]
    frames = clip.astype(np.float32)
    spoilt = np.zeros(len(clip), np.bool_)
    for time, frame in enumerate(frames):
        fate = rng.random()
        spoilt[time] = fate < _DARK + _BLOCKED
        if fate < _DARK:
            frame *= rng.uniform(0.03, 0.15)
        elif spoilt[time]:
            h = int(rng.uniform(0.4, 0.95) * height)
            w = int(rng.uniform(0.4, 0.85) * width)
            top, left = rng.integers(height - h + 1), rng.integers(width - w + 1)
            frame[top : top + h, left : left + w] = rng.uniform(0, 255)
        noise = rng.standard_normal(frame.shape, np.float32)
        frame += noise * np.float32(rng.uniform(8, 35))
    return np.clip(frames, 0, 255).astype(np.uint8), spoilt
