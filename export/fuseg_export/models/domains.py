"""One encoder for several domains, with a head for each of them."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvNorm
from .decoders import SkipDecoder
from .encoders import ResidualEncoder
from .multitask import DECODER_CHANNELS, DEPTHS, WIDTHS

__all__ = ["DomainNet"]


class DomainNet(nn.Module):
    """A shared encoder and decoder; every head labels the picture in its own way.

    Args:
        classes: Classes to tell apart.
        domains: How many heads there are.

    Shapes: ``rgb`` (N, 3, H, W) to logits (N, classes, H, W) of each head.
    """

    def __init__(self, classes: int, domains: int) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(3, WIDTHS, DEPTHS)
        self.decoder = SkipDecoder(WIDTHS, DECODER_CHANNELS)
        self.heads = nn.ModuleList(
            nn.Sequential(
                ConvNorm(DECODER_CHANNELS, DECODER_CHANNELS),
                nn.Conv2d(DECODER_CHANNELS, classes, 1),
            )
            for _ in range(domains)
        )

    def forward(self, rgb: Tensor) -> tuple[Tensor, ...]:
        x = self.decoder(self.encoder(rgb))
        return tuple(
            F.interpolate(
                head(x), size=rgb.shape[-2:], mode="bilinear", align_corners=False
            )
            for head in self.heads
        )
