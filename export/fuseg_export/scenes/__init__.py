"""Synthetic rooms: colour, depth and labels from a seed.

Neither sensor is enough. A rug or a poster is flat, and a crate differs from a bin by
its colour alone: depth cannot tell. A platform is made like the floor and a pillar
like the wall, while decals show boxes that are not there: colour cannot tell.
"""

from __future__ import annotations

from .classes import CLASSES, IGNORE, SceneClass
from .render import HELD_OUT_SEEDS, TRAIN_SEEDS, Scene, render, render_many

__all__ = [
    "CLASSES",
    "HELD_OUT_SEEDS",
    "IGNORE",
    "TRAIN_SEEDS",
    "Scene",
    "SceneClass",
    "render",
    "render_many",
]
