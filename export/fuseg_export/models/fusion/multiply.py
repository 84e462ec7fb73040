"""The product of the sensors' features."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Multiply"]


class Multiply(nn.Module):
    """``x_1 * ... * x_n``: what one sensor does not see is gone."""

    def __init__(self, *_: int) -> None:
        super().__init__()

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for x in others:
            first = first * x
        return first
