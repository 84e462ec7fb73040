"""Two styles of picture: one encoder, a head for each."""

from __future__ import annotations

from functools import partial

from ...frames.senses import styles
from ...scenes.things import KINDS
from ..domains import DomainNet
from ..reference_model import ReferenceModel

__all__ = ["MODELS"]

_CLASSES = ["room", *KINDS]


def _labels(path: int) -> dict[str, object]:
    return {"kind": "segmentation", "path": path, "classes": _CLASSES}


MODELS = (
    ReferenceModel(
        "domains",
        "domains",
        "colour of two styles: one encoder, labels by the head of each style",
        partial(DomainNet, len(_CLASSES), 2),
        ("rgb=color:96x128",),
        {"outputs": {"labels": _labels(0), "labels_b": _labels(1)}},
        styles,
    ),
    ReferenceModel(
        "one-domain",
        "domains",
        "colour of two styles: one encoder and one head for both",
        partial(DomainNet, len(_CLASSES), 1),
        ("rgb=color:96x128",),
        {"outputs": {"labels": _labels(0)}},
        styles,
    ),
)
