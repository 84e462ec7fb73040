"""Encoders x fusion x context x decoder, composed into one segmentation network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from .context import PyramidContext
from .decoders import SkipDecoder
from .encoders import ResidualEncoder
from .fusion import GatedFusion

__all__ = ["FusionNet"]


class FusionNet(nn.Module):
    """One encoder a sensor, gated fusion into the first at every scale, one decoder.

    Args:
        planes: Channels of each sensor's tensor, e.g. ``(3, 1)`` for colour and depth.
            With one sensor there is nothing to fuse and no gate.
        classes: Classes to tell apart.
        widths, depths: Of each encoder; see `ResidualEncoder`.
        decoder_channels: See `SkipDecoder`.
        bins: See `PyramidContext`.

    Shapes: one ``(N, planes[i], H, W)`` a sensor, to logits ``(N, classes, H, W)``,
    upsampled bilinearly from ``(H/4, W/4)``.

    Source: the layout of ESANet (Seichter et al., 2021), made thin.
    """

    def __init__(
        self,
        planes: Sequence[int],
        classes: int,
        *,
        widths: Sequence[int] = (24, 48, 80, 112),
        depths: Sequence[int] = (1, 2, 2, 2),
        decoder_channels: int = 48,
        bins: Sequence[int] = (1, 2),
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            ResidualEncoder(p, widths, depths) for p in planes
        )
        self.fusions = nn.ModuleList(
            GatedFusion(len(planes), w) for w in widths if len(planes) > 1
        )
        self.context = PyramidContext(widths[-1], bins)
        self.decoder = SkipDecoder(widths, decoder_channels)
        self.head = nn.Conv2d(decoder_channels, classes, 1)

    def forward(self, *sensors: Tensor) -> Tensor:
        features = self.encode(*sensors)
        features[-1] = self.context(features[-1])
        logits = self.head(self.decoder(features))
        return F.interpolate(
            logits, size=sensors[0].shape[-2:], mode="bilinear", align_corners=False
        )

    def encode(self, *sensors: Tensor) -> list[Tensor]:
        """The fused features at strides 4, 8, 16, 32."""
        encoders = cast(Sequence[ResidualEncoder], self.encoders)
        if not self.fusions:
            alone: list[Tensor] = encoders[0](sensors[0])
            return alone
        x = [e.stem(s) for e, s in zip(encoders, sensors, strict=True)]
        features = []
        for i, fusion in enumerate(self.fusions):
            x = [e.stages[i](y) for e, y in zip(encoders, x, strict=True)]
            x[0] = fusion(*x)  # the other sensors go on unfused, as in ESANet
            features.append(x[0])
        return features
