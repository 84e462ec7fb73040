"""The manifest's tensors: what inputs fill, graphs pass on, and outputs are made of."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .schema import Record, require, within

__all__ = ["Dimension", "Tensor", "require_dimensions", "require_floats"]

_LARGEST = 1 << 28  # elements: 1 GiB of float32
_MOST_AXES = 8  # as TensorRT


@dataclass(frozen=True)
class Dimension(Record):
    """A size that may change while a bundle runs: how many texts an input has.

    Attributes:
        min: The smallest.
        max: The largest.
        typical: What engines are tuned for.
    """

    min: int = field(metadata=within(1))
    max: int = field(metadata=within(1, 4096))
    typical: int

    def _check(self) -> None:
        require(
            self.min <= self.typical <= self.max,
            f"typical must be from min to max, {self.min} to {self.max}, got "
            f"{self.typical}.",
        )


@dataclass(frozen=True)
class Tensor(Record):
    """A tensor; its name is that of the ONNX files that read or write it.

    Attributes:
        dtype: Its type in the ONNX; every variant has the same. ``int64`` is for words
            and tokens.
        shape: For each axis a number, or the name of a dimension. The first is the
            batch: 1, or a dimension.
    """

    dtype: Literal["float32", "int64"] = field(default="float32", kw_only=True)
    shape: tuple[int | str, ...]

    def _check(self) -> None:
        require(
            1 <= len(self.shape) <= _MOST_AXES,
            f"shape must have 1 to {_MOST_AXES} axes, got {len(self.shape)}.",
        )
        for index, side in enumerate(self.shape):
            require(
                isinstance(side, str) or side >= 1,
                f"shape[{index}] must be at least 1, got {side}.",
            )
        require(
            self.shape[0] == 1 or isinstance(self.shape[0], str),
            f"shape[0] must be 1, the batch, or a dimension, got {self.shape[0]}.",
        )
        require(
            math.prod(self.sized(dict.fromkeys(self.dimensions, 1))) <= _LARGEST,
            f"shape must hold at most {_LARGEST} values, got {list(self.shape)}.",
        )

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The names in its shape."""
        return tuple(side for side in self.shape if isinstance(side, str))

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Its shape at these sizes of the dimensions."""
        return tuple(sizes[s] if isinstance(s, str) else s for s in self.shape)


def require_dimensions(
    dimensions: Mapping[str, Dimension],
    tensors: Mapping[str, Tensor],
    sources: Collection[str],
) -> None:
    """Refuse dimensions that nothing gives a size, and shapes that name no dimension.

    Args:
        sources: The tensors of inputs whose number of texts is the first axis.
    """
    for name, tensor in tensors.items():
        for dimension in tensor.dimensions:
            require(
                dimension in dimensions,
                f"tensors.{name}.shape must name dimensions, "
                f"{', '.join(dimensions) or 'of which there are none'}, got "
                f"{dimension[:80]!r}.",
            )
    for name in dimensions:
        givers = [source for source in sources if tensors[source].shape[0] == name]
        require(
            len(givers) == 1,
            f"dimensions.{name} must be the first axis of the tensor of one input of "
            f"kind 'text', got {len(givers)} of them.",
        )


def require_floats(dtype: str) -> None:
    """Refuse a tensor of whole numbers, for an output's sentence."""
    require(dtype == "float32", f"tensor must be float32, got {dtype}.")
