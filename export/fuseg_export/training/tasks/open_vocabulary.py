"""Labels of rooms by what classes are called, also in words that were never trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fuseg.dataset.metrics import confusion, iou, miou
from fuseg.text import TextRows

from ...models.open_vocabulary import OpenVocabularyNet
from ...models.sentence import LENGTH, package_file
from ...reference import at_size
from ..data import pack
from ..losses import class_weights
from ..room_words import FURTHER, HELD_OUT, TRAINED
from .rooms import Batch, Rooms

__all__ = ["OpenVocabulary", "load_sentences"]

_CLASSES = len(TRAINED)
_WANTED = 0.8  # of the trained words' mIoU


def load_sentences(network: OpenVocabularyNet) -> None:
    """Take the package's weights, what all trained phrases have in common, and what
    those of each class have.

    Raises:
        ArgumentError: It is not installed.
    """
    network.sentences.load_pretrained()
    with torch.no_grad():
        every = [network.sentences(_ids(phrases)) for phrases in TRAINED]
        network.center.copy_(torch.cat(every).mean(0))
        means = [network.centered(_ids(phrases)).mean(0) for phrases in TRAINED]
    network.meanings.copy_(F.normalize(torch.stack(means), dim=1))


@dataclass(frozen=True, eq=False)
class OpenVocabulary:
    """See `fit.Task`.

    Attributes:
        rooms: Frames, and how batches are drawn.
        network: Whose phrases places are drawn to; they are not trained.
    """

    rooms: Rooms
    network: OpenVocabularyNet

    def batch(self, rng: np.random.Generator) -> Batch:
        """See `fit.Task`."""
        return self.rooms.batch(rng)

    def loss(self, network: OpenVocabularyNet, batch: Batch) -> Tensor:
        """Draw each place to what its class means, rare classes more.

        Telling the phrases of training apart would do without most directions, and
        other words point there.
        """
        sensors, labels = batch
        seen = F.normalize(network.see(*sensors), dim=1).permute(0, 2, 3, 1)
        step = labels.shape[1] // seen.shape[1]
        small = labels[:, step // 2 :: step, step // 2 :: step]
        known = small != self.rooms.ignore
        classes = small[known]
        weights = self._weights[classes]
        near = (seen[known] * network.meanings[classes]).sum(1)
        return 1 - (near * weights).sum() / weights.sum()

    @torch.inference_mode()
    def evaluate(self, network: OpenVocabularyNet) -> dict[str, Any]:
        """How well words are followed; each place is what it is nearest to.

        ``miou_trained`` is by the classes' names, ``miou_held_out`` by words that were
        in no phrase of training, all ten at once; ``kept`` is their ratio, and
        ``wanted`` what the second ought to reach. ``kept_alone`` asks for one such word
        at a time, among the names of the other classes: the mean IoU of these answers,
        against that of the names. ``kept_further`` is as ``kept``, of sets of harder
        words; by these, on further rooms, the temperature was chosen.
        """
        network.eval()
        names, held_out = self.read([p[0] for p in TRAINED]), self.read(HELD_OUT)
        alone = names.repeat(_CLASSES, 1, 1)  # (asked, class, channels)
        each = torch.arange(_CLASSES)
        alone[each, each] = held_out
        further = [self.read(words) for words in zip(*FURTHER, strict=True)]
        asked = torch.cat([names[None], held_out[None], alone, torch.stack(further)])
        counts = np.zeros((len(asked), _CLASSES, _CLASSES), np.int64)
        frames, specs = self.rooms.test, self.rooms.inputs
        for index in range(len(frames)):
            planes = [
                pack(spec, np.ascontiguousarray(frames.of(spec, index)))
                for spec in specs
            ]
            sensors = [torch.from_numpy(p[None]) for p in planes]
            seen = F.normalize(network.see(*sensors), dim=1)[0]
            scores = torch.einsum("chw,akc->akhw", seen, asked)
            truth = at_size(frames.labels[index], planes[0].shape[1:])
            for count, labels in zip(counts, _largest(scores, truth), strict=True):
                count += confusion(truth, labels, _CLASSES, self.rooms.ignore)
        trained, other = miou(counts[0]), miou(counts[1])
        each_of, rest = counts[2 : 2 + _CLASSES], counts[2 + _CLASSES :]
        one = np.array([iou(c)[k] for k, c in enumerate(each_of)])
        found = {
            "miou_trained": trained,
            "miou_held_out": other,
            "wanted": _WANTED * trained,
            "kept": other / trained,
            "kept_alone": float(np.nanmean(one)) / trained,
            "kept_further": float(np.mean([miou(c) for c in rest])) / trained,
        }
        return {
            **{name: round(value, 5) for name, value in found.items()},
            "iou_held_out": {
                word: round(float(value), 5)
                for word, value in zip(HELD_OUT, iou(counts[1]), strict=True)
            },
        }

    @torch.no_grad()
    def read(self, phrases: Sequence[str]) -> Tensor:
        """Their vectors, ``(phrases, channels)``."""
        return self.network.read(_ids(phrases))

    @cached_property
    def _weights(self) -> Tensor:
        return class_weights(self.rooms.train.labels, _CLASSES)


def _largest(scores: Tensor, truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels ``(N, H, W)`` of scores ``(N, classes, h, w)``, at the truth's size."""
    large = F.interpolate(scores, size=truth.shape, mode="bilinear")
    return large.argmax(1).numpy().astype(np.uint8)


def _ids(phrases: Sequence[str]) -> Tensor:
    """Token ids, as the runtime makes them, but for what all are filled up with."""
    rows = TextRows(
        package_file("tokenizer.json").read_bytes(),
        length=LENGTH,
        too_long="refuse",
        empty="refuse",
    )
    ids = torch.from_numpy(np.stack([rows.row("prompt", phrase) for phrase in phrases]))
    return ids[:, : int((ids != 0).sum(1).max())]
