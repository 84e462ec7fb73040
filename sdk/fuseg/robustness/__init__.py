"""What labels are worth as sensors fail: every set of them, lost pixels, noise."""

from __future__ import annotations

from ..runtime.policies import without_hold
from .card import LabelledFrame, measure
from .spoil import Spoiler
from .subsets import (
    MOST_SENSORS,
    Subset,
    count_pixels,
    label_with,
    require_few,
    require_gone,
    subsets,
)

__all__ = [
    "MOST_SENSORS",
    "LabelledFrame",
    "Spoiler",
    "Subset",
    "count_pixels",
    "label_with",
    "measure",
    "require_few",
    "require_gone",
    "subsets",
    "without_hold",
]
