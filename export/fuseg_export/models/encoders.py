"""Image planes -> features at 1/4, 1/8, 1/16 and 1/32 of their size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from .blocks import ConvNorm, ResidualBlock

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
        self.stem = nn.Sequential(
            ConvNorm(planes, widths[0] // 2, stride=2),
            ConvNorm(widths[0] // 2, widths[0], stride=2),
        )
        self.stages = nn.ModuleList()
        before = widths[0]
        for i, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            stride = 1 if i == 0 else 2
            blocks = [ResidualBlock(before, width, stride)]
            blocks += [ResidualBlock(width, width) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = width

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
