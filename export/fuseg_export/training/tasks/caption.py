"""Saying what the largest thing is and where, beside the segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.dataset.metrics import confusion, miou
from fuseg.text import Tokenizer

from ...models.caption import CaptionNet
from ...models.catalogue.things import CAPTION_LENGTH
from ...scenes.things import COLORS, KINDS, ThingFrames
from ...scenes.things.words import END, PAD, TOKENIZER, VOCABULARY, caption
from ..things_data import pictures
from .multitask import color_labels, of_pixels

__all__ = ["CaptionTask"]

_CONTENT = {"color": COLORS, "kind": KINDS, "side": ("left", "middle", "right")}
_AT_ONCE = 50


@dataclass(frozen=True)
class CaptionTask:
    """See `Task`.

    Attributes:
        train: Frames of batches.
        judged: Frames of `evaluate`.
        size: Frames of a batch.
    """

    train: ThingFrames
    judged: ThingFrames
    size: int = 8

    def batch(self, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Pictures, labels and colours ``(N, H, W)``, and ids ``(N, 7)``."""
        frames, rows = [], []
        for index in map(int, rng.integers(len(self.train), size=self.size)):
            step = -1 if rng.random() < 0.5 else 1
            frames.append(self.train.color[index][:, ::step])
            planes = (self.train.labels(index), color_labels(self.train, index))
            rows.append(
                [torch.from_numpy(p[:, ::step].astype(np.int64)) for p in planes]
                + [torch.from_numpy(caption_ids(self.train, index, step))]
            )
        truth = (torch.stack(column) for column in zip(*rows, strict=True))
        return (pictures(frames), *truth)

    def loss(self, network: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
        """Of pixels before and after a word was said, and of each word."""
        rgb, labels, colors, words = batch
        said = cast(CaptionNet, network).describe(rgb, words)
        small = F.interpolate(
            torch.stack([labels, colors], 1).float(), size=said.kinds.shape[-2:]
        ).long()
        total = of_pixels(said.labels, labels)
        total = total + 0.5 * of_pixels(said.kinds, small[:, 0])
        total = total + 0.5 * of_pixels(said.colors, small[:, 1])
        return total + F.cross_entropy(
            said.words.flatten(0, 1), words.flatten(), ignore_index=PAD
        )

    @torch.inference_mode()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """How many words of content are right: colours, kinds and sides.

        ``content`` is of all three; ``content_majority`` is what the commonest word of
        the training captions at each place would give; ``whole`` is the share of
        captions of which each word is right.
        """
        network.eval()
        counts = np.zeros((1 + len(KINDS),) * 2, np.int64)
        said, wanted = [], []
        for start in range(0, len(self.judged), _AT_ONCE):
            indices = range(start, min(start + _AT_ONCE, len(self.judged)))
            made = network(pictures([self.judged.color[i] for i in indices]))
            said.append(made["tokens"].numpy())
            for row, index in enumerate(indices):
                labels = made["labels"][row].argmax(0).numpy()
                counts += confusion(self.judged.labels(index), labels, len(counts), 255)
                wanted.append(caption_ids(self.judged, index))
        found, truth = np.concatenate(said), np.stack(wanted)
        right, common = found == truth, self._commonest == truth
        meant = np.isin(
            truth, [VOCABULARY.index(w) for g in _CONTENT.values() for w in g]
        )
        scores = {
            name: float(
                right[np.isin(truth, [VOCABULARY.index(w) for w in words])].mean()
            )
            for name, words in _CONTENT.items()
        }
        return {
            "content": float(right[meant].mean()),
            "content_majority": float(common[meant].mean()),
            **scores,
            "whole": float((right | (truth == PAD)).all(1).mean()),
            "miou": miou(counts),
        }

    @cached_property
    def _commonest(self) -> NDArray[np.int64]:
        """The commonest word at each place of the training captions."""
        rows = np.stack([caption_ids(self.train, i) for i in range(len(self.train))])
        return np.array(
            [np.bincount(column[column != PAD]).argmax() for column in rows.T]
        )


def caption_ids(frames: ThingFrames, index: int, step: int = 1) -> NDArray[np.int64]:
    """Ids of a frame's caption and its end, shape ``(7,)``, mirrored by ``step`` -1."""
    instances = frames.instances[index][:, ::step]
    text = caption(instances, frames.attributes[index].tolist())
    ids = [*_tokenizer().encode(text), END]
    return np.array(ids + [PAD] * (CAPTION_LENGTH - len(ids)))


@cache
def _tokenizer() -> Tokenizer:
    return Tokenizer(TOKENIZER.read_bytes())
