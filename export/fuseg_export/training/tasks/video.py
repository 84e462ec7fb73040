"""Labels along clips whose frames are noisy, and some of them dark or blocked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fuseg.dataset.metrics import confusion, miou

from ...models.video import VideoNet
from ...scenes.senses.video import Clips, spoil
from ...scenes.things import KINDS
from ..things_data import pictures

__all__ = ["VideoTask", "flicker"]

CLASSES = 1 + len(KINDS)
IGNORE = 255
WEIGHTS = (0.4, *[1.2] * len(KINDS))  # of the room, and of the things in it


class VideoTask:
    """See `fit.Task`; a batch has clips, and their labels.

    Args:
        train, test: Clips as they were before anything went wrong.
        remembers: Whether the network has its memory; without it is the baseline.
        clips, frames: In a batch, and of each clip.
    """

    def __init__(
        self,
        train: Clips,
        test: Clips,
        *,
        remembers: bool = True,
        clips: int = 3,
        frames: int = 5,
    ) -> None:
        self._train, self._test = train, test
        self._remembers, self._clips, self._frames = remembers, clips, frames

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `fit.Task`: parts of clips, mirrored in space and in time."""
        clips, labels = [], []
        length = self._train.color.shape[1]
        for index in rng.integers(len(self._train), size=self._clips):
            first = int(rng.integers(length - self._frames + 1))
            part = slice(first, first + self._frames)
            time, across = (-1 if rng.random() < 0.5 else 1 for _ in range(2))
            color = self._train.color[index, part][::time, :, ::across]
            clips.append(pictures([*spoil(color, rng)[0]]))
            labels.append(self._train.labels[index, part][::time, :, ::across])
        return torch.stack(clips), torch.from_numpy(np.stack(labels)).long()

    def loss(self, network: VideoNet, batch: tuple[Tensor, Tensor]) -> Tensor:
        """See `fit.Task`."""
        clips, labels = batch
        scores = network.along(clips, remembers=self._remembers)
        weights = torch.tensor(WEIGHTS)
        return F.cross_entropy(scores.flatten(0, 1), labels.flatten(0, 1), weights)

    @torch.inference_mode()
    def evaluate(self, network: VideoNet) -> dict[str, Any]:
        """On whole clips of ``test``, spoilt in a way of their own.

        Returns:
            ``miou``; ``miou_spoilt`` and ``miou_good``: that of the frames which are
            dark or blocked, and of the others; ``flicker``: see `flicker`.
        """
        network.eval()
        counts = np.zeros((2, CLASSES, CLASSES), np.int64)
        changed = still = 0
        for index in range(len(self._test)):
            clip, spoilt = spoil(
                self._test.color[index], np.random.default_rng([4, index])
            )
            scores = network.along(pictures([*clip])[None], remembers=self._remembers)
            labels = scores[0].argmax(1).numpy().astype(np.uint8)
            truth = self._test.labels[index]
            for time, bad in enumerate(spoilt):
                counts[int(bad)] += confusion(
                    truth[time], labels[time], CLASSES, IGNORE
                )
            found = flicker(labels, truth)
            changed, still = changed + found[0], still + found[1]
        return {
            "miou": miou(counts.sum(0)),
            "miou_spoilt": miou(counts[1]),
            "miou_good": miou(counts[0]),
            "flicker": changed / still,
        }


def flicker(labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> tuple[int, int]:
    """How many labels change though the truth does not, and how often it does not.

    Args:
        labels, truth: Along a clip, shape ``(T, H, W)``.
    """
    still = truth[1:] == truth[:-1]
    return int((still & (labels[1:] != labels[:-1])).sum()), int(still.sum())
