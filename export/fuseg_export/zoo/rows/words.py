"""Rooms, labelled by any words; of a package, without which there is no such row."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from torch import nn

from ...models import REFERENCE
from ...models.open_vocabulary import OpenVocabularyNet
from ...training.tasks.open_vocabulary import OpenVocabulary, load_sentences
from ..row import Row, Weights
from .rooms import labels_of_rooms

__all__ = ["ROWS"]

_NAME = "open-vocabulary"


def _sentences(network: nn.Module, _: Weights) -> None:
    load_sentences(cast(OpenVocabularyNet, network))


def _drawn(task: Any, network: nn.Module, _: Weights) -> OpenVocabulary:
    return OpenVocabulary(task, cast(OpenVocabularyNet, network))


_OPEN = Row(
    _NAME,
    _NAME,
    partial(labels_of_rooms, _NAME),
    1200,
    metric="miou_held_out",
    beats={"wanted": 0.0},
    also=("miou_trained", "kept", "kept_alone", "kept_further"),
    prepare=_sentences,
    learned=_drawn,
)
ROWS = (_OPEN,) if _NAME in REFERENCE else ()
