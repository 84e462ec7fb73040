"""Residual blocks with fewer channels inside: structured pruning."""

from __future__ import annotations

import torch
from torch import nn

from .blocks import ResidualBlock

__all__ = ["removed_channels"]


@torch.no_grad()
def removed_channels(network: nn.Module, share: float) -> int:
    """Remove the weakest channels inside every residual block, in place.

    A block's shape as seen from outside stays. A channel is as strong as the absolute
    weights that make it, times the scale that normalisation gives it.

    Args:
        network: Its blocks of `ResidualBlock` are made thinner.
        share: Of the inner channels of each block; one at least stays.

    Returns:
        How many parameters are gone.
    """
    before = sum(p.numel() for p in network.parameters())
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            _thin(block, share)
    return before - sum(p.numel() for p in network.parameters())


def _thin(block: ResidualBlock, share: float) -> None:
    first, norm, second = block.first[0], block.first[1], block.second[0]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert isinstance(second, nn.Conv2d)
    count = first.out_channels
    strength = first.weight.abs().sum((1, 2, 3)) * norm.weight.abs()
    keep = max(1, count - int(share * count))
    kept = strength.topk(keep).indices.sort().values
    first.weight = nn.Parameter(first.weight[kept].clone())
    second.weight = nn.Parameter(second.weight[:, kept].clone())
    first.out_channels = second.in_channels = norm.num_features = keep
    norm.weight = nn.Parameter(norm.weight[kept].clone())
    norm.bias = nn.Parameter(norm.bias[kept].clone())
    for name in ("running_mean", "running_var"):
        setattr(norm, name, getattr(norm, name)[kept].clone())
