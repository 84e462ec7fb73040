"""Held-out accuracy of a network, at its own output size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from fuseg.dataset.metrics import confusion
from fuseg.manifest import ImageInput

from ..reference import at_size, labels
from .data import RenderedFrames, pack

__all__ = ["held_out_confusion"]


@torch.inference_mode()
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
    network.eval()
    total = np.zeros((classes, classes), np.int64)
    for index in range(len(frames)):
        tensors = []
        for spec in inputs:
            frame = None
            if spec.name != without:
                frame = np.ascontiguousarray(frames.of(spec, index))
            tensors.append(torch.from_numpy(pack(spec, frame)[None]))
        predicted = labels(network(*tensors)[0].numpy())
        truth = at_size(frames.labels[index], predicted.shape)
        total += confusion(truth, predicted, classes, ignore)
    return total
