"""The sensors' features side by side, mixed with what is around each place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks import ConvNorm

__all__ = ["ConcatConv"]


class ConcatConv(nn.Module):
    """``relu(norm(conv3x3([x_1; ...; x_n])))``."""

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.mix = ConvNorm(sensors * channels, channels)

    def forward(self, *features: Tensor) -> Tensor:
        mixed: Tensor = self.mix(torch.cat(features, 1))
        return mixed
