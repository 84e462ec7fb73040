"""The manifest's inputs: one module for each kind, and how they fill tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Union

from ..schema import require
from .base import FrameInput, Missing, Resize
from .color import ColorInput
from .maps import MapInput
from .plane import PlaneInput
from .text import TextInput

__all__ = [
    "RECORDS",
    "ColorInput",
    "FrameInput",
    "Input",
    "MapInput",
    "Missing",
    "PlaneInput",
    "Resize",
    "TextInput",
    "frame_inputs",
    "input_shapes",
]

# Those that give frames, told apart by their kind.
Input = Union[ColorInput, PlaneInput, MapInput]  # noqa: UP007

RECORDS: dict[str, type[Input]] = {
    "color": ColorInput,
    "depth": PlaneInput,
    "thermal": PlaneInput,
    "range": PlaneInput,
    "plane": MapInput,
}


def frame_inputs(inputs: Iterable[Input]) -> tuple[FrameInput, ...]:
    """Those whose frames are pictures."""
    return tuple(entry for entry in inputs if isinstance(entry, FrameInput))


def input_shapes(inputs: Iterable[Input]) -> dict[str, tuple[int, int, int, int]]:
    """The shapes of the tensors that inputs fill together, in the inputs' order.

    Raises:
        ManifestError: they do not fill every channel once, or differ in size.
    """
    filled: dict[str, dict[int, Input]] = {}
    for index, entry in enumerate(inputs):
        planes = filled.setdefault(entry.tensor, {})
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
    shapes = {}
    for name, planes in filled.items():
        require(
            sorted(planes) == list(range(len(planes))),
            f"inputs must fill every channel of tensor {name!r}, got channels "
            f"{sorted(planes)[:20]}.",
        )
        entry = planes[0]
        shapes[name] = (1, len(planes), entry.resize.height, entry.resize.width)
    return shapes
