"""Rooms: every fusion operator at every position, the classical networks, transfer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import nn

from ...frames.rendered import SMALL_CAMERA
from ...models import REFERENCE
from ...models.encoders import EfficientNetLite0
from ...scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from ...training.data import frames_of
from ...training.tasks.rooms import Rooms
from ..row import Row

__all__ = ["ROWS", "labels_of_rooms"]

_TRAIN, _TEST = TRAIN_SEEDS[:3000], HELD_OUT_SEEDS[:300]
# What each network must gain in mIoU.
_FUSED = {"small-rgb": 0.02, "small-depth": 0.02}
_CLASSICAL = {"majority": 0.2}
_STEPS = {"unet": 1200}  # learns slowest: it begins at stride 2


def labels_of_rooms(model: str, folder: Path) -> Rooms:
    """See `Row`: labels, from the sensors of a model."""
    found = REFERENCE[model]
    train, test = (frames_of(s, *SMALL_CAMERA, folder) for s in (_TRAIN, _TEST))
    return Rooms(found.inputs, found.classes, found.ignore, train, test)


def _imagenet(network: nn.Module) -> None:
    cast(EfficientNetLite0, network.encoder).load_imagenet()


def _frozen(network: nn.Module) -> None:
    """ImageNet's encoder as it is: neither its weights nor its statistics change."""
    _imagenet(network)
    cast(EfficientNetLite0, network.encoder).requires_grad_(False).eval()


def _row(model: str, name: str | None = None, **fields: Any) -> Row:
    steps = _STEPS.get(model, 600)
    return Row(name or model, model, partial(labels_of_rooms, model), steps, **fields)


def _small(family: str, *, several: bool) -> list[str]:
    """Models of small rooms, of one sensor or of several."""
    return [
        name
        for name, model in REFERENCE.items()
        if model.family == family
        and model.inputs[0].resize.height == SMALL_CAMERA[0]
        and {i.kind for i in model.inputs} <= {"color", "depth"}
        and (len(model.inputs) > 1) == several
    ]


ROWS = (
    _row("small-rgb", beats=_CLASSICAL),
    _row("small-depth", beats=_CLASSICAL),
    *(_row(name, beats=_FUSED) for name in _small("fusion", several=True)),
    *(_row(name, beats=_CLASSICAL) for name in _small("classical", several=False)),
    *(_row(name, beats=_CLASSICAL) for name in _small("attention", several=False)),
    *(_row(name, beats=_FUSED) for name in _small("attention", several=True)),
    _row("efficientnet", "efficientnet-scratch", beats=_CLASSICAL),
    _row(
        "efficientnet",
        "efficientnet-frozen",
        prepare=_frozen,
        beats={"efficientnet-scratch": 0.0},
    ),
    _row(
        "efficientnet",
        "efficientnet-tuned",
        prepare=_imagenet,
        beats={"efficientnet-scratch": 0.05},
    ),
)
