"""Every fusion operator at every position, beside each sensor alone, on small rooms."""

from __future__ import annotations

from fuseg.manifest import Class

from ...scenes import CLASSES
from ..compose import POSITIONS, compose
from ..fusion import OPERATORS

__all__ = ["MODELS"]

_CLASSES = [Class(c.name, c.color) for c in CLASSES]
_WHERE = {
    "early": "behind each sensor's stem",
    "middle": "at every scale",
    "late": "on each sensor's scores",
}

MODELS = (
    compose("small-rgb", ("rgb",), _CLASSES, summary="colour alone"),
    compose("small-depth", ("depth",), _CLASSES, summary="depth alone"),
    *(
        compose(
            f"{name.replace('_', '-')}-{position}",
            ("rgb", "depth"),
            _CLASSES,
            name,
            position,
            summary=f"colour + depth: {name.replace('_', ' + ')} {_WHERE[position]}",
        )
        for name in OPERATORS
        for position in POSITIONS
    ),
)
