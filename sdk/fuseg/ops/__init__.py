"""One public function per kernel, same name as its room under kernels/."""

from __future__ import annotations

from .fuse_argmax import FusedLabeler, fuse_argmax
from .overlay import overlay
from .pack_color import pack_color
from .pack_depth import pack_depth
from .upsample_argmax import Labeler, upsample_argmax

__all__ = [
    "FusedLabeler",
    "Labeler",
    "fuse_argmax",
    "overlay",
    "pack_color",
    "pack_depth",
    "upsample_argmax",
]
