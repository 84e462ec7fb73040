"""One public function per kernel, same name as its room under kernels/."""

from __future__ import annotations

from .confusion_matrix import ConfusionCounter, confusion_matrix
from .overlay import Painter, overlay
from .pack_color import pack_color
from .pack_depth import pack_depth
from .upsample_argmax import upsample_argmax

__all__ = [
    "ConfusionCounter",
    "Painter",
    "confusion_matrix",
    "overlay",
    "pack_color",
    "pack_depth",
    "upsample_argmax",
]
