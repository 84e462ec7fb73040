"""What is learned of rooms of named things: several tasks, words in, words out."""

from __future__ import annotations

from typing import Any

from ...frames.rendered_things import LabelledThings, things
from ...scenes.things import COLORS, HEIGHT, KINDS, PLACES, WIDTH
from ...scenes.things.words import END, TOKENIZER, VOCABULARY
from ..caption import CaptionNet
from ..multitask import MultiTaskNet
from ..reference_model import ReferenceModel
from ..text import TextNet

__all__ = ["CAPTION_LENGTH", "MODELS", "PROMPT_LENGTH"]

PROMPT_LENGTH, CAPTION_LENGTH = 16, 7
SIZE = (HEIGHT, WIDTH)
RGB = f"rgb=color:{HEIGHT}x{WIDTH}"
# Far from each other, and from the colours of things.
_COLORS = (
    *((60, 60, 60), (255, 130, 200), (0, 230, 240), (170, 255, 60), (255, 120, 0)),
    (120, 0, 200),
)
_KINDS: dict[str, Any] = {
    "kind": "segmentation",
    "path": "labels",
    "classes": [
        {"name": name, "color": list(color)}
        for name, color in zip(("room", *KINDS), _COLORS, strict=True)
    ],
}

MODELS = (
    ReferenceModel(
        "multitask",
        "multitask",
        "one encoder: kinds, colours, boxes, class of the place",
        lambda: MultiTaskNet(len(KINDS), len(COLORS), len(PLACES), SIZE),
        (RGB,),
        {
            "outputs": {
                "labels": _KINDS,
                "colors": {
                    "kind": "segmentation",
                    "path": "colors",
                    "classes": ["none", *COLORS],
                },
                "boxes": {
                    "kind": "boxes",
                    "path": "boxes",
                    "form": "xyxy",
                    "score": "class",
                    "activation": "sigmoid",
                    "score_threshold": 0.3,
                    "iou_threshold": 0.5,
                    "classes": list(KINDS),
                },
                "place": {
                    "kind": "classes",
                    "path": "place",
                    "activation": "softmax",
                    "classes": list(PLACES),
                },
            }
        },
        LabelledThings,
    ),
    ReferenceModel(
        "text",
        "text",
        "colour + phrases: CNN and LSTM, their dot product says what is meant",
        lambda: TextNet(len(VOCABULARY)),
        (RGB, f"prompt=text:{PROMPT_LENGTH}"),
        {
            "inputs": {
                "prompt": {
                    "tokenizer": str(TOKENIZER),
                    "default": "the red ball",
                    "examples": [
                        "every crate",
                        "a blue thing",
                        "find the yellow post",
                        "slab",
                        "the green drum",
                        "ball",
                        "a red object",
                    ],
                    "dimension": {"min": 1, "max": 8, "typical": 4},
                }
            },
            "outputs": {
                "labels": {
                    "kind": "embedding",
                    "path": "features",
                    "vectors": "phrases",
                    "normalize": "none",
                    "classes_from": "prompt",
                    "background": {"score": 0.0},
                }
            },
            "split": ["prompt"],
        },
        things,
    ),
    ReferenceModel(
        "caption",
        "caption",
        "colour: says what it sees, and segments with what it said",
        lambda: CaptionNet(
            len(KINDS), len(COLORS), len(VOCABULARY), CAPTION_LENGTH, SIZE
        ),
        (RGB,),
        {
            "outputs": {
                "labels": _KINDS,
                "caption": {
                    "kind": "tokens",
                    "path": "tokens",
                    "tokenizer": str(TOKENIZER),
                    "end": END,
                },
            }
        },
        LabelledThings,
    ),
)
