"""Attention over places of feature maps, of plain convolutions and products.

``nn.TransformerEncoderLayer`` cannot be exported in opset 17, this can.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

__all__ = ["EfficientAttention", "TransformerBlock"]

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
        return x.reshape(x.shape[0], self.heads, self.size, -1)


class TransformerBlock(nn.Module):
    """Multi-head attention to the tokens of another, or the same, sequence; a network.

    Shapes: ``(N, T, C)`` and ``(N, S, C)`` to ``(N, T, C)``.

    Source: Vaswani et al., *Attention Is All You Need*, 2017, section 3, normalised
    before each part.
    """

    def __init__(self, channels: int, heads: int = HEADS) -> None:
        super().__init__()
        self.heads, self.size = heads, channels // heads
        self.norm, self.norm_asked = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.query, self.key = (nn.Linear(channels, channels) for _ in range(2))
        self.value, self.out = (nn.Linear(channels, channels) for _ in range(2))
        self.feed = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.ReLU(),
            nn.Linear(2 * channels, channels),
        )

    def forward(self, x: Tensor, asked: Tensor) -> Tensor:
        asked = self.norm_asked(asked)
        # Scaled before the product: of attention as it is usually written onnxsim makes
        # an operator that ONNX Runtime alone has.
        query = self._of_heads(self.query(self.norm(x)) / math.sqrt(self.size))
        key = self._of_heads(self.key(asked)).transpose(2, 3)
        weights = (query @ key).softmax(-1)
        seen = weights @ self._of_heads(self.value(asked))
        x = x + self.out(seen.transpose(1, 2).reshape(x.shape))
        fed: Tensor = x + self.feed(x)
        return fed

    def _of_heads(self, x: Tensor) -> Tensor:
        """``(N, T, C)`` to ``(N, heads, T, C / heads)``."""
        return x.reshape(x.shape[0], -1, self.heads, self.size).transpose(1, 2)
