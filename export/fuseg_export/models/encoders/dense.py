"""Each layer sees what all layers before it made."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..blocks import ConvNorm

__all__ = ["DenseEncoder"]


class DenseEncoder(nn.Module):
    """A thin DenseNet: features at strides 4, 8, 16, ...

    Args:
        planes: Channels of the input.
        growth: Channels that each layer adds.
        layers: Of each block.
        blocks: One at each stride; between them channels and sides are halved.

    Attributes:
        widths: Channels of the features.

    Source: Huang et al., *Densely Connected Convolutional Networks*, 2017; for
    segmentation Jegou et al., *The One Hundred Layers Tiramisu*, 2017.
    """

    def __init__(
        self, planes: int, growth: int = 12, layers: int = 4, blocks: int = 3
    ) -> None:
        super().__init__()
        width = 2 * growth
        self.stem = nn.Sequential(
            ConvNorm(planes, width, stride=2), ConvNorm(width, width, stride=2)
        )
        self.blocks, self.halvings = nn.ModuleList(), nn.ModuleList()
        self.widths: list[int] = []
        for index in range(blocks):
            if index:
                halving = [ConvNorm(width, width // 2, 1), nn.AvgPool2d(2)]
                self.halvings.append(nn.Sequential(*halving))
                width //= 2
            block = [ConvNorm(width + i * growth, growth) for i in range(layers)]
            self.blocks.append(nn.ModuleList(block))
            width += layers * growth
            self.widths.append(width)

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        x = self.stem(x)
        for index, block in enumerate(self.blocks):
            if index:
                x = self.halvings[index - 1](x)
            for layer in block:  # type: ignore[attr-defined] # a ModuleList
                x = torch.cat([x, layer(x)], 1)
            features.append(x)
        return features
