"""The reference models: networks whose export, precision and speed are all measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from fuseg.manifest import Class, Input, InputTensor, Missing, Resize

from ..scenes import CLASSES
from .network import FusionNet
from .untrained import untrained

__all__ = ["R34", "REFERENCE", "ReferenceModel"]

HEIGHT, WIDTH = 240, 320
R34: dict[str, Any] = {
    "widths": (64, 128, 256, 512),
    "depths": (3, 4, 6, 3),
    "decoder_channels": 128,
    "bins": (1, 5),
}
LARGE, SMALL = (480, 640), (160, 224)


@dataclass(frozen=True)
class ReferenceModel:
    """A network of this package with all that its manifest says of frames and labels.

    ``build()`` gives the network with random weights. Its ``forward`` takes one tensor
    an input, in the order of ``inputs``, and returns logits at the inputs' size.
    """

    name: str
    summary: str
    build: Callable[[], nn.Module]
    inputs: tuple[Input, ...]
    classes: tuple[Class, ...]
    ignore: int = 255


COLOR = Input(
    name="rgb",
    kind="color",
    dtype="uint8",
    channels="RGB",
    resize=Resize(HEIGHT, WIDTH, filter="bilinear", fit="stretch"),
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    fill=0.0,
    tensor=InputTensor("rgb", (1, 3, HEIGHT, WIDTH)),
    missing=Missing("refuse"),
)
DEPTH = Input(
    name="depth",
    kind="depth",
    dtype="uint16",
    unit="mm",
    invalid=(0, 65535),
    resize=Resize(HEIGHT, WIDTH, filter="nearest", fit="stretch"),
    scale=0.001,
    mean=(2.0,),
    std=(1.5,),
    fill=-2.0,  # nearer than any reading: a hole must not look like a distance
    tensor=InputTensor("depth", (1, 1, HEIGHT, WIDTH)),
    missing=Missing("hold", max_age_ms=200.0, then="substitute"),
)


def _reference(name: str, summary: str, inputs: tuple[Input, ...]) -> ReferenceModel:
    classes = tuple(Class(c.name, c.color) for c in CLASSES)
    planes = [i.tensor.shape[1] for i in inputs]
    return ReferenceModel(
        name, summary, lambda: FusionNet(planes, len(classes)), inputs, classes
    )


def _at(spec: Input, size: tuple[int, int]) -> Input:
    planes = spec.tensor.shape[1]
    return replace(
        spec,
        resize=replace(spec.resize, height=size[0], width=size[1]),
        tensor=replace(spec.tensor, shape=(1, planes, *size)),
    )


def _untrained(name: str, summary: str, **shape: Any) -> ReferenceModel:
    """A colour and depth network at 480x640 that was never trained."""
    inputs = (_at(COLOR, LARGE), _at(DEPTH, LARGE))
    planes = [i.tensor.shape[1] for i in inputs]

    def build() -> nn.Module:
        network = FusionNet(planes, len(CLASSES), **shape)
        return untrained(network, [_at(i, SMALL) for i in inputs])

    classes = tuple(Class(c.name, c.color) for c in CLASSES)
    return ReferenceModel(name, summary, build, inputs, classes)


REFERENCE = {
    model.name: model
    for model in (
        _reference(
            "rgbd",
            "colour + depth: two encoders, gated fusion at every scale",
            (COLOR, DEPTH),
        ),
        _reference("rgb", "colour alone: the same network with one encoder", (COLOR,)),
        _reference(
            "depth",
            "depth alone: the same network with one encoder",
            (replace(DEPTH, missing=Missing("refuse")),),
        ),
        _untrained(
            "rgbd-r34",
            "colour + depth, two encoders of ResNet-34's size; to be timed, untrained",
            **R34,
        ),
        _untrained(
            "rgbd-light",
            "colour + depth, a light network, scores at 1/8; to be timed, untrained",
            widths=(16, 32, 48, 64),
            depths=(1, 1, 1, 1),
            decoder_channels=32,
            bins=(1, 5),
            stride=8,
        ),
    )
}
