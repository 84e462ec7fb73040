"""Learned enlarging beside the encoder's features of each scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..blocks import ConvNorm

__all__ = ["UNetDecoder"]


class UNetDecoder(nn.Module):
    """Transposed convolution, the encoder's features beside it, two convolutions.

    Args:
        widths: Channels of the features, finest first; each scale is half of the one
            before.

    Source: Ronneberger et al., *U-Net*, 2015.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, 2) for a, b in pairs)
        self.refine = nn.ModuleList(
            nn.Sequential(ConvNorm(2 * b, b), ConvNorm(b, b)) for _, b in pairs
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x = features[-1]
        for feature, enlarge, refine in zip(
            features[-2::-1], self.enlarge, self.refine, strict=True
        ):
            x = refine(torch.cat([enlarge(x), feature], 1))
        return x
