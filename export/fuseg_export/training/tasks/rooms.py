"""Labels of rooms from all sensors, or from some of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.dataset.metrics import iou, miou
from fuseg.manifest import Class, ImageInput

from ..data import RenderedFrames, random_batch
from ..evaluate import held_out_confusion

__all__ = ["Rooms", "class_weights"]

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
    """

    inputs: Sequence[ImageInput]
    classes: Sequence[Class]
    ignore: int
    train: RenderedFrames
    test: RenderedFrames
    size: int = 8
    dropout: Mapping[str, float] = field(default_factory=dict)
    weights: Tensor | None = None

    def batch(self, rng: np.random.Generator) -> Batch:
        """See `fit.Task`."""
        tensors, labels = random_batch(
            self.train, self.inputs, self.size, rng=rng, dropout=self.dropout
        )
        last = torch.channels_last
        return [t.contiguous(memory_format=last) for t in tensors], labels

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """See `fit.Task`."""
        tensors, labels = batch
        return F.cross_entropy(
            network(*tensors), labels, self.weights, ignore_index=self.ignore
        )

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """Mean IoU and that of each class; of several sensors also without each."""
        full = self._counts(network)
        found: dict[str, Any] = {
            "miou": round(miou(full), 5),
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


def class_weights(train: RenderedFrames, classes: int) -> Tensor:
    """Weights ``(classes,)``: inverse square root of frequency, mean 1."""
    sample = train.labels[:: max(1, len(train) // 200)]
    counts = np.bincount(sample.ravel(), minlength=256)[:classes]
    weights = 1 / np.sqrt(np.maximum(counts, 1) / counts.sum())
    return torch.from_numpy(weights / weights.mean()).float()
