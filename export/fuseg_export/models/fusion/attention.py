"""Each place of the first sensor looks at the whole of the others."""

from __future__ import annotations

from torch import Tensor, nn

from ..attention import EfficientAttention

__all__ = ["Attention"]


class Attention(nn.Module):
    """``x_1 + sum over the others of (x_i + attend(x_1, x_i))``.

    Source: Zhang et al., *CMX: Cross-Modal Fusion for RGB-X Semantic Segmentation*,
    2023, section III-C: one way of its two.
    """

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.looks = nn.ModuleList(
            EfficientAttention(channels) for _ in range(sensors - 1)
        )

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        fused = first
        for look, x in zip(self.looks, others, strict=True):
            fused = fused + x + look(first, x)
        return fused
