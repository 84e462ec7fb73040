"""The manifest's inputs: one module for each kind, and how they fill tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Union

from ..schema import require
from .audio import AudioInput, LogMel
from .base import BaseImageInput, Missing, Resize
from .color import ColorInput
from .depth import DepthInput
from .plane import PlaneInput
from .text import TextInput

__all__ = [
    "IMAGES",
    "AudioInput",
    "BaseImageInput",
    "ColorInput",
    "DepthInput",
    "ImageInput",
    "Input",
    "LogMel",
    "Missing",
    "PlaneInput",
    "Resize",
    "SensorInput",
    "TextInput",
    "image_inputs",
    "input_shapes",
]

# Told apart by their kind: what gives images, what gives frames, and everything.
ImageInput = Union[ColorInput, DepthInput, PlaneInput]  # noqa: UP007
SensorInput = Union[ColorInput, DepthInput, PlaneInput, AudioInput]  # noqa: UP007
Input = Union[ColorInput, DepthInput, PlaneInput, AudioInput, TextInput]  # noqa: UP007

IMAGES: dict[str, type[ImageInput]] = {
    "color": ColorInput,
    "depth": DepthInput,
    "thermal": DepthInput,
    "range": DepthInput,
    "plane": PlaneInput,
}


def image_inputs(inputs: Iterable[SensorInput]) -> tuple[ImageInput, ...]:
    """Those whose frames are images."""
    return tuple(entry for entry in inputs if not isinstance(entry, AudioInput))


def input_shapes(inputs: Iterable[SensorInput]) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors that inputs fill together, in the inputs' order.

    Raises:
        ManifestError: they do not fill every channel once, or differ in size.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    filled: dict[str, dict[int, BaseImageInput]] = {}
    for index, entry in enumerate(inputs):
        if isinstance(entry, BaseImageInput):
            _add_planes(filled.setdefault(entry.tensor, {}), index, entry)
        require(
            entry.tensor not in shapes or isinstance(entry, BaseImageInput),
            f"inputs[{index}].tensor must be one that no other input fills, got "
            f"{entry.tensor!r}.",
        )
        shapes[entry.tensor] = () if isinstance(entry, BaseImageInput) else entry.shape
    for name, planes in filled.items():
        require(
            sorted(planes) == list(range(len(planes))) and not shapes[name],
            f"inputs must fill every channel of tensor {name!r}, got channels "
            f"{sorted(planes)[:20]}.",
        )
        resize = planes[0].resize
        shapes[name] = (1, len(planes), resize.height, resize.width)
    return shapes


def _add_planes(
    planes: dict[int, BaseImageInput], index: int, entry: BaseImageInput
) -> None:
    first = next(iter(planes.values()), entry)
    size, wanted = ((i.resize.height, i.resize.width) for i in (entry, first))
    require(
        size == wanted,
        f"inputs[{index}].resize must be {wanted[0]} x {wanted[1]}, as of the "
        f"other inputs of tensor {entry.tensor!r}, got {size[0]} x {size[1]}.",
    )
    for channel in range(entry.channel, entry.channel + entry.planes):
        require(
            channel not in planes,
            f"inputs[{index}].channel must be one that no other input of tensor "
            f"{entry.tensor!r} fills, got {entry.channel}.",
        )
        planes[channel] = entry
