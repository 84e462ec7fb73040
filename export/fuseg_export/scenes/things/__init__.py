"""Synthetic rooms of things that have names: a kind, a colour, hot or cold.

Colour and depth, and for every pixel which thing it is of: what networks learn that are
asked for one of them, by words or by a sound.
"""

from __future__ import annotations

from .boxes import BoundingBox, boxes_of
from .places import PLACES
from .render import (
    HEIGHT,
    VALIDATION_SEEDS,
    WIDTH,
    NamedScene,
    ThingFrames,
    capture_named,
    draw_named_exposure,
    kind_labels,
    render_many_things,
    render_things,
    things_of,
)
from .world import COLORS, KINDS, MAX_THINGS, Attributes, NamedWorld, make_named_world

__all__ = [
    "COLORS",
    "HEIGHT",
    "KINDS",
    "MAX_THINGS",
    "PLACES",
    "VALIDATION_SEEDS",
    "WIDTH",
    "Attributes",
    "BoundingBox",
    "NamedScene",
    "NamedWorld",
    "ThingFrames",
    "boxes_of",
    "capture_named",
    "draw_named_exposure",
    "kind_labels",
    "make_named_world",
    "render_many_things",
    "render_things",
    "things_of",
]
