"""A picture and a sound: which thing in the picture makes it?"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvNorm
from .decoders import SkipDecoder
from .encoders import ResidualEncoder
from .multitask import DECODER_CHANNELS, DEPTHS, WIDTHS

__all__ = ["MelEncoder", "SoundNet"]

_CHANNELS = 48  # of the pixels' features, of the sound's vector and of the query


class MelEncoder(nn.Sequential):
    """Mel bands ``(N, 1, bands, frames)`` to a vector ``(N, channels)``."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            ConvNorm(1, 16, stride=2),
            ConvNorm(16, 24, stride=2),
            ConvNorm(24, 32, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(32, channels),
            nn.ReLU(inplace=True),
        )


class SoundNet(nn.Module):
    """Features of every pixel, times a query that is made of the sound.

    Args:
        timbres: Kinds of sound that it knows, silence among them.

    Shapes: ``rgb`` (N, 3, H, W) and ``sound`` (N, 1, bands, frames) to two tensors:
    scores (N, 1, H, W), above 0 where the sound comes from, and logits (N, timbres) of
    what is heard.
    """

    def __init__(self, timbres: int) -> None:
        super().__init__()
        channels = _CHANNELS
        self.encoder = ResidualEncoder(3, WIDTHS, DEPTHS)
        self.decoder = SkipDecoder(WIDTHS, DECODER_CHANNELS)
        self.pixels = nn.Sequential(
            ConvNorm(DECODER_CHANNELS, 64), nn.Conv2d(64, channels, 1)
        )
        self.hearing = MelEncoder(channels)
        self.query = nn.Linear(channels, channels)
        self.bias = nn.Linear(channels, 1)
        self.timbre = nn.Linear(channels, timbres)
        self.scale = channels**-0.5

    def forward(self, rgb: Tensor, sound: Tensor) -> tuple[Tensor, Tensor]:
        scores, timbres = self.several(rgb, sound[:, None])
        return scores, timbres[:, 0]

    def several(self, rgb: Tensor, sounds: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (N, K, H, W) and logits (N, K, timbres) of K sounds of each picture.

        The picture is looked at once: training asks several questions of it.

        Args:
            sounds: Shape (N, K, 1, bands, frames).
        """
        pixels = self.pixels(self.decoder(self.encoder(rgb)))
        heard = self.hearing(sounds.flatten(0, 1))
        heard = heard.reshape(*sounds.shape[:2], heard.shape[1])
        query = self.query(heard)[..., None, None] * self.scale
        scores = (pixels[:, None] * query).sum(2) + self.bias(heard)[..., None]
        scores = F.interpolate(
            scores, size=rgb.shape[-2:], mode="bilinear", align_corners=False
        )
        return scores, self.timbre(heard)
