"""The sum of the sensors' features, each behind its own squeeze-excite gate."""

from __future__ import annotations

from torch import Tensor, nn

from ..blocks import SqueezeExcite

__all__ = ["Gated"]


class Gated(nn.Module):
    """``g_1(x_1) x_1 + ... + g_n(x_n) x_n``, a gate for each channel of each picture.

    Source: Seichter et al., *Efficient RGB-D Semantic Segmentation for Indoor Scene
    Analysis*, 2021, section III-B.
    """

    def __init__(self, sensors: int, channels: int) -> None:
        super().__init__()
        self.gates = nn.ModuleList(SqueezeExcite(channels) for _ in range(sensors))

    def forward(self, *features: Tensor) -> Tensor:
        gated = [gate(x) for gate, x in zip(self.gates, features, strict=True)]
        fused: Tensor = gated[0]
        for x in gated[1:]:
            fused = fused + x
        return fused
