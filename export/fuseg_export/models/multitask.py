"""One encoder and decoder, and heads of several tasks on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import ConvNorm
from .decoders import SkipDecoder
from .encoders import ResidualEncoder

__all__ = ["DECODER_CHANNELS", "DEPTHS", "STRIDE", "WIDTHS", "BoxHead", "MultiTaskNet"]

# Of all networks that begin with this one's weights.
WIDTHS, DEPTHS, DECODER_CHANNELS = (16, 32, 48, 64), (1, 1, 2, 2), 48
STRIDE = 4


class MultiTaskNet(nn.Module):
    """Kinds and colours of pixels, boxes of things, and the class of the place.

    Args:
        kinds: Classes of things.
        colors: Colours of things.
        places: Classes of the whole picture.
        size: Height and width of the picture.

    Shapes: ``(N, 3, H, W)`` to scores of ``labels`` ``(N, 1 + kinds, H, W)``, of
    ``colors`` ``(N, 1 + colors, H, W)``, the first of which is the room's, ``boxes`` as
    of `BoxHead`, and scores of ``place`` ``(N, places)``.
    """

    def __init__(
        self, kinds: int, colors: int, places: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(3, WIDTHS, DEPTHS)
        self.decoder = SkipDecoder(WIDTHS, DECODER_CHANNELS)
        self.labels = nn.Conv2d(DECODER_CHANNELS, 1 + kinds, 1)
        self.colors = nn.Conv2d(DECODER_CHANNELS, 1 + colors, 1)
        self.boxes = BoxHead(DECODER_CHANNELS, kinds, size)
        self.place = PlaceHead((WIDTHS[0], WIDTHS[-1]), places)

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        features = self.encoder(rgb)
        fine = self.decoder(features)
        return {
            "labels": enlarged(self.labels(fine)),
            "colors": enlarged(self.colors(fine)),
            "boxes": self.boxes(fine),
            "place": self.place((features[0], features[-1])),
        }


class BoxHead(nn.Module):
    """A box and a score of each kind for every place of the features.

    Shapes: ``(N, C, h, w)`` to ``(N, h * w, 4 + kinds)``: the corners x0, y0, x1, y1
    in pixels of the picture of that ``size``, then logits.

    Source: the centres of CenterNet (Zhou et al., *Objects as Points*, 2019) with the
    four distances of FCOS (Tian et al., 2019).
    """

    centers: Tensor

    def __init__(self, channels: int, kinds: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.inner = ConvNorm(channels, channels)
        self.outer = nn.Conv2d(channels, 4 + kinds, 1)
        # Nearly all places are no centre: begin with a probability of 0.05.
        assert self.outer.bias is not None
        nn.init.constant_(self.outer.bias[4:], -3.0)
        rows, columns = (torch.arange(side // STRIDE) for side in size)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        centers = STRIDE * (torch.stack([x.flatten(), y.flatten()], 1) + 0.5)
        self.register_buffer("centers", centers, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        found = self.outer(self.inner(x)).flatten(2).transpose(1, 2)
        reach = F.softplus(found[..., :4]) * 16.0
        corners = [self.centers - reach[..., :2], self.centers + reach[..., 2:]]
        return torch.cat([*corners, found[..., 4:]], dim=-1)


class PlaceHead(nn.Module):
    """Scores of the whole picture, of the means of its finest and coarsest features.

    The finest ones tell textures apart, which the coarsest have forgotten.
    """

    def __init__(self, widths: Sequence[int], places: int) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.score = nn.Linear(sum(widths), places)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        means = [self.mean(x).flatten(1) for x in features]
        scores: Tensor = self.score(torch.cat(means, dim=1))
        return scores


def enlarged(scores: Tensor) -> Tensor:
    """At the picture's size."""
    return F.interpolate(
        scores, scale_factor=float(STRIDE), mode="bilinear", align_corners=False
    )
