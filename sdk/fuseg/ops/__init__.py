"""One public function per kernel, same name as its room under kernels/."""

from __future__ import annotations

from .confusion_matrix import ConfusionCounter, confusion_matrix
from .fuse_argmax import FusedLabeler, fuse_argmax
from .overlay import Painter, overlay
from .pack_color import ColorPacker, pack_color
from .pack_depth import DepthPacker, pack_depth
from .upsample_argmax import Labeler, upsample_argmax

__all__ = [
    "ColorPacker",
    "ConfusionCounter",
    "DepthPacker",
    "FusedLabeler",
    "Labeler",
    "Painter",
    "confusion_matrix",
    "fuse_argmax",
    "overlay",
    "pack_color",
    "pack_depth",
    "upsample_argmax",
]
