"""Held-out scenes of named things, as networks with other senses are given them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import ImageInput

from ..scenes import HELD_OUT_SEEDS
from ..scenes.senses.render import render_sensed
from ..scenes.senses.sound import sound_of
from ..scenes.senses.style import negative
from ..scenes.senses.video import FRAMES, Clips, render_clips, spoil
from ..scenes.things import HEIGHT, WIDTH, kind_labels, render_things
from .frame_set import FrameSet

__all__ = ["hot_things", "scanned_things", "sounding_things", "spoilt_video", "styles"]

Make = Callable[[Sequence[ImageInput], int], FrameSet]


@dataclass(frozen=True)
class _Rendered:
    """See `Dataset`: the frame set of a number is made when it is asked for."""

    make: Make
    inputs: Sequence[ImageInput]
    numbers: range

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, number: int) -> FrameSet:
        return self.make(self.inputs, self.numbers[number])


def _sounding(inputs: Sequence[ImageInput], number: int) -> FrameSet:
    """Every fourth is silent; in the others one thing sounds, and its kind with it."""
    seed = HELD_OUT_SEEDS[number]
    scene = render_things(seed, HEIGHT, WIDTH)
    rng = np.random.default_rng([seed, 7])
    kinds = [thing.kind for thing in scene.attributes]
    labels = kind_labels(scene.instances, kinds)
    seen = np.unique(labels[labels > 0])
    kind = int(rng.choice(seen)) - 1 if number % 4 and len(seen) else None
    truth = np.zeros_like(labels) if kind is None else labels == kind + 1
    (rgb,) = inputs
    return FrameSet(
        {rgb.name: scene.color},
        truth.astype(np.uint8),
        {"sound": sound_of(kind, rng)},
    )


@lru_cache(maxsize=2)
def _clip(number: int) -> Clips:
    return render_clips([HELD_OUT_SEEDS[number]], HEIGHT, WIDTH)


def _spoilt(inputs: Sequence[ImageInput], number: int) -> FrameSet:
    """One clip after the other, each frame as `spoil` leaves it."""
    clip, time = divmod(number, FRAMES)
    color, _ = spoil(_clip(clip).color[0], np.random.default_rng([4, clip]))
    (rgb,) = inputs
    return FrameSet({rgb.name: color[time]}, _clip(clip).labels[0, time])


def _styled(inputs: Sequence[ImageInput], number: int) -> FrameSet:
    """Now a picture of style A, now one of style B."""
    seed = HELD_OUT_SEEDS[number]
    scene = render_things(seed, HEIGHT, WIDTH)
    color = scene.color
    if number % 2:
        color = negative(color, np.random.default_rng([seed, 9]))
    (rgb,) = inputs
    kinds = [thing.kind for thing in scene.attributes]
    return FrameSet({rgb.name: color}, kind_labels(scene.instances, kinds))


def _sensed(
    inputs: Sequence[ImageInput], number: int, *, truth: str, color: str
) -> FrameSet:
    scene = render_sensed(HELD_OUT_SEEDS[number], HEIGHT, WIDTH)
    seen = {**vars(scene), "color": getattr(scene, color)}
    frames: dict[str, NDArray[Any]] = {i.name: seen[i.kind] for i in inputs}
    return FrameSet(frames, seen[truth])


sounding_things = partial(_Rendered, _sounding)
spoilt_video = partial(_Rendered, _spoilt)
styles = partial(_Rendered, _styled)
hot_things = partial(_Rendered, partial(_sensed, truth="hot", color="color"))
scanned_things = partial(_Rendered, partial(_sensed, truth="kinds", color="spoilt"))
