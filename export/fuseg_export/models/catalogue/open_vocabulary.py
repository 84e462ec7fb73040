"""Rooms, labelled by whatever words their classes are called.

The tokenizer is that of a package: without it, there is no such model.
"""

from __future__ import annotations

from functools import partial

from fuseg.errors import ArgumentError

from ...frames.rendered import SMALL_CAMERA, RenderedDataset
from ...scenes import CLASSES
from ..compose import SENSORS, words_of
from ..open_vocabulary import OpenVocabularyNet
from ..reference_model import ReferenceModel
from ..sentence import LENGTH, package_file

__all__ = ["MODELS"]

_SENSORS = ("rgb", "depth")
# Their classes are not the network's: it has those that it is asked for.
_scenes = partial(RenderedDataset, labelled=False, camera=SMALL_CAMERA)


def _models() -> tuple[ReferenceModel, ...]:
    try:
        tokenizer = package_file("tokenizer.json")
    except ArgumentError:
        return ()
    prompt = {
        "tokenizer": str(tokenizer),
        "default": "a carpet",
        "examples": [
            *("the ceiling", "a wooden box", "pillars", "a round ball", "the floor"),
            *("a wall", "a picture", "a stage", "a trash can"),
        ],
        "dimension": {"min": 1, "max": 10, "typical": 10},
    }
    planes = tuple(SENSORS[name].planes for name in _SENSORS)
    sensors = {name: dict(SENSORS[name].said) for name in _SENSORS}
    labels = {
        "kind": "embedding",
        "path": "features",
        "vectors": "phrases",
        "normalize": "l2",
        # No cosine is lower: every place is one of the words.
        "background": {"score": -1.0},
        "classes_from": "prompt",
    }
    return (
        ReferenceModel(
            "open-vocabulary",
            "text",
            "colour + depth + any words: places in the space of sentence embeddings",
            partial(OpenVocabularyNet, planes, len(CLASSES)),
            (*words_of(_SENSORS), f"prompt=text:{LENGTH}"),
            {
                "inputs": {**sensors, "prompt": prompt},
                "outputs": {"labels": labels},
                "split": ["prompt"],
            },
            _scenes,
        ),
    )


MODELS = _models()
