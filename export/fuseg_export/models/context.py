"""What the whole image says, added to every place of the coarsest features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvNorm

__all__ = ["PyramidContext"]


class PyramidContext(nn.Module):
    """Pooled copies of the features at a few coarse grids, beside the features.

    Args:
        channels: Channels in and out.
        bins: Cells per side of each grid. The exporters take only grids that divide
            the features' height and width.

    Source: Zhao et al., *Pyramid Scene Parsing Network*, 2017, section 3.2.
    """

    def __init__(self, channels: int, bins: Sequence[int]) -> None:
        super().__init__()
        branch = channels // len(bins)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(n), ConvNorm(channels, branch, 1))
            for n in bins
        )
        self.merge = ConvNorm(channels + branch * len(bins), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        pooled = [
            F.interpolate(branch(x), size=size, mode="bilinear", align_corners=False)
            for branch in self.branches
        ]
        merged: Tensor = self.merge(torch.cat([x, *pooled], dim=1))
        return merged
