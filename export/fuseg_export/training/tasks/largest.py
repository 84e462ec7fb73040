"""Which kind of thing is the largest in sight: one class of the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.manifest import ImageInput

from ...scenes.things import KINDS, ThingFrames
from ..data import pack

__all__ = ["LargestThing", "largest_kinds"]

Batch = tuple[Tensor, Tensor]
_NONE = -100  # of a picture without things: what `cross_entropy` leaves out


def largest_kinds(things: ThingFrames) -> NDArray[np.int64]:
    """Index into `KINDS` of the kind with most pixels, for each frame; -100: none."""
    counts = np.stack(
        [
            np.bincount(things.labels(i).ravel(), minlength=len(KINDS) + 1)[1:]
            for i in range(len(things))
        ]
    )
    return np.where(counts.any(axis=1), counts.argmax(axis=1), _NONE)


@dataclass(frozen=True, eq=False)
class LargestThing:
    """See `fit.Task`.

    Attributes:
        inputs: Of the network: colour alone.
        train, test: The frames to learn from and to evaluate on.
        size: Frames of a batch.
    """

    inputs: Sequence[ImageInput]
    train: ThingFrames
    test: ThingFrames
    size: int = 8

    @cached_property
    def kinds(self) -> NDArray[np.int64]:
        """The truth of ``train``."""
        return largest_kinds(self.train)

    def batch(self, rng: np.random.Generator) -> Batch:
        """See `fit.Task`: each frame is mirrored with probability 1/2."""
        drawn = rng.integers(len(self.train), size=self.size)
        steps = [-1 if rng.random() < 0.5 else 1 for _ in drawn]
        pictures = [
            self._packed(self.train.color[i][:, ::step])
            for i, step in zip(drawn, steps, strict=True)
        ]
        return torch.stack(pictures), torch.from_numpy(self.kinds[drawn])

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """See `fit.Task`."""
        pictures, kinds = batch
        return F.cross_entropy(network(pictures), kinds)

    @torch.inference_mode()
    def evaluate(self, network: nn.Module) -> dict[str, Any]:
        """Accuracy, and that of always saying the most frequent kind."""
        network.eval()
        truth = largest_kinds(self.test)
        said = np.array(
            [
                int(network(self._packed(picture)[None]).argmax())
                for picture in self.test.color
            ]
        )
        known = truth != _NONE
        most = np.bincount(truth[known], minlength=len(KINDS)).argmax()
        return {
            "accuracy": round(float((said == truth)[known].mean()), 5),
            "majority": round(float((truth == most)[known].mean()), 5),
        }

    def _packed(self, picture: NDArray[np.uint8]) -> Tensor:
        (spec,) = self.inputs
        return torch.from_numpy(pack(spec, np.ascontiguousarray(picture)))
