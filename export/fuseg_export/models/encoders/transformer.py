"""Convolutions, then places that attend to one another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..attention import TransformerBlock
from ..blocks import ConvNorm, ResidualBlock

__all__ = ["TransformerEncoder"]


class TransformerEncoder(nn.Module):
    """Features at strides 4 and 8; places of the latter have seen all others.

    With two sensors those of the first ask those of the second, then one another.

    Args:
        planes: Channels of each sensor's tensor, one or two.
        size: Height and width of the inputs, multiples of 8.
        widths: Channels at strides 4 and 8.
        layers: Of self-attention.

    Attributes:
        widths: Channels of the features.

    Source: Dosovitskiy et al., *An Image is Worth 16x16 Words*, 2021, the hybrid of
    section 3.1.
    """

    def __init__(
        self,
        planes: Sequence[int],
        size: tuple[int, int],
        widths: Sequence[int] = (32, 64),
        layers: int = 2,
    ) -> None:
        super().__init__()
        fine, wide = widths
        self.widths = (fine, wide)
        places = (size[0] // 8) * (size[1] // 8)
        self.fine = nn.ModuleList(
            nn.Sequential(
                ConvNorm(p, fine // 2, stride=2),
                ConvNorm(fine // 2, fine, stride=2),
                ResidualBlock(fine, fine),
            )
            for p in planes
        )
        self.wide = nn.ModuleList(ResidualBlock(fine, wide, 2) for _ in planes)
        self.position = nn.Parameter(torch.randn(1, places, wide) * 0.02)
        self.across = nn.ModuleList(TransformerBlock(wide) for _ in planes[1:])
        self.within = nn.ModuleList(TransformerBlock(wide) for _ in range(layers))

    def forward(self, *sensors: Tensor) -> list[Tensor]:
        fine = [f(x) for f, x in zip(self.fine, sensors, strict=True)]
        wide = [w(x) for w, x in zip(self.wide, fine, strict=True)]
        tokens = [x.flatten(2).transpose(1, 2) + self.position for x in wide]
        x = tokens[0]
        for block, other in zip(self.across, tokens[1:], strict=True):
            x = block(x, other)
        for block in self.within:
            x = block(x, x)
        fused = fine[0]
        for other in fine[1:]:
            fused = fused + other
        return [fused, x.transpose(1, 2).reshape(wide[0].shape)]
