"""What training makes smaller: of labels, and of numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

__all__ = ["class_weights", "cross_entropy", "focal", "mae", "mse"]


def cross_entropy(
    scores: Tensor, labels: Tensor, weights: Tensor | None, ignore: int
) -> Tensor:
    """The mean over pixels, each counted as often as its class's weight says.

    Args:
        scores: Logits ``(N, C, ...)``.
        labels: Classes ``(N, ...)``, int64, or ``ignore``.
        weights: ``(C,)``; None: all alike.
        ignore: The label of pixels that do not count.
    """
    return F.cross_entropy(scores, labels, weights, ignore_index=ignore)


def focal(
    scores: Tensor,
    labels: Tensor,
    weights: Tensor | None,
    ignore: int,
    *,
    gamma: float = 2.0,
) -> Tensor:
    """Cross-entropy in which pixels that are already right count little.

    ``-(1 - p)^gamma log p`` of the true class's probability p, averaged as in
    `cross_entropy`, which it is for ``gamma`` 0.

    Source: Lin et al., *Focal Loss for Dense Object Detection*, 2017, equation 5.
    """
    each = F.cross_entropy(scores, labels, ignore_index=ignore, reduction="none")
    known = labels != ignore
    counted = known.to(scores.dtype)
    if weights is not None:
        counted = counted * weights[labels.where(known, torch.zeros_like(labels))]
    harder = (1 - torch.exp(-each)).clamp_min(0) ** gamma
    return (counted * harder * each).sum() / counted.sum()


def mae(predicted: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """The mean absolute error where the truth is known."""
    return (predicted - truth)[known].abs().mean()


def mse(predicted: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    """The mean squared error where the truth is known."""
    return (predicted - truth)[known].square().mean()


def class_weights(labels: NDArray[np.uint8], classes: int) -> Tensor:
    """Weights ``(classes,)``: inverse square root of frequency, mean 1.

    Args:
        labels: Of all frames, ``(N, H, W)``; some two hundred are counted.
    """
    sample = labels[:: max(1, len(labels) // 200)]
    counts = np.bincount(sample.ravel(), minlength=256)[:classes]
    weights = 1 / np.sqrt(np.maximum(counts, 1) / counts.sum())
    return torch.from_numpy(weights / weights.mean()).float()
