"""The manifest's outputs: how the network's scores become labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .schema import Record, require, require_side, require_tensor_shape, require_unique

__all__ = ["Class", "Output", "OutputTensor", "Tail", "Upsample"]


_MOST_LABELS = 1 << 26  # pixels: twice an 8K frame


@dataclass(frozen=True)
class OutputTensor(Record):
    """The network's output: class scores, shape (1, C, h, w)."""

    name: str
    dtype: Literal["float32"] = field(default="float32", kw_only=True)
    shape: tuple[int, int, int, int]

    def _check(self) -> None:
        require_tensor_shape(self.shape)


@dataclass(frozen=True)
class Upsample(Record):
    """How scores grow to the camera's size before the best class is taken."""

    filter: Literal["bilinear"] = field(default="bilinear", kw_only=True)
    align_corners: bool
    to: Literal["camera"] = field(default="camera", kw_only=True)


@dataclass(frozen=True)
class Class(Record):
    """A class: its index is its place in the list; colour is (R, G, B), 0 to 255.

    ``ids`` are its labels in the files of its data set, if those are not the index.
    """

    name: str
    color: tuple[int, int, int]
    ids: tuple[int, ...] = ()

    def _check(self) -> None:
        for index, value in enumerate(self.color):
            require(0 <= value <= 255, f"color[{index}] must be 0 to 255, got {value}.")
        for index, value in enumerate(self.ids):
            require(
                0 <= value <= 65535, f"ids[{index}] must be 0 to 65535, got {value}."
            )


@dataclass(frozen=True)
class Tail(Record):
    """What export cut from the end of the graph.

    ``removed`` are ONNX op types in the graph's order, empty if nothing was cut;
    ``size`` is (height, width) of what the uncut network gave.
    """

    removed: tuple[str, ...]
    size: tuple[int, int]

    def _check(self) -> None:
        for index, op in enumerate(self.removed):
            require(
                op.isascii() and op.isidentifier(),
                f"removed[{index}] must be an ONNX op type, got {op!r}.",
            )
        for index, side in enumerate(self.size):
            require_side(f"size[{index}]", side)
        height, width = self.size
        require(
            height * width <= _MOST_LABELS,
            f"size must hold at most {_MOST_LABELS} pixels, as a label map of that "
            f"size is made without a camera's frame, got {height} x {width}.",
        )


@dataclass(frozen=True)
class Output(Record):
    """How the network's scores become labels; ``ignore`` is the label of no class.

    One channel of scores means two classes, the second where the score is above 0.
    """

    name: str
    kind: Literal["segmentation"] = field(default="segmentation", kw_only=True)
    tensor: OutputTensor
    upsample: Upsample
    ignore: int
    classes: tuple[Class, ...]
    tail: Tail

    def _check(self) -> None:
        _, channels, height, width = self.tensor.shape
        require(
            channels <= 255,
            f"tensor.shape[1] must be at most 255 classes, got {channels}.",
        )
        wanted = 2 if channels == 1 else channels
        require(
            len(self.classes) == wanted,
            f"classes must name the {wanted} classes of tensor {self.tensor.name!r}, "
            f"got {len(self.classes)}.",
        )
        require_unique("classes", [entry.name for entry in self.classes])
        ids = [number for entry in self.classes for number in entry.ids]
        require_unique("classes[].ids", [str(number) for number in ids])
        require(0 <= self.ignore <= 255, f"ignore must be 0 to 255, got {self.ignore}.")
        require(
            bool(self.tail.removed) or self.tail.size == (height, width),
            f"tail.size must be the tensor's {height}, {width} as nothing was "
            f"removed, got {self.tail.size[0]}, {self.tail.size[1]}.",
        )
