"""One public function per kernel, same name as its room under kernels/."""

from __future__ import annotations

from .overlay import Painter, overlay
from .pack_color import ColorPacker, pack_color
from .pack_depth import pack_depth
from .upsample_argmax import upsample_argmax

__all__ = [
    "ColorPacker",
    "Painter",
    "overlay",
    "pack_color",
    "pack_depth",
    "upsample_argmax",
]
