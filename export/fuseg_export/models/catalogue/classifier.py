"""A plain classifier, with the encoder of `fcn`, which may begin with its weights."""

from __future__ import annotations

from torch import nn

from ...frames.senses import scanned_things
from ...scenes.things import KINDS
from ..compose import words_of
from ..encoders import VggEncoder
from ..network import Classifier
from ..reference_model import ReferenceModel

__all__ = ["MODELS"]

_WIDTHS = (16, 32, 48, 64)


def _classifier() -> nn.Module:
    return Classifier(VggEncoder(3, _WIDTHS), _WIDTHS[-1], len(KINDS))


MODELS = (
    ReferenceModel(
        "classifier",
        "classification",
        "plain convolutions: the kind of the largest thing in sight",
        _classifier,
        words_of(("rgb",)),
        {
            "outputs": {
                "largest": {"kind": "classes", "path": "", "classes": list(KINDS)}
            }
        },
        scanned_things,
    ),
)
