"""Convolutions, then recurrent layers that sweep over rows and columns."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import ConvNorm, ResidualBlock

__all__ = ["RecurrentEncoder"]


class RecurrentEncoder(nn.Module):
    """Features at strides 4 and 8; the latter have seen their whole row and column.

    Args:
        planes: Channels of the input.
        size: Height and width of the input, multiples of 8.
        widths: Channels at strides 4 and 8, the second an even number.

    Attributes:
        widths: Channels of the features.

    Source: Visin et al., *ReNet*, 2015, and *ReSeg*, 2016.
    """

    def __init__(
        self, planes: int, size: tuple[int, int], widths: Sequence[int] = (32, 64)
    ) -> None:
        super().__init__()
        fine, wide = widths
        self.widths = (fine, wide)
        self.size = size[0] // 8, size[1] // 8  # constants, so that tracing sees none
        self.fine = nn.Sequential(
            ConvNorm(planes, fine // 2, stride=2),
            ConvNorm(fine // 2, fine, stride=2),
            ResidualBlock(fine, fine),
        )
        self.wide = nn.Sequential(
            ResidualBlock(fine, wide, 2), ResidualBlock(wide, wide)
        )
        sweep = {"batch_first": True, "bidirectional": True}
        self.rows = nn.GRU(wide, wide // 2, **sweep)
        self.columns = nn.GRU(wide, wide // 2, **sweep)

    def forward(self, x: Tensor) -> list[Tensor]:
        height, width = self.size
        fine = self.fine(x)
        x = self.wide(fine).permute(0, 2, 3, 1)
        channels = self.widths[1]
        along, _ = self.rows(x.reshape(-1, width, channels))
        x = along.reshape(-1, height, width, channels).transpose(1, 2)
        along, _ = self.columns(x.reshape(-1, height, channels))
        x = along.reshape(-1, width, height, channels)
        return [fine, x.permute(0, 3, 2, 1)]
