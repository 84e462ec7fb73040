"""The same labels in two styles of picture: many of style A, a few of style B."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fuseg.dataset.metrics import confusion, miou

from ...models.domains import DomainNet
from ...scenes.senses.style import negative
from ...scenes.things import KINDS, ThingFrames
from ..things_data import pictures

__all__ = ["DomainTask"]

CLASSES = 1 + len(KINDS)
IGNORE = 255
WEIGHTS = (0.4, *[1.2] * len(KINDS))  # of the room, and of the things in it
STYLES = "ab"


class DomainTask:
    """See `fit.Task`; a batch has pictures and labels of each style.

    Of a network with one head that is the head of both styles.

    Args:
        train, test: Pictures of style A; those of style B are made of them.
        few: How many of ``train`` are labelled in style B; 0: it is never seen.
        size: Pictures of a batch; a quarter of them are of style B.
    """

    def __init__(
        self,
        train: ThingFrames,
        test: ThingFrames,
        *,
        few: int = 100,
        size: int = 8,
    ) -> None:
        self._train, self._test = train, test
        self._few, self._size = few, size

    def batch(self, rng: np.random.Generator) -> list[tuple[Tensor, Tensor]]:
        """See `fit.Task`: for each style pictures and labels."""
        seldom = self._size // 4 if self._few else 0
        batches = [self._drawn(rng, self._size - seldom, len(self._train), 0)]
        if self._few:
            batches.append(self._drawn(rng, seldom, self._few, 1))
        return batches

    def _drawn(
        self, rng: np.random.Generator, count: int, most: int, style: int
    ) -> tuple[Tensor, Tensor]:
        seen, labels = [], []
        for index in rng.integers(most, size=count):
            step = -1 if rng.random() < 0.5 else 1
            color = _in_style(self._train.color[index], style, [3, int(index)])
            seen.append(color[:, ::step])
            labels.append(self._train.labels(index)[:, ::step])
        return pictures(seen), torch.from_numpy(np.stack(labels)).long()

    def loss(self, network: DomainNet, batch: list[tuple[Tensor, Tensor]]) -> Tensor:
        """See `fit.Task`: of all pictures, each by the head of its style.

        All of them go through the network at once. Apart, each style would be
        normalised by its own statistics, which nobody has when a picture comes alone.
        """
        counts = [len(seen) for seen, _ in batch]
        scores = network(torch.cat([seen for seen, _ in batch]))
        own = [
            scores[min(style, len(scores) - 1)].split(counts)[style]
            for style in range(len(batch))
        ]
        labels = torch.cat([labels for _, labels in batch])
        return F.cross_entropy(torch.cat(own), labels, torch.tensor(WEIGHTS))

    @torch.inference_mode()
    def evaluate(self, network: DomainNet) -> dict[str, Any]:
        """``miou_b_by_a``: the mean IoU of style B's pictures by style A's head, and so
        on for every style and head; ``miou_b`` by the head that is for style B."""
        network.eval()
        found = {}
        for style, name in enumerate(STYLES):
            counts = [np.zeros((CLASSES, CLASSES), np.int64) for _ in network.heads]
            for index in range(len(self._test)):
                color = _in_style(self._test.color[index], style, [9, index])
                truth = self._test.labels(index)
                for head, scores in enumerate(network(pictures([color]))):
                    labels = scores[0].argmax(0).numpy().astype(np.uint8)
                    counts[head] += confusion(truth, labels, CLASSES, IGNORE)
            for head, matrix in enumerate(counts):
                found[f"miou_{name}_by_{STYLES[head]}"] = miou(matrix)
        found[f"miou_{name}"] = miou(counts[-1])
        return found


def _in_style(
    color: NDArray[np.uint8], style: int, seed: list[int]
) -> NDArray[np.uint8]:
    return negative(color, np.random.default_rng(seed)) if style else color
