"""The sum of the sensors' features."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["Add"]


class Add(nn.Module):
    """``x_1 + ... + x_n``: a sensor that sees nothing adds nothing."""

    def __init__(self, *_: int) -> None:
        super().__init__()

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for x in others:
            first = first + x
        return first
