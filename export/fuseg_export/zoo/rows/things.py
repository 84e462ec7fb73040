"""Rooms of named things: many tasks at once, phrases in, captions out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from ...models import REFERENCE
from ...scenes.things import ThingFrames
from ...training.tasks.caption import CaptionTask
from ...training.tasks.largest import LargestThing
from ...training.tasks.multitask import MultiTask
from ...training.tasks.text import TextTask
from ...training.things_data import frames_of_things
from ..row import Row

__all__ = ["PRETRAINED", "ROWS"]

PRETRAINED = "multitask"  # whose encoder and decoder other rows start from


def _frames(folder: Path) -> tuple[ThingFrames, ThingFrames]:
    """To train on, and to test on."""
    return frames_of_things("train", 3000, folder), frames_of_things(
        "test", 300, folder
    )


def _multitask(folder: Path) -> MultiTask:
    return MultiTask(*_frames(folder))


def _text(folder: Path, *, blind: bool = False) -> TextTask:
    return TextTask(*_frames(folder), blind=blind)


def _largest(folder: Path) -> LargestThing:
    return LargestThing(REFERENCE["classifier"].inputs, *_frames(folder))


def _caption(folder: Path) -> CaptionTask:
    return CaptionTask(*_frames(folder))


def _started(name: str, model: str, task: Any, steps: int, **fields: Any) -> Row:
    return Row(name, model, task, steps, start=PRETRAINED, rate=2e-3, **fields)


_BLIND = partial(_text, blind=True)

ROWS = (
    Row(
        "multitask",
        "multitask",
        _multitask,
        1600,
        "ap50",
        beats={"ap50_components": 0.1},
        also=("miou", "place"),
    ),
    Row("classifier", "classifier", _largest, 1500, "accuracy", {"majority": 0.1}),
    _started("blind", "text", _BLIND, 1200, metric="followed", exported=False),
    _started(
        "text",
        "text",
        _text,
        1200,
        metric="followed",
        beats={"blind": 0.4},
        also=("iou_kind", "iou_color", "absent"),
    ),
    _started(
        "caption",
        "caption",
        _caption,
        1000,
        metric="content",
        beats={"content_majority": 0.2},
        also=("whole", "miou"),
    ),
)
