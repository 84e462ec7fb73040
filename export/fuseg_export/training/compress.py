"""Smaller networks: channels removed, two weights of four kept, a student taught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .fit import Task

__all__ = ["Distilled", "Masked", "bytes_of", "two_of_four"]

GROUP, KEPT = 4, 2  # the pattern that NVIDIA's sparse tensor cores take


def two_of_four(network: nn.Module) -> dict[str, Tensor]:
    """For each convolution the two largest of every four weights, as masks of 0 and 1.

    The four lie next to each other among the channels that come in; convolutions that
    have no multiple of four of those are left as they are.

    Source: Mishra et al., *Accelerating Sparse Deep Neural Networks*, 2021.
    """
    masks = {}
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d) or layer.weight.shape[1] % GROUP:
            continue
        groups = layer.weight.detach().permute(0, 2, 3, 1)  # what comes in last
        fours = groups.reshape(-1, GROUP)
        kept = fours.abs().topk(KEPT, dim=1).indices
        mask = torch.zeros_like(fours).scatter_(1, kept, 1.0)
        masks[f"{name}.weight"] = mask.reshape(groups.shape).permute(0, 3, 1, 2)
    return masks


@dataclass(frozen=True, eq=False)
class Masked:
    """A task whose network keeps the zeros that its masks have; see `fit.Task`.

    Attributes:
        task: What is learned.
        masks: By the parameters' names.
    """

    task: Task[Any]
    masks: Mapping[str, Tensor]

    def batch(self, rng: np.random.Generator) -> Any:
        """See `fit.Task`."""
        return self.task.batch(rng)

    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        """See `fit.Task`."""
        self.apply(network)
        return self.task.loss(network, batch)

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """See `fit.Task`; what the last step moved off zero is put back."""
        self.apply(network)
        return self.task.evaluate(network)

    @torch.no_grad()
    def apply(self, network: nn.Module) -> None:
        """Set to zero what the masks do not keep."""
        parameters = dict(network.named_parameters())
        for name, mask in self.masks.items():
            parameters[name].mul_(mask)


@dataclass(frozen=True, eq=False)
class Distilled:
    """A task that a teacher helps with; see `fit.Task`.

    Attributes:
        task: What is learned; its batches are tensors and labels.
        teacher: Trained; its scores have the student's shape.
        temperature: Softens both scores.
        share: Of the teacher in the loss.

    Source: Hinton et al., *Distilling the Knowledge in a Neural Network*, 2015.
    """

    task: Task[Any]
    teacher: nn.Module
    temperature: float = 2.0
    share: float = 0.5

    def batch(self, rng: np.random.Generator) -> Any:
        """See `fit.Task`."""
        return self.task.batch(rng)

    def loss(self, network: nn.Module, batch: Any) -> Tensor:
        """See `fit.Task`."""
        tensors, labels = batch
        scores = network(*tensors)
        with torch.no_grad():
            wanted = (self.teacher(*tensors) / self.temperature).log_softmax(1)
        apart = F.kl_div(
            (scores / self.temperature).log_softmax(1),
            wanted,
            reduction="sum",
            log_target=True,
        )
        taught = apart * self.temperature**2 / labels.numel()
        own = self.task.loss(lambda *_: scores, batch)  # type: ignore[arg-type]
        both: Tensor = self.share * taught + (1 - self.share) * own
        return both

    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """See `fit.Task`."""
        return self.task.evaluate(network)


def bytes_of(network: nn.Module, masks: Mapping[str, Tensor] | None = None) -> int:
    """Of the weights in float32; of masked ones two values and four bits in four."""
    state: dict[str, Tensor] = network.state_dict()
    total = sum(t.numel() * t.element_size() for t in state.values())
    for mask in (masks or {}).values():
        total -= mask.numel() * 4 // 2 - mask.numel() // 8
    return total
