"""The manifest's tensors: what inputs fill, graphs pass on, and outputs are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from .schema import Record, require, within

__all__ = ["Tensor"]

_LARGEST = 1 << 28  # elements: 1 GiB of float32
_MOST_AXES = 8  # as TensorRT


@dataclass(frozen=True)
class Tensor(Record):
    """A tensor; its name is that of the ONNX files that read or write it.

    Attributes:
        dtype: Its type in the ONNX; every variant has the same.
        shape: One number for each axis; batch first, which is 1.
    """

    dtype: Literal["float32"] = field(default="float32", kw_only=True)
    shape: tuple[int, ...] = field(metadata=within(1))

    def _check(self) -> None:
        require(
            1 <= len(self.shape) <= _MOST_AXES,
            f"shape must have 1 to {_MOST_AXES} axes, got {len(self.shape)}.",
        )
        require(
            self.shape[0] == 1, f"shape[0] must be 1, the batch, got {self.shape[0]}."
        )
        require(
            math.prod(self.shape) <= _LARGEST,
            f"shape must hold at most {_LARGEST} values, got {list(self.shape)}.",
        )
