"""The sensors' features side by side, mixed place by place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Concat"]


class Concat(nn.Module):
    """``W [x_1; ...; x_n]``: a matrix brings them back to as many channels."""

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(sensors * channels, channels, 1, bias=False)

    def forward(self, *features: Tensor) -> Tensor:
        projected: Tensor = self.project(torch.cat(features, 1))
        return projected
