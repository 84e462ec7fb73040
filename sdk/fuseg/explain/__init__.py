"""Why labels are what they are: which sensor a class comes from, and which pixels."""

from __future__ import annotations

from .contributions import ClassShares, Contributions, contributions
from .occlusion import GRID, occlusion
from .shapley import shapley

__all__ = [
    "GRID",
    "ClassShares",
    "Contributions",
    "contributions",
    "occlusion",
    "shapley",
]
