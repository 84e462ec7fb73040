"""The reference models: networks whose export, precision and speed are all measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from fuseg.manifest import (
    Class,
    ColorInput,
    DepthInput,
    ImageInput,
    Missing,
    Resize,
    input_shapes,
)

from ..scenes import CLASSES
from .network import FusionNet

__all__ = ["REFERENCE", "ReferenceModel"]

HEIGHT, WIDTH = 240, 320


@dataclass(frozen=True)
class ReferenceModel:
    """A network of this package with all that its manifest says of frames and labels.

    ``build()`` gives the network with random weights. Its ``forward`` takes one tensor
    an input, in the order of ``inputs``, and returns logits at the inputs' size.
    """

    name: str
    summary: str
    build: Callable[[], nn.Module]
    inputs: tuple[ImageInput, ...]
    classes: tuple[Class, ...]
    ignore: int = 255


COLOR = ColorInput(
    name="rgb",
    tensor="rgb",
    channels="RGB",
    resize=Resize(HEIGHT, WIDTH, filter="bilinear", fit="stretch"),
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    fill=0.0,
    missing=Missing("refuse"),
)
DEPTH = DepthInput(
    name="depth",
    kind="depth",
    tensor="depth",
    dtype="uint16",
    unit="mm",
    invalid=(0, 65535),
    resize=Resize(HEIGHT, WIDTH, filter="nearest", fit="stretch"),
    scale=0.001,
    mean=(2.0,),
    std=(1.5,),
    fill=-2.0,  # nearer than any reading: a hole must not look like a distance
    missing=Missing("hold", max_age_ms=200.0, then="substitute"),
)


def _reference(
    name: str, summary: str, inputs: tuple[ImageInput, ...]
) -> ReferenceModel:
    classes = tuple(Class(c.name, c.color) for c in CLASSES)
    planes = [shape[1] for shape in input_shapes(inputs).values()]
    return ReferenceModel(
        name, summary, lambda: FusionNet(planes, len(classes)), inputs, classes
    )


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
    )
}
