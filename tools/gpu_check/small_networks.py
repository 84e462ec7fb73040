"""Networks that become programs of several graphs, with random weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fuseg_export import Part, Parts

COLOR, DEPTH = ["color0", "color1"], ["depth0", "depth1"]


class Encoder(nn.Module):
    def __init__(self, planes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(planes, 16, 3, 2, 1)
        self.second = nn.Conv2d(16, 32, 3, 2, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(x).relu()
        return first, self.second(first).relu()


class Decoder(nn.Module):
    def __init__(self, sensors: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(16 * sensors, 8, 1)
        self.coarse = nn.Conv2d(32 * sensors, 8, 1)

    def forward(self, *features: Tensor) -> Tensor:
        fine = self.fine(torch.cat(features[::2], 1))
        coarse = self.coarse(torch.cat(features[1::2], 1))
        coarse = nn.functional.interpolate(coarse, scale_factor=2.0, mode="bilinear")
        return nn.functional.interpolate(
            fine + coarse, scale_factor=2.0, mode="bilinear"
        )


class Late(nn.Module):
    """Colour and depth are mixed by a decoder; another one does without depth."""

    def __init__(self) -> None:
        super().__init__()
        self.color, self.depth = Encoder(3), Encoder(1)
        self.decoder, self.without_depth = Decoder(2), Decoder(1)

    def forward(self, rgb: Tensor, depth: Tensor) -> Tensor:
        scores: Tensor = self.decoder(*self.color(rgb), *self.depth(depth))
        return scores


class Found(nn.Module):
    """A score for each text, at every place."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(64, 32)
        self.reads = nn.LSTM(32, 32, batch_first=True)
        self.image = nn.Conv2d(3, 32, 4, 4)

    def forward(self, rgb: Tensor, words: Tensor) -> Tensor:
        phrases = self.reads(self.words(words))[0][:, -1]
        return torch.einsum("bdhw,pd->bphw", self.image(rgb), phrases)


def late() -> Parts:
    network = Late()
    parts = {
        "color": Part(network.color, ["rgb"], COLOR),
        "depth": Part(network.depth, ["depth"], DEPTH),
        "decoder": Part(network.decoder, [*COLOR, *DEPTH], ["scores"]),
        "without-depth": Part(
            network.without_depth, COLOR, ["scores"], stands_in_for="decoder"
        ),
    }
    return Parts(network, parts)


def found() -> nn.Module:
    return Found()
