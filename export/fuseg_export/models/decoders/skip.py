"""Features at several scales -> one feature map at the finest of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import ConvNorm, ResidualBlock

__all__ = ["SkipDecoder"]


class SkipDecoder(nn.Module):
    """Upsample, add the encoder's features of that scale, refine; scale by scale.

    Args:
        widths: Channels of the features, finest first.
        channels: Channels of the decoder at every scale but the coarsest.

    Shapes: ``[(N, widths[i], H_i, W_i), ...]``, finest first, to
    ``(N, channels, H_0, W_0)``.
    """

    def __init__(self, widths: Sequence[int], channels: int) -> None:
        super().__init__()
        self.enter = ConvNorm(widths[-1], channels, 1)
        self.skips = nn.ModuleList(ConvNorm(w, channels, 1) for w in widths[-2::-1])
        self.refine = nn.ModuleList(
            ResidualBlock(channels, channels) for _ in widths[:-1]
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        x: Tensor = self.enter(features[-1])
        coarse_to_fine = features[-2::-1]
        for feature, skip, refine in zip(
            coarse_to_fine, self.skips, self.refine, strict=True
        ):
            x = F.interpolate(
                x, size=feature.shape[-2:], mode="bilinear", align_corners=False
            )
            x = refine(x + skip(feature))
        return x
