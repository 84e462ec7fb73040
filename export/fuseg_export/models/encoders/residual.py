"""Image planes -> features at 1/4, 1/8, 1/16 and 1/32 of their size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import ConvNorm, ResidualBlock

__all__ = ["ResidualEncoder"]


class ResidualEncoder(nn.Module):
    """A thin ResNet.

    Args:
        planes: Channels of the input, e.g. 3 for colour, 1 for depth.
        widths: Channels of the features at strides 4, 8, 16, 32.
        depths: Residual blocks at each of these strides.

    The stages are run one at a time, ``stem`` then ``stages[i]``, so that a network of
    several encoders can fuse their features in between.
    """

    def __init__(
        self, planes: int, widths: Sequence[int], depths: Sequence[int]
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stem = self.stem_of(planes)
        self.stages = nn.ModuleList()
        before = widths[0]
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            stride = 1 if i == 0 else 2
            blocks = [ResidualBlock(before, width, stride)]
            blocks += [ResidualBlock(width, width) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = width

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.scales(self.stem(x))

    def scales(self, x: Tensor) -> list[Tensor]:
        """The features of what the stem, or several of them, made."""
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features

    def stem_of(self, planes: int) -> nn.Sequential:
        """A new stem like its own, for another sensor."""
        half = self.widths[0] // 2
        return nn.Sequential(
            ConvNorm(planes, half, stride=2), ConvNorm(half, self.widths[0], stride=2)
        )
