"""Rooms at full size: `rgbd` is shipped, the others say what each sensor is worth."""

from __future__ import annotations

from typing import Any

from fuseg.manifest import Class

from ...frames.rendered import labelled_rooms
from ...scenes import CLASSES
from ..compose import SENSORS, compose

__all__ = ["MODELS"]

_CLASSES = [Class(c.name, c.color) for c in CLASSES]
_SIZES: dict[str, Any] = {
    "size": (240, 320),
    "scenes": labelled_rooms,
    "widths": (24, 48, 80, 112),
    "depths": (1, 2, 2, 2),
    "decoder_channels": 48,
    "bins": (1, 2),
}
_COLOR = {"missing": {"policy": "sibling"}}
_DEPTH = {
    **SENSORS["depth"].said,
    "missing": {"policy": "hold", "max_age_ms": 200.0, "then": "sibling"},
}

MODELS = (
    compose(
        "rgbd",
        ("rgb", "depth"),
        _CLASSES,
        "gated",
        "middle",
        summary="colour + depth, gated at every scale; each alone if the other is gone",
        spec={"inputs": {"rgb": _COLOR, "depth": _DEPTH}},
        siblings=True,
        **_SIZES,
    ),
    compose(
        "rgb",
        ("rgb",),
        _CLASSES,
        summary="colour alone: the same network with one encoder",
        **_SIZES,
    ),
    compose(
        "depth",
        ("depth",),
        _CLASSES,
        summary="depth alone: the same network with one encoder",
        **_SIZES,
    ),
)
