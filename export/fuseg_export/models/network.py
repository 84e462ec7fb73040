"""Encoders x fusion x context x decoder, composed into one segmentation network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional as F

from .context import PyramidContext
from .decoders import SkipDecoder
from .encoders import ResidualEncoder
from .fusion import operator

__all__ = [
    "Classifier",
    "EarlyFusion",
    "EncoderDecoder",
    "FusionNet",
    "LateFusion",
    "upsampled",
]


class FusionNet(nn.Module):
    """One encoder a sensor, fusion into the first at every scale, one decoder.

    Args:
        planes: Channels of each sensor's tensor, e.g. ``(3, 1)`` for colour and depth.
            With one sensor there is nothing to fuse.
        classes: Classes to tell apart.
        fusion: A name of `fusion.OPERATORS`.
        widths, depths: Of each encoder; see `ResidualEncoder`.
        decoder_channels: See `SkipDecoder`.
        bins: See `PyramidContext`; without any there is no context module.

    Shapes: one ``(N, planes[i], H, W)`` a sensor, to logits ``(N, classes, H, W)``,
    upsampled bilinearly from ``(H/4, W/4)``.

    Source: the layout of ESANet (Seichter et al., 2021), made thin.
    """

    def __init__(
        self,
        planes: Sequence[int],
        classes: int,
        *,
        fusion: str = "gated",
        widths: Sequence[int] = (24, 48, 80, 112),
        depths: Sequence[int] = (1, 2, 2, 2),
        decoder_channels: int = 48,
        bins: Sequence[int] = (1, 2),
    ) -> None:
        super().__init__()
        fuse = operator(fusion)
        self.encoders = nn.ModuleList(
            ResidualEncoder(p, widths, depths) for p in planes
        )
        self.fusions = nn.ModuleList(
            fuse(len(planes), w) for w in widths if len(planes) > 1
        )
        self.context = PyramidContext(widths[-1], bins) if bins else nn.Identity()
        self.decoder = SkipDecoder(widths, decoder_channels)
        self.head = nn.Conv2d(decoder_channels, classes, 1)

    def forward(self, *sensors: Tensor) -> Tensor:
        return upsampled(self.decode(self.encode(*sensors)), sensors[0])

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

    def decode(self, features: list[Tensor]) -> Tensor:
        """The logits at stride 4."""
        features = [*features[:-1], self.context(features[-1])]
        logits: Tensor = self.head(self.decoder(features))
        return logits


class EarlyFusion(nn.Module):
    """A stem a sensor, fused once, and one network behind it.

    Args:
        planes, classes, fusion: See `FusionNet`.
        sizes: Its other arguments.
    """

    def __init__(
        self, planes: Sequence[int], classes: int, *, fusion: str, **sizes: Any
    ) -> None:
        super().__init__()
        self.network = FusionNet(planes[:1], classes, **sizes)
        first = cast(ResidualEncoder, self.network.encoders[0])
        self.stems = nn.ModuleList(first.stem_of(p) for p in planes[1:])
        self.fusion = operator(fusion)(len(planes), first.widths[0])

    def forward(self, *sensors: Tensor) -> Tensor:
        encoder = cast(ResidualEncoder, self.network.encoders[0])
        stems = [encoder.stem, *self.stems]
        fused = self.fusion(*(s(x) for s, x in zip(stems, sensors, strict=True)))
        return upsampled(self.network.decode(encoder.scales(fused)), sensors[0])


class LateFusion(nn.Module):
    """A whole network a sensor; their scores at stride 4 are fused.

    Args:
        planes, classes, fusion: See `FusionNet`.
        sizes: Its other arguments.
    """

    def __init__(
        self, planes: Sequence[int], classes: int, *, fusion: str, **sizes: Any
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleList(FusionNet([p], classes, **sizes) for p in planes)
        self.fusion = operator(fusion)(len(planes), classes)

    def forward(self, *sensors: Tensor) -> Tensor:
        networks = cast(Sequence[FusionNet], self.networks)
        scores = [n.decode(n.encode(x)) for n, x in zip(networks, sensors, strict=True)]
        return upsampled(self.fusion(*scores), sensors[0])


class EncoderDecoder(nn.Module):
    """Any encoder and any decoder: logits at the size of the first input.

    Args:
        encoder: Takes a tensor a sensor to features, finest first.
        decoder: Takes these to one feature map.
        head: Takes that to scores.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder, self.head = encoder, decoder, head

    def forward(self, *sensors: Tensor) -> Tensor:
        scores = self.head(self.decoder(self.encoder(*sensors)))
        return upsampled(scores, sensors[0])


class Classifier(nn.Module):
    """Scores of the whole picture, of the mean of an encoder's coarsest features.

    Args:
        encoder: As of `EncoderDecoder`.
        channels: Of its coarsest features.
        classes: Classes to tell apart.

    Shapes: one ``(N, planes[i], H, W)`` a sensor, to logits ``(N, classes)``.
    """

    def __init__(self, encoder: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(channels, classes)

    def forward(self, *sensors: Tensor) -> Tensor:
        logits: Tensor = self.head(self.mean(self.encoder(*sensors)[-1]).flatten(1))
        return logits


def upsampled(scores: Tensor, like: Tensor) -> Tensor:
    """Scores at the height and width of an input, bilinearly."""
    return F.interpolate(
        scores, size=like.shape[-2:], mode="bilinear", align_corners=False
    )
