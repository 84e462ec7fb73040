"""Finding what a phrase asks for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.text import TextRows

from ...models.catalogue.things import PROMPT_LENGTH
from ...models.multitask import enlarged
from ...scenes.things import COLORS, KINDS, ThingFrames, boxes_of
from ...scenes.things.words import PAD, TOKENIZER, asked_for, prompt
from ..things_data import pictures

__all__ = ["TextTask", "ids"]

# What is meant is a small part of the picture.
_MEANT_WEIGHT = 2.5
_STRANGE = "please"  # no word of the vocabulary

_NAMING_WEIGHT = 0.2
_NOTHING = -1  # what a phrase means that has no known word

Query = tuple[int | None, int | None]  # colour and kind, None for any


class Batch(NamedTuple):
    """N pictures and Q phrases for each.

    Attributes:
        rgb: Shape ``(N, 3, H, W)``.
        prompts: Token ids, shape ``(N * Q, length)``.
        meant: 1 where the phrase means, shape ``(N * Q, H, W)``.
        named: Indices of colour and kind, the number of them where any is meant, and
            -1 where the phrase has no known word; shape ``(N * Q, 2)``.
    """

    rgb: Tensor
    prompts: Tensor
    meant: Tensor
    named: Tensor


@dataclass(frozen=True)
class TextTask:
    """See `Task`.

    Attributes:
        train: Frames of batches.
        judged: Frames of `evaluate`.
        size: Frames of a batch.
        queries: Phrases for each frame: what tells them apart is the phrase alone.
        blind: Whether all phrases are empty ones: the baseline.
    """

    train: ThingFrames
    judged: ThingFrames
    size: int = 8
    queries: int = 6
    blind: bool = False

    def batch(self, rng: np.random.Generator) -> Batch:
        """Random frames, half of them mirrored, with random phrases."""
        frames, phrases, meant, named = [], [], [], []
        for index in map(int, rng.integers(len(self.train), size=self.size)):
            step = -1 if rng.random() < 0.5 else 1
            frames.append(self.train.color[index][:, ::step])
            for _ in range(self.queries):
                text, names, where = self._query(index, rng)
                phrases.append(text)
                named.append(names)
                meant.append(torch.from_numpy(where[:, ::step].copy()))
        return Batch(
            pictures(frames),
            self._ids(phrases),
            torch.stack(meant).float(),
            torch.tensor(named),
        )

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy of every place for every phrase, and of what phrases name.

        Places say little of words while features mean nothing yet: each vector must
        also tell what its phrase names, by fixed random directions.
        """
        made = network(batch.rgb, batch.prompts)
        vectors = made["phrases"].unflatten(0, (len(batch.rgb), -1))
        scores = torch.einsum("nchw,nqc->nqhw", made["features"], vectors)
        total = F.binary_cross_entropy_with_logits(
            enlarged(scores).flatten(0, 1),
            batch.meant,
            pos_weight=torch.tensor(_MEANT_WEIGHT),
        )
        if self.blind:
            return total
        said = made["phrases"] @ _directions(made["phrases"].shape[1])
        for names, part in zip(
            batch.named.T, said.split([len(COLORS) + 1, len(KINDS) + 1], 1), strict=True
        ):
            total = total + _NAMING_WEIGHT * F.cross_entropy(
                part, names, ignore_index=_NOTHING
            )
        return total

    @torch.inference_mode()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """How well phrases are followed.

        ``iou_kind``, ``iou_color`` and ``iou_both`` are of all pixels of one phrase for
        each frame, of something in sight. For ``followed`` two of the kinds in sight
        are asked for by their kind alone: it is the share of frames in which both
        answers overlap what was asked for more than the other one. ``absent`` is the
        share of the picture that is lit for a kind that is not there.
        """
        network.eval()
        counts = {form: np.zeros(2) for form in ("kind", "color", "both")}
        followed, absent = [], []
        for index in range(len(self.judged)):
            rng = np.random.default_rng([5, index])
            instances = self.judged.instances[index]
            attributes = self.judged.attributes[index]
            visible = [attributes[b.thing - 1] for b in boxes_of(instances)]
            if not visible:
                continue
            kind, color = map(int, visible[rng.integers(len(visible))][:2])
            kinds = sorted({int(row[0]) for row in visible})
            others = sorted(set(range(len(KINDS))) - set(attributes[:, 0].tolist()))
            asked: list[Query] = [(None, kind), (color, None), (color, kind)]
            pair = rng.permutation(kinds)[:2].tolist()
            asked += [(None, k) for k in pair + rng.permutation(others)[:1].tolist()]
            found = self._found(network, index, asked, rng)
            truth = [asked_for(instances, attributes, *q) for q in asked]
            for form, one, other in zip(counts, found, truth, strict=False):
                counts[form] += (one & other).sum(), (one | other).sum()
            if len(pair) > 1:
                own = [_iou(found[3 + k], truth[3 + k]) for k in (0, 1)]
                swapped = [_iou(found[3 + k], truth[4 - k]) for k in (0, 1)]
                followed.append(own[0] > swapped[0] and own[1] > swapped[1])
            if others:
                absent.append(found[-1].mean())
        return {
            **{
                f"iou_{form}": float(both / any_)
                for form, (both, any_) in counts.items()
            },
            "followed": float(np.mean(followed)),
            "absent": float(np.mean(absent)),
        }

    def _query(
        self, index: int, rng: np.random.Generator
    ) -> tuple[str, tuple[int, int], NDArray[np.bool_]]:
        """A phrase for a training frame, what it names, and where that is.

        One of ten has no known word.
        """
        instances, attributes = self.train.instances[index], self.train.attributes
        if rng.random() < 0.1:
            strange = " ".join([_STRANGE] * int(rng.integers(1, 4)))
            nowhere = np.zeros(instances.shape, np.bool_)
            return strange, (_NOTHING, _NOTHING), nowhere
        boxes = boxes_of(instances)
        if boxes and rng.random() < 0.8:
            row = attributes[index][boxes[rng.integers(len(boxes))].thing - 1]
            kind, color = int(row[0]), int(row[1])
        else:
            kind, color = int(rng.integers(len(KINDS))), int(rng.integers(len(COLORS)))
        asked: Query = ((None, kind), (color, None), (color, kind))[rng.integers(3)]
        words = prompt(rng, *asked).split()
        if rng.random() < 0.2:
            words.insert(int(rng.integers(len(words) + 1)), _STRANGE)
        names = (
            len(COLORS) if asked[0] is None else asked[0],
            len(KINDS) if asked[1] is None else asked[1],
        )
        where = asked_for(instances, attributes[index], *asked)
        return " ".join(words), names, where

    def _found(
        self,
        network: nn.Module,
        index: int,
        asked: list[Query],
        rng: np.random.Generator,
    ) -> NDArray[np.bool_]:
        """Where the network sees what is asked for, ``(phrases, H, W)``."""
        rgb = pictures([self.judged.color[index]])
        made = network(rgb, self._ids([prompt(rng, *query) for query in asked]))
        scores = torch.einsum("nchw,qc->nqhw", made["features"], made["phrases"])
        return np.asarray(enlarged(scores)[0].numpy() > 0)

    def _ids(self, phrases: list[str]) -> Tensor:
        rows = np.stack([ids(phrase) for phrase in phrases])
        return torch.from_numpy(np.full_like(rows, PAD) if self.blind else rows)


@cache
def ids(phrase: str) -> NDArray[np.int64]:
    """The token ids of a phrase, as the runtime makes them, shape ``(16,)``."""
    return _rows().row("prompt", phrase)


@cache
def _rows() -> TextRows:
    return TextRows(
        TOKENIZER.read_bytes(), length=PROMPT_LENGTH, too_long="refuse", empty="refuse"
    )


@cache
def _directions(channels: int) -> Tensor:
    """One for each colour, any colour, each kind and any kind."""
    generator = torch.Generator().manual_seed(0)
    count = len(COLORS) + len(KINDS) + 2
    made: Tensor = torch.randn(channels, count, generator=generator) / channels**0.5
    return made


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))
