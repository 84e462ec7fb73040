"""Random weights that find several classes in a room, for networks that are timed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fuseg.manifest import Input
from fuseg.preprocess import Sensor

from ..scenes import TRAIN_SEEDS, render
from .network import FusionNet

__all__ = ["untrained"]

_ROOMS = 2
_APART = 1.0  # standard deviations from one class to the next
_LOUDNESS = 0.01  # labels do not depend on it; a training starts better from low scores


def untrained(network: FusionNet, inputs: Sequence[Input]) -> FusionNet:
    """Give a network of random weights a head that finds several classes in a room.

    Classes are intervals of the one direction in which the features of rooms differ
    most. With a random head as well, most pixels lie so near to a boundary that 8 bits
    change a tenth of the labels; so they change a few hundredths.

    Args:
        network: Changed in place.
        inputs: Small ones are enough: the direction hardly depends on the size.
    """
    seen: list[Tensor] = []

    def see(_: torch.nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.append(given[0][0].flatten(1).T)  # (pixels, channels)

    head = network.head
    assert head.bias is not None
    hook = head.register_forward_pre_hook(see)
    training = network.training
    network.eval()
    with torch.no_grad():
        for seed in TRAIN_SEEDS[:_ROOMS]:
            network(*_tensors(seed, inputs))
        hook.remove()
        features = torch.cat(seen)
        mean = features.mean(0)
        _, spread, directions = torch.linalg.svd(features - mean, full_matrices=False)
        direction = directions[0] / spread[0] * len(features) ** 0.5
        classes = head.out_channels
        centres = _APART * (torch.arange(classes) - classes // 2)
        # The centre that is nearest to z has the largest z * centre - centre ** 2 / 2.
        weight = centres[:, None] * direction
        bias = -weight @ mean - centres.square() / 2
        head.weight.copy_(weight[:, :, None, None] * _LOUDNESS)
        head.bias.copy_(bias * _LOUDNESS)
    return network.train(training)


def _tensors(seed: int, inputs: Sequence[Input]) -> list[Tensor]:
    room = render(seed, inputs[0].resize.height, inputs[0].resize.width)
    tensors = {i.tensor.name: np.empty(i.tensor.shape, np.float32) for i in inputs}
    for entry in inputs:
        frame = room.color if entry.kind == "color" else room.depth
        Sensor(entry).write(frame, tensors)
    return [torch.from_numpy(tensors[i.tensor.name]) for i in inputs]
