"""Of every feature the sensor that has most of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Maximum"]


class Maximum(nn.Module):
    """``max(x_1, ..., x_n)``: one sensor that sees something is enough."""

    def __init__(self, *_: int) -> None:
        super().__init__()

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for x in others:
            first = torch.maximum(first, x)
        return first
