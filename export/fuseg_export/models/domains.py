"""One encoder for several domains, with a head for each of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvNorm
from .decoders import SkipDecoder
from .encoders import ResidualEncoder

__all__ = ["DomainNet"]


class DomainNet(nn.Module):
    """A shared encoder and decoder; every head labels the picture in its own way.

    Args:
        classes: Classes to tell apart.
        domains: How many heads there are.
        widths, depths: See `ResidualEncoder`.
        decoder_channels: See `SkipDecoder`.

    Shapes: ``rgb`` (N, 3, H, W) to logits (N, classes, H, W) of each head.
    """

    def __init__(
        self,
        classes: int,
        domains: int,
        *,
        widths: Sequence[int] = (16, 32, 48, 64),
        depths: Sequence[int] = (1, 1, 2, 2),
        decoder_channels: int = 48,
    ) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(3, widths, depths)
        self.decoder = SkipDecoder(widths, decoder_channels)
        self.heads = nn.ModuleList(
            nn.Sequential(
                ConvNorm(decoder_channels, decoder_channels),
                nn.Conv2d(decoder_channels, classes, 1),
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
