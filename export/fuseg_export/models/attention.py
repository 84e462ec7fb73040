"""Attention over places of feature maps, of plain convolutions and products.

``nn.TransformerEncoderLayer`` cannot be exported in opset 17, this can.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

__all__ = ["EfficientAttention"]

HEADS = 4


class EfficientAttention(nn.Module):
    """Places of one feature map ask all places of another, at a cost linear in both.

    ``softmax(q) (softmax(k)^T v)``: the keys' softmax is over places, so that what is
    asked is summed up before any place asks.

    Args:
        channels: Of both; the heads share them, as many of ``HEADS`` as divide them.

    Shapes: two ``(N, C, H, W)`` to ``(N, C, H, W)``.

    Source: Shen et al., *Efficient Attention: Attention with Linear Complexities*,
    2021, section 3.2; across sensors: Zhang et al., *CMX*, 2023, section III-C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = math.gcd(channels, HEADS)
        self.size = channels // self.heads
        self.query = nn.Conv2d(channels, channels, 1)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        query = self._of_heads(self.query(asking)).softmax(2)
        key = self._of_heads(self.key(asked)).softmax(3)
        summed = self._of_heads(self.value(asked)) @ key.transpose(2, 3)
        made: Tensor = self.out((summed @ query).reshape(asking.shape))
        return made

    def _of_heads(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, heads, C / heads, H * W)``."""
        return x.reshape(len(x), self.heads, self.size, -1)
