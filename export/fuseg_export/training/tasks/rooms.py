"""Labels of rooms from all sensors, or from some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fuseg.dataset.metrics import iou, miou, pixel_accuracy
from fuseg.manifest import Class, ImageInput

from ..augment import Augmentation
from ..data import RenderedFrames, random_batch
from ..evaluate import held_out_confusion
from ..losses import cross_entropy, focal

__all__ = ["Rooms"]

Batch = tuple[list[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Rooms:
    """See `fit.Task`.

    Attributes:
        inputs, classes, ignore: Of the network, see `ReferenceModel`.
        train: The frames to learn from.
        test: Those to evaluate on.
        size: Frames of a batch.
        dropout: See `data.random_batch`.
        weights: Of the classes in the loss; None: all alike.
        gamma: 0 for cross-entropy, more for the focal loss.
        augmentation, chances: See `data.random_batch`.
    """

    inputs: Sequence[ImageInput]
    classes: Sequence[Class]
    ignore: int
    train: RenderedFrames
    test: RenderedFrames
    size: int = 8
    dropout: Mapping[str, float] = field(default_factory=dict)
    weights: Tensor | None = None
    gamma: float = 0.0
    augmentation: Augmentation | None = None
    chances: NDArray[np.float64] | None = None

    def batch(self, rng: np.random.Generator) -> Batch:
        """See `fit.Task`."""
        tensors, labels = random_batch(
            self.train,
            self.inputs,
            self.size,
            rng=rng,
            dropout=self.dropout,
            augmentation=self.augmentation,
            chances=self.chances,
            ignore=self.ignore,
        )
        last = torch.channels_last
        return [t.contiguous(memory_format=last) for t in tensors], labels

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """See `fit.Task`."""
        tensors, labels = batch
        said = network(*tensors), labels, self.weights, self.ignore
        return focal(*said, gamma=self.gamma) if self.gamma else cross_entropy(*said)

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """Mean IoU and that of each class; of several sensors also without each.

        ``majority`` is the mean IoU of saying the commonest class everywhere.
        """
        full = self._counts(network)
        blind = np.zeros_like(full)
        blind[:, full.sum(1).argmax()] = full.sum(1)
        found: dict[str, Any] = {
            "miou": round(miou(full), 5),
            "majority": round(miou(blind), 5),
            "pixel_accuracy": round(pixel_accuracy(full), 5),
            "iou": {
                c.name: round(float(value), 5)
                for c, value in zip(self.classes, iou(full), strict=True)
            },
        }
        if len(self.inputs) > 1:
            for spec in self.inputs:
                without = round(miou(self._counts(network, spec.name)), 5)
                found[f"miou_{spec.name}_substituted"] = without
        return found

    def _counts(
        self, network: nn.Module, without: str | None = None
    ) -> np.ndarray[Any, np.dtype[np.int64]]:
        return held_out_confusion(
            network,
            self.inputs,
            self.test,
            classes=len(self.classes),
            ignore=self.ignore,
            without=without,
        )
