"""Rooms: every fusion operator at every position, the classical networks, transfer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from torch import nn

from ...frames.rendered import SMALL_CAMERA
from ...models import REFERENCE
from ...models.encoders import EfficientNetLite0
from ...models.thin import removed_channels
from ...scenes import HELD_OUT_SEEDS, TRAIN_SEEDS
from ...training.compress import Distilled, Masked, two_of_four
from ...training.data import frames_of
from ...training.tasks.rooms import Rooms
from ...training.transfer import freeze
from ..row import Row, Weights, take_alike

__all__ = ["ROWS", "labels_of_rooms"]

_TRAIN, _TEST = TRAIN_SEEDS[:3000], HELD_OUT_SEEDS[:300]
# What each network must gain in mIoU.
_FUSED = {"small-rgb": 0.02, "small-depth": 0.02}
_CLASSICAL = {"majority": 0.2}
_WHOLE = "gated-middle"  # what is made smaller
_NEAR = {"control": -0.03}  # which is trained as long as they are
# What learns slowest: one begins at stride 2, the other has coarse features alone.
_STEPS = {"unet": 1200, "deconvnet": 1200}


def labels_of_rooms(model: str, folder: Path) -> Rooms:
    """See `Row`: labels, from the sensors of a model."""
    found = REFERENCE[model]
    train, test = (frames_of(s, *SMALL_CAMERA, folder) for s in (_TRAIN, _TEST))
    return Rooms(found.inputs, found.classes, found.ignore, train, test)


def _imagenet(network: nn.Module, _: Weights) -> None:
    cast(EfficientNetLite0, network.encoder).load_imagenet()


def _imagenet_frozen(network: nn.Module, weights: Weights) -> None:
    _imagenet(network, weights)
    freeze(network, "encoder")


def _frozen(network: nn.Module, weights: Weights) -> None:
    take_alike(network, weights)
    freeze(network, "encoder")


def _thinned(share: float, network: nn.Module, weights: Weights) -> None:
    """The weights of the whole network, without its weakest channels."""
    whole = REFERENCE[_WHOLE].network()
    whole.load_state_dict(weights)
    removed_channels(whole, share)
    network.load_state_dict(whole.state_dict())


def _sparse(task: Any, network: nn.Module, _: Weights) -> Masked:
    return Masked(task, two_of_four(network))


def _nothing(_: nn.Module, __: Weights) -> None:
    """A student begins with random weights."""


def _taught(task: Any, _: nn.Module, weights: Weights) -> Distilled:
    teacher = REFERENCE[_WHOLE].network()
    teacher.load_state_dict(weights)
    return Distilled(task, teacher.eval().requires_grad_(False))


def _row(model: str, name: str | None = None, **fields: Any) -> Row:
    steps = fields.pop("steps", _STEPS.get(model, 600))
    return Row(name or model, model, partial(labels_of_rooms, model), steps, **fields)


def _further(model: str, name: str, beats: dict[str, float], **fields: Any) -> Row:
    """The trained whole network, or what is left of it, trained on."""
    more = {"steps": 200, "rate": 1e-3, "start": _WHOLE, "before": True}
    return _row(model, name, beats=beats, **more, **fields)


def _student(name: str, beats: dict[str, float], **fields: Any) -> Row:
    return _row(
        "half-width", name, start=_WHOLE, prepare=_nothing, beats=beats, **fields
    )


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
        prepare=_imagenet_frozen,
        beats={"efficientnet-scratch": 0.0},
    ),
    _row(
        "efficientnet",
        "efficientnet-tuned",
        prepare=_imagenet,
        beats={"efficientnet-scratch": 0.05},
    ),
    _row("fcn", "fcn-frozen", start="classifier", prepare=_frozen, beats=_CLASSICAL),
    _row("fcn", "fcn-tuned", start="classifier", beats={"fcn": 0.0}),
    _further("gated-middle", "control", {}),
    _further("gated-middle", "two-of-four", _NEAR, learned=_sparse),
    *(
        _further(
            f"thinned-{p}", f"thinned-{p}", _NEAR, prepare=partial(_thinned, p / 100)
        )
        for p in (30, 50)
    ),
    _student("student", {"small-rgb": 0.0}),
    _student("distilled", {"student": 0.0}, learned=_taught),
)
