"""Wide views without further halving: dilated convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..blocks import ConvNorm, ResidualBlock

__all__ = ["AtrousEncoder"]


class AtrousEncoder(nn.Module):
    """Features at strides 4 and 8, the latter seen at several dilations.

    Args:
        planes: Channels of the input.
        widths: Channels at strides 4 and 8.
        rates: Dilations of the pyramid's branches.

    Attributes:
        widths: Channels of the features.

    Source: Chen et al., *Encoder-Decoder with Atrous Separable Convolution for Semantic
    Image Segmentation* (DeepLabV3+), 2018.
    """

    def __init__(
        self,
        planes: int,
        widths: Sequence[int] = (32, 64),
        rates: Sequence[int] = (2, 4, 6),
    ) -> None:
        super().__init__()
        fine, wide = widths
        self.widths = (fine, wide)
        self.fine = nn.Sequential(
            ConvNorm(planes, fine // 2, stride=2),
            ConvNorm(fine // 2, fine, stride=2),
            ResidualBlock(fine, fine),
        )
        self.wide = nn.Sequential(
            ResidualBlock(fine, wide, 2),
            ResidualBlock(wide, wide),
            ConvNorm(wide, wide, dilation=2),
        )
        branch = wide // 2
        self.branches = nn.ModuleList([ConvNorm(wide, branch, 1)])
        self.branches += [ConvNorm(wide, branch, dilation=rate) for rate in rates]
        self.image = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, branch, 1), nn.ReLU()
        )
        self.merge = ConvNorm(branch * (len(rates) + 2), wide, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        fine = self.fine(x)
        x = self.wide(fine)
        image = self.image(x).expand(-1, -1, *x.shape[-2:])
        views = [*(branch(x) for branch in self.branches), image]
        return [fine, self.merge(torch.cat(views, 1))]
