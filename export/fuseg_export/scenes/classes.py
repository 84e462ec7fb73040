"""What a pixel of a synthetic room can be."""

from __future__ import annotations

from typing import NamedTuple


class SceneClass(NamedTuple):
    """One class: its name, and the RGB colour (0 to 255) that paints it."""

    name: str
    color: tuple[int, int, int]


CLASSES: tuple[SceneClass, ...] = (
    SceneClass("floor", (140, 110, 80)),
    SceneClass("wall", (190, 200, 210)),
    SceneClass("ceiling", (245, 245, 220)),
    SceneClass("rug", (220, 50, 120)),
    SceneClass("poster", (255, 160, 30)),
    SceneClass("platform", (60, 200, 90)),
    SceneClass("pillar", (40, 90, 200)),
    SceneClass("crate", (120, 60, 20)),
    SceneClass("bin", (40, 210, 220)),
    SceneClass("ball", (160, 60, 220)),
)

FLOOR, WALL, CEILING, RUG, POSTER, PLATFORM, PILLAR, CRATE, BIN, BALL = range(10)

IGNORE = 255
