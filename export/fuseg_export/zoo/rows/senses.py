"""Named things that are heard, felt warm, scanned, filmed, or of two styles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...models import REFERENCE
from ...scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from ...scenes.senses.render import sensed_of
from ...scenes.senses.video import clips_of
from ...scenes.things import HEIGHT, WIDTH, things_of
from ...training.data import RenderedFrames
from ...training.losses import class_weights
from ...training.tasks.domains import DomainTask
from ...training.tasks.rooms import Rooms
from ...training.tasks.sound import SoundTask
from ...training.tasks.three import hot_frames, scanned_frames
from ...training.tasks.video import VideoTask
from ..row import Row
from .things import PRETRAINED

__all__ = ["ROWS"]

_SIZE = (HEIGHT, WIDTH)
_TRAIN, _TEST = TRAIN_SEEDS[:3000], HELD_OUT_SEEDS[:300]
_CLIPS, _TEST_CLIPS = TRAIN_SEEDS[:400], HELD_OUT_SEEDS[:60]


def _sound(folder: Path, *, hears: bool = True) -> SoundTask:
    train, test = (things_of(s, *_SIZE, folder) for s in (_TRAIN, _TEST))
    (sound,) = REFERENCE["sound"].given.others
    return SoundTask(train, test, sound, hears=hears)


def _video(folder: Path, *, remembers: bool = True) -> VideoTask:
    train, test = (clips_of(s, *_SIZE, folder) for s in (_CLIPS, _TEST_CLIPS))
    return VideoTask(train, test, remembers=remembers)


def _domains(folder: Path, *, few: int = 100) -> DomainTask:
    train, test = (things_of(s, *_SIZE, folder) for s in (_TRAIN, _TEST))
    return DomainTask(train, test, few=few)


def _sensed(model: str, folder: Path) -> Rooms:
    make = hot_frames if model.startswith("hot") else scanned_frames

    def frames(seeds: range) -> RenderedFrames:
        return make(sensed_of(seeds, *_SIZE, folder))

    found, train = REFERENCE[model], frames(_TRAIN)
    return Rooms(
        found.inputs,
        found.classes,
        found.ignore,
        train,
        frames(_TEST),
        weights=class_weights(train.labels, len(found.classes)),
    )


def _sensors(model: str, **beats: float) -> Row:
    named = {name.replace("_", "-"): margin for name, margin in beats.items()}
    return Row(model, model, partial(_sensed, model), 500, beats=named)


def _started(
    name: str,
    model: str,
    task: Callable[[Path], Any],
    steps: int,
    metric: str,
    *,
    blind: bool = False,
    also: tuple[str, ...] = (),
    beats: Mapping[str, float] = MappingProxyType({}),
) -> Row:
    """A row that starts from the pretrained one; a blind one is a baseline."""
    return Row(
        name,
        model,
        task,
        steps,
        metric,
        beats,
        also,
        rate=2e-3,
        exported=not blind,
        start=PRETRAINED,
    )


ROWS = (
    *(
        _sensors(f"hot-{sensor}", majority=0.1)
        for sensor in ("rgb", "depth", "thermal")
    ),
    _sensors("hot-rgb-depth", hot_rgb=0.02, hot_depth=0.02),
    _sensors("hot-rgb-thermal", hot_rgb=0.02, hot_thermal=0.02),
    _sensors("hot-depth-thermal", hot_depth=0.02, hot_thermal=0.02),
    _sensors(
        "hot-rgb-depth-thermal",
        hot_rgb_depth=0.02,
        hot_rgb_thermal=0.02,
        hot_depth_thermal=0.02,
    ),
    _sensors("kinds-rgb", majority=0.1),
    _sensors("kinds-range", majority=0.1),
    _sensors("kinds-rgb-range", kinds_rgb=0.02, kinds_range=0.02),
    _started("deaf", "sound", partial(_sound, hears=False), 800, "found", blind=True),
    _started(
        "sound",
        "sound",
        _sound,
        800,
        "found",
        also=("first", "silent_area"),
        beats={"deaf": 0.2, "deaf:first": 0.2},
    ),
    _started(
        "stateless",
        "video",
        partial(_video, remembers=False),
        500,
        "miou_spoilt",
        blind=True,
    ),
    _started(
        "video",
        "video",
        _video,
        500,
        "miou_spoilt",
        also=("miou", "miou_good", "flicker"),
        beats={"stateless": 0.15},
    ),
    _started(
        "unadapted",
        "one-domain",
        partial(_domains, few=0),
        500,
        "miou_b",
        blind=True,
    ),
    _started(
        "one-domain",
        "one-domain",
        _domains,
        500,
        "miou_b",
        also=("miou_a_by_a",),
        beats={"unadapted": 0.02},
    ),
    _started(
        "domains",
        "domains",
        _domains,
        500,
        "miou_b",
        also=("miou_a_by_a", "miou_a_by_b", "miou_b_by_a"),
        beats={"unadapted": 0.02, "one-domain": 0.0},
    ),
)
