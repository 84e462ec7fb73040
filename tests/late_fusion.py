"""A user's network of named parts: two sensors joined late, and a stand-in."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from fuseg_export import Part, Parts

SIZE = (48, 64)
INPUTS = ("rgb=color:48x64", "depth=depth:48x64")
C, D = ("rgb0", "rgb1"), ("depth0", "depth1")


class Encoder(nn.Module):
    """Features of one sensor at two scales."""

    def __init__(self, planes):
        super().__init__()
        self.first, self.second = (
            nn.Conv2d(planes, 8, 3, 4, 1),
            nn.Conv2d(8, 8, 3, 2, 1),
        )

    def forward(self, x):
        x = self.first(x).relu()
        return [x, self.second(x).relu()]


class Head(nn.Module):
    """Scores of features at two scales, of one sensor or two."""

    def __init__(self, sensors):
        super().__init__()
        self.wide = nn.ModuleList(nn.Conv2d(8, 5, 1) for _ in range(sensors))
        self.deep = nn.Conv2d(8 * sensors, 5, 1)

    def forward(self, *features):
        x = F.interpolate(self.deep(torch.cat(features[1::2], 1)), scale_factor=2)
        for conv, f in zip(self.wide, features[::2], strict=True):
            x = x + conv(f)
        return F.interpolate(x, scale_factor=4, mode="bilinear")


class Late(nn.Module):
    def __init__(self):
        super().__init__()
        self.color, self.depth = Encoder(3), Encoder(1)
        self.head, self.without_depth = Head(2), Head(1)

    def forward(self, rgb, depth):
        return self.head(*self.color(rgb), *self.depth(depth))


def late(net=None):
    net = net or Late()
    return Parts(
        net,
        {
            "color-encoder": Part(net.color, ["rgb"], C),
            "depth-encoder": Part(net.depth, ["depth"], D),
            "decoder": Part(net.head, [*C, *D], ["scores"]),
            "decoder-without-depth": Part(
                net.without_depth, C, ["scores"], stands_in_for="decoder"
            ),
        },
    )


def weighted():
    """The whole, with weights that give every frame several labels."""
    torch.manual_seed(3)
    network = Late()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()
