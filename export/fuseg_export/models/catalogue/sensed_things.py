"""Named things by several sensors: each alone, in pairs, and all three at once."""

from __future__ import annotations

from itertools import combinations

from fuseg.manifest import Class

from ...frames.senses import hot_things, scanned_things
from ...network.spec import default_classes
from ...scenes.things import KINDS
from ..compose import compose
from ..reference_model import ReferenceModel

__all__ = ["MODELS"]

_KINDS = default_classes(6, ("room", *KINDS))
_HOT = default_classes(7, ("room", *KINDS, "hot"))
_WORDS = {"rgb": "colour", "depth": "depth", "thermal": "thermal", "range": "LiDAR"}


def _fused(task: str, sensors: tuple[str, ...]) -> ReferenceModel:
    several = len(sensors) > 1
    classes: tuple[Class, ...] = _HOT if task == "hot" else _KINDS
    summary = " + ".join(_WORDS[sensor] for sensor in sensors)
    return compose(
        "-".join((task, *sensors)),
        sensors,
        classes,
        "gated" if several else None,
        "middle" if several else None,
        family="three sensors" if task == "hot" else "LiDAR",
        summary=f"{summary}: things{', hot ones apart' * (task == 'hot')}",
        scenes=hot_things if task == "hot" else scanned_things,
    )


MODELS = (
    *(
        _fused("hot", sensors)
        for count in (1, 2, 3)
        for sensors in combinations(("rgb", "depth", "thermal"), count)
    ),
    *(_fused("kinds", s) for s in (("rgb",), ("range",), ("rgb", "range"))),
)
