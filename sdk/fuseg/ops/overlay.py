from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import require, require_number, require_out, require_rows
from ..errors import ArgumentError, ShapeError

__all__ = ["overlay"]


def overlay(
    labels: NDArray[np.uint8],
    *,
    palette: NDArray[np.uint8],
    frame: NDArray[np.uint8] | None = None,
    alpha: float = 0.5,
    ignore: int | None = None,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Paint labels in their colours, over a frame or on their own."""
    require("labels", labels, np.uint8, ("H", "W"))
    require("palette", palette, np.uint8, ("K", 3))
    if len(palette) > 256:
        raise ShapeError(f"palette must have 1 to 256 colours, got {len(palette)}.")
    if frame is not None:
        require_rows("frame", frame, (np.uint8,), (*labels.shape, 3))
    alpha = require_number("alpha", alpha)
    if not 0 <= alpha <= 1:
        raise ArgumentError(f"alpha must be between 0 and 1, got {alpha}.")
    if ignore is not None and not 0 <= ignore <= 255:
        raise ArgumentError(f"ignore must be a label, 0 to 255, or None, got {ignore}.")
    if out is None:
        out = np.empty((*labels.shape, 3), np.uint8)
    require_out(
        "out",
        out,
        np.uint8,
        (*labels.shape, 3),
        labels=labels,
        palette=palette,
        frame=frame,
    )
    largest = _kernels.overlay_cpu(
        labels,
        palette,
        frame,
        int(alpha * 256 + 0.5),
        -1 if ignore is None else ignore,
        out,
    )
    if largest >= len(palette):
        raise ArgumentError(
            f"labels must be below {len(palette)}, the colours in palette, got "
            f"{largest}. Add colours, or pass ignore={largest}."
        )
    return out
