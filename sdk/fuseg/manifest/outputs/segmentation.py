"""Class scores of every pixel that become labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..schema import SIDE, Record, require, require_unique, within
from ..tensors import Tensor, require_floats
from .base import BaseOutput
from .form import Form

__all__ = ["Background", "Class", "SegmentationOutput", "Tail", "Upsample"]


_MOST_LABELS = 1 << 26  # pixels: twice an 8K frame


@dataclass(frozen=True)
class Upsample(Record):
    """How scores or numbers are upsampled to the camera's size; scores before the best
    class is taken.

    Attributes:
        filter: The interpolation.
        align_corners: Whether the corner pixels' centres coincide, as in PyTorch.
        to: The size of the result: the camera's.
    """

    filter: Literal["bilinear"] = field(default="bilinear", kw_only=True)
    align_corners: bool
    to: Literal["camera"] = field(default="camera", kw_only=True)


@dataclass(frozen=True)
class Class(Record):
    """A class; its index is its position in the list.

    Attributes:
        name: Unique in the list.
        color: Red, green and blue.
        ids: Its labels in the data set's files, if they are not the index.
    """

    name: str
    color: tuple[int, int, int] = field(metadata=within(0, 255))
    ids: tuple[int, ...] = field(default=(), metadata=within(0, 65535))


@dataclass(frozen=True)
class Tail(Record):
    """What the exporter cut off the end of the graph.

    Attributes:
        removed: ONNX op types in the graph's order; empty if nothing was cut off.
        size: Height and width of the uncut network's output, in pixels; at most
            67,108,864 in all.
    """

    removed: tuple[str, ...]
    size: tuple[int, int] = field(metadata=SIDE)

    def _check(self) -> None:
        for index, op in enumerate(self.removed):
            require(
                op.isascii() and op.isidentifier(),
                f"removed[{index}] must be an ONNX op type, got {op!r}.",
            )
        height, width = self.size
        require(
            height * width <= _MOST_LABELS,
            f"size must hold at most {_MOST_LABELS} pixels, as a label map of that "
            f"size is made without a camera's frame, got {height} x {width}.",
        )


@dataclass(frozen=True)
class Background(Record):
    """An implied first class, label 0: where every other one scores less.

    With a score of 0 one channel means the same alone and among others.

    Attributes:
        score: Its score everywhere.
    """

    score: float


@dataclass(frozen=True)
class SegmentationOutput(BaseOutput):
    """Class scores of every pixel that become labels.

    The tensor is ``[1, classes, height, width]``, with 255 classes at most, the
    background among them. One channel without a background means two classes: the
    second one where the score is above 0.

    Attributes:
        tensor: The tensor of the scores, by name.
        upsample: How scores reach the camera's size.
        ignore: The label of no class.
        classes: The classes, the background first if there is one, then in the order
            of the scores' channels. Empty with ``classes_from``.
        tail: What the exporter cut off.
        classes_from: The input of texts that the scores' channels are of. Labels are 0
            for the background, which is required then, and 1, 2, ... for the texts, in
            their order; their colours are those of PASCAL VOC.
        background: An implied first class.
    """

    kind: Literal["segmentation"] = field(default="segmentation", kw_only=True)
    upsample: Upsample
    ignore: int = field(metadata=within(0, 255))
    classes: tuple[Class, ...]
    tail: Tail
    classes_from: str | None = None
    background: Background | None = None

    def _check(self) -> None:
        super()._check()
        if self.classes_from is not None:
            require(
                not self.classes,
                "classes must be empty, as classes_from names the texts that they are, "
                f"got {len(self.classes)}.",
            )
            require(
                self.background is not None,
                "background is missing: with classes_from it is what is none of the "
                "texts.",
            )
        require_unique("classes", [entry.name for entry in self.classes])
        ids = [number for entry in self.classes for number in entry.ids]
        require_unique("classes[].ids", [str(number) for number in ids])

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of."""
        require_floats(dtype)
        require(
            len(shape) == 4,
            f"tensor must be [1, classes, height, width], got {list(shape)}.",
        )
        channels = shape[1]
        planes = channels + (self.background is not None)
        require(
            planes <= 255,
            f"tensor must hold at most 255 classes, got {planes}.",
        )
        wanted = 2 if planes == 1 else planes
        require(
            self.classes_from is not None or len(self.classes) == wanted,
            f"classes must name the {wanted} classes of tensor {self.tensor!r}, "
            f"got {len(self.classes)}.",
        )
        self._require_own_size(shape)

    def _require_own_size(self, shape: tuple[int, ...]) -> None:
        height, width = shape[-2:]
        require(
            bool(self.tail.removed) or self.tail.size == (height, width),
            f"tail.size must be the tensor's {height}, {width} as nothing was "
            f"removed, got {self.tail.size[0]}, {self.tail.size[1]}.",
        )

    def prompt_axis(self, tensors: Mapping[str, Tensor]) -> int | str:
        """How many texts its scores are of, as the tensors' shapes say."""
        return tensors[self.tensor].shape[1]

    @property
    def expected(self) -> Form:
        """What its array in a sample is."""
        return Form("uint8", ("H", "W"))

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        tail = " + ".join(self.tail.removed) or "nothing"
        names = (f"{i} {entry.name}" for i, entry in enumerate(self.classes))
        first = (
            f"scores upsampled {self.upsample.filter} to the {self.upsample.to}'s size "
            f"(cut from the graph: {tail}); ignore {self.ignore}"
        )
        if self.classes_from is not None:
            return [first, f"classes: background, and the texts of {self.classes_from}"]
        return [first, f"{len(self.classes)} classes: {', '.join(names)}"]
