"""The small pieces that every network here is composed of."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["ConvNorm", "ResidualBlock", "SqueezeExcite"]


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation and (unless ``act=False``) ReLU."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        dilation: int = 1,
        act: bool = True,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(
                channels_in,
                channels_out,
                kernel,
                stride,
                padding=dilation * (kernel // 2),
                dilation=dilation,
                bias=False,
            ),
            nn.BatchNorm2d(channels_out),
        ]
        if act:
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut: the basic block of ResNet.

    Source: He et al., *Deep Residual Learning for Image Recognition*, 2016, fig. 2.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(channels_in, channels_out, stride=stride)
        self.second = ConvNorm(channels_out, channels_out, act=False)
        same = channels_in == channels_out and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else ConvNorm(channels_in, channels_out, 1, stride=stride, act=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(x)) + self.shortcut(x))


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from all channels' means.

    Shapes: ``(N, C, H, W)`` to the same.

    Source: Hu et al., *Squeeze-and-Excitation Networks*, 2018.
    """

    def __init__(self, channels: int, reduction: int = 8) -> None:
        super().__init__()
        hidden = max(channels // reduction, 8)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        gated: Tensor = x * self.gate(x)
        return gated
