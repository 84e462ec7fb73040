"""Held-out labels and accuracy of a network, at its own output size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fuseg.dataset.metrics import confusion
from fuseg.manifest import ImageInput

from ..reference import at_size, labels
from .data import RenderedFrames, pack

__all__ = ["held_out_confusion", "held_out_labels"]


def held_out_confusion(
    network: nn.Module,
    inputs: Sequence[ImageInput],
    frames: RenderedFrames,
    *,
    classes: int,
    ignore: int,
    without: str | None = None,
) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Counts ``(classes, classes)``, rows = truth, over all ``frames``.

    Truth and prediction are compared at the network's output size; a larger truth is
    sampled at pixel centres. ``without`` names an input to be substituted.
    """
    total = np.zeros((classes, classes), np.int64)
    predictions = held_out_labels(network, inputs, frames, without=without)
    for index, predicted in enumerate(predictions):
        truth = at_size(frames.labels[index], predicted.shape)
        total += confusion(truth, predicted, classes, ignore)
    return total


@torch.inference_mode()
def held_out_labels(
    network: nn.Module,
    inputs: Sequence[ImageInput],
    frames: RenderedFrames,
    *,
    without: str | None = None,
) -> Iterator[NDArray[Any]]:
    """The network's labels of each frame; see `held_out_confusion`."""
    network.eval()
    for index in range(len(frames)):
        tensors = []
        for spec in inputs:
            frame = None
            if spec.name != without:
                frame = np.ascontiguousarray(frames.of(spec, index))
            tensors.append(torch.from_numpy(pack(spec, frame)[None]))
        yield labels(network(*tensors)[0].numpy())
