"""Plain convolutions, and the largest of four at each halving."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import ConvNorm

__all__ = ["VggEncoder"]


class VggEncoder(nn.Module):
    """A thin VGG behind a stem of stride 2: features at strides 4, 8, 16, ...

    Args:
        planes: Channels of the input.
        widths: Channels of the features.
        depth: Convolutions at each stride.

    Source: Simonyan and Zisserman, *Very Deep Convolutional Networks for Large-Scale
    Image Recognition*, 2015; with batch normalisation.
    """

    def __init__(self, planes: int, widths: Sequence[int], depth: int = 2) -> None:
        super().__init__()
        self.stem = ConvNorm(planes, widths[0], stride=2)
        self.stages = nn.ModuleList()
        before = widths[0]
        for width in widths:
            layers: list[nn.Module] = [nn.MaxPool2d(2), ConvNorm(before, width)]
            layers += [ConvNorm(width, width) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*layers))
            before = width

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
