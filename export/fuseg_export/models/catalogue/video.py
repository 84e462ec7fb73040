"""Video: a state from frame to frame."""

from __future__ import annotations

from functools import partial

from ...frames.senses import spoilt_video
from ...scenes.things import KINDS
from ..reference_model import ReferenceModel
from ..video import VideoNet

__all__ = ["MODELS"]

_CLASSES = ["room", *KINDS]

MODELS = (
    ReferenceModel(
        "video",
        "video",
        "colour, frame by frame: a convolutional GRU remembers what it saw",
        partial(VideoNet, len(_CLASSES)),
        ("rgb=color:96x128",),
        {
            "outputs": {
                "labels": {"kind": "segmentation", "path": 0, "classes": _CLASSES}
            },
            "states": [{"tensor": "memory", "output": 1, "shape": [48, 24, 32]}],
        },
        spoilt_video,
    ),
)
