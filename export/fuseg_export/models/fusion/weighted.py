"""A learned share of each sensor in each channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Weighted"]


class Weighted(nn.Module):
    """``n (s_1 x_1 + ... + s_n x_n)``, shares s of a softmax over the sensors.

    It begins as their sum; the shares are the same for every picture.
    """

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(sensors, channels, 1, 1))

    def forward(self, *features: Tensor) -> Tensor:
        shares = len(features) * self.logits.softmax(0)
        fused = features[0] * shares[0]
        for index, x in enumerate(features[1:], start=1):
            fused = fused + x * shares[index]
        return fused
