"""What a pixel of a synthetic room can be."""

from __future__ import annotations

from typing import NamedTuple


class SceneClass(NamedTuple):
    """One class: its name, and the RGB colour (0 to 255) of its overlay."""

    name: str
    color: tuple[int, int, int]


# Far from each other, and from the look of things of the class: a room overlaid with
# its own colours would look unlabelled.
CLASSES: tuple[SceneClass, ...] = (
    SceneClass("floor", (0, 160, 90)),
    SceneClass("wall", (60, 110, 255)),
    SceneClass("ceiling", (255, 235, 0)),
    SceneClass("rug", (0, 230, 240)),
    SceneClass("poster", (170, 255, 60)),
    SceneClass("platform", (255, 120, 0)),
    SceneClass("pillar", (230, 20, 40)),
    SceneClass("crate", (120, 0, 200)),
    SceneClass("bin", (255, 130, 200)),
    SceneClass("ball", (0, 0, 110)),
)

FLOOR, WALL, CEILING, RUG, POSTER, PLATFORM, PILLAR, CRATE, BIN, BALL = range(10)

IGNORE = 255
