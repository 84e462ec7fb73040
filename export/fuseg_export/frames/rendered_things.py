"""Rendered rooms of named things, as frames to verify and calibrate on."""

from __future__ import annotations

from collections.abc import Sequence

from fuseg.manifest import ImageInput

from ..scenes import HELD_OUT_SEEDS
from ..scenes.things import kind_labels, render_things
from .frame_set import FrameSet

__all__ = ["LabelledThings", "things"]


class LabelledThings:
    """Held-out rooms of named things, rendered when they are asked for.

    Args:
        inputs: One colour camera.
        numbers: Which of the held-out rooms.
        labelled: Whether their kinds are the network's classes.
    """

    def __init__(
        self, inputs: Sequence[ImageInput], numbers: range, *, labelled: bool = True
    ) -> None:
        (self._input,) = inputs
        self._labelled = labelled
        self._seeds = HELD_OUT_SEEDS[numbers.start : numbers.stop]

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, number: int) -> FrameSet:
        scene = render_things(self._seeds[number])
        kinds = [thing.kind for thing in scene.attributes]
        truth = kind_labels(scene.instances, kinds) if self._labelled else None
        return FrameSet({self._input.name: scene.color}, truth)


def things(inputs: Sequence[ImageInput], numbers: range) -> LabelledThings:
    """See `Scenes`: without labels, for networks whose classes are others."""
    return LabelledThings(inputs, numbers, labelled=False)
