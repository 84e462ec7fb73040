"""Networks whose whole frames are timed in other precisions; weights are random."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg_export.models.blocks import ConvNorm
from fuseg_export.models.network import FusionNet

CLASSES_R34 = 40  # of NYUv2
CLASSES_LIGHT = 19  # of Cityscapes


class Light(nn.Module):
    """FastSCNN's layout with a stem for each sensor: logits at 1/8 of the size.

    Shapes: ``(N, 3, H, W)`` and ``(N, 1, H, W)`` to ``(N, classes, H, W)``.

    Source: Poudel et al., *Fast-SCNN: Fast Semantic Segmentation Network*, 2019.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.color, self.depth = ConvNorm(3, 24, stride=2), ConvNorm(1, 8, stride=2)
        self.learn = nn.Sequential(_separable(32, 48, 2), _separable(48, 64, 2))
        self.look = nn.Sequential(
            Bottleneck(64, 64, 2),
            Bottleneck(64, 64),
            Bottleneck(64, 96, 2),
            Bottleneck(96, 96),
            Bottleneck(96, 128),
        )
        self.near = ConvNorm(64, 128, 1, act=False)
        self.far = ConvNorm(128, 128, 1, act=False)
        self.head = nn.Sequential(
            _separable(128, 128), _separable(128, 128), nn.Conv2d(128, classes, 1)
        )

    def forward(self, rgb: Tensor, depth: Tensor) -> Tensor:
        near = self.learn(torch.cat([self.color(rgb), self.depth(depth)], 1))
        far = F.interpolate(
            self.look(near), near.shape[-2:], mode="bilinear", align_corners=False
        )
        return _upsampled(self.head(F.relu(self.near(near) + self.far(far))), rgb)


class Bottleneck(nn.Module):
    """MobileNetV2's inverted bottleneck, six times as wide inside."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        wide = 6 * channels_in
        self.layers = nn.Sequential(
            ConvNorm(channels_in, wide, 1),
            *_depthwise(wide, stride),
            ConvNorm(wide, channels_out, 1, act=False),
        )
        self.same = channels_in == channels_out and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.layers(x)
        return x + result if self.same else result


def rgbd_r34() -> nn.Module:
    """Two encoders as large as ResNet-34."""
    return FusionNet(
        (3, 1),
        CLASSES_R34,
        widths=(64, 128, 256, 512),
        depths=(3, 4, 6, 3),
        decoder_channels=128,
        bins=(1, 5),
    )


def rgbd_light() -> nn.Module:
    return Light(CLASSES_LIGHT)


def _separable(channels_in: int, channels_out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        *_depthwise(channels_in, stride), ConvNorm(channels_in, channels_out, 1)
    )


def _depthwise(channels: int, stride: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )


def _upsampled(logits: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(
        logits, size=like.shape[-2:], mode="bilinear", align_corners=False
    )
