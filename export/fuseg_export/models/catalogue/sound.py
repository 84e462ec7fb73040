"""A picture and a sound."""

from __future__ import annotations

from functools import partial

from ...frames.senses import sounding_things
from ...scenes.senses.sound import RATE
from ...scenes.things import KINDS
from ..reference_model import ReferenceModel
from ..sound import SoundNet

__all__ = ["MODELS"]

_SOUND = {
    "rate": RATE,
    "features": {"frame": 512, "hop": 128, "log": "ln", "floor": 1e-3},
    "mel": {"scale": "htk", "normalized": False, "low": 60, "high": 3900},
    "std": 3.0,
    "channel_axis": True,
}
_HEARD = [*KINDS, "silence"]

MODELS = (
    ReferenceModel(
        "sound",
        "sound",
        "colour + sound: the thing that makes the sound, and its kind",
        partial(SoundNet, len(_HEARD)),
        ("rgb=color:96x128", "sound=audio:32x32"),
        {
            "inputs": {"sound": _SOUND},
            "outputs": {
                "labels": {
                    "kind": "segmentation",
                    "path": 0,
                    "classes": ["elsewhere", "sounding"],
                },
                "heard": {
                    "kind": "classes",
                    "path": 1,
                    "activation": "softmax",
                    "classes": _HEARD,
                },
            },
        },
        sounding_things,
    ),
)
