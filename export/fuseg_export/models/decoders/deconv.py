"""Learned enlarging of the coarsest features alone."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import ConvNorm

__all__ = ["DeconvDecoder"]


class DeconvDecoder(nn.Module):
    """Transposed convolutions, without any of the encoder's finer features.

    Args:
        widths: Channels at each scale, finest first.

    Source: Noh et al., *Learning Deconvolution Network for Semantic Segmentation*,
    2015.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += [
                nn.ConvTranspose2d(before, width, 4, 2, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                ConvNorm(width, width),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        enlarged: Tensor = self.layers(features[-1])
        return enlarged
