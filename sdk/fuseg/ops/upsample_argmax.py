from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import require, require_out, require_size
from ..errors import ShapeError

__all__ = ["upsample_argmax"]


def upsample_argmax(
    scores: NDArray[np.float32],
    *,
    size: tuple[int, int],
    align_corners: bool = False,
    out: NDArray[np.uint8] | None = None,
    confidence: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Label every pixel of a larger image with its best-scoring class."""
    require("scores", scores, np.float32, ("C", "h", "w"))
    classes, _, width = scores.shape
    if classes > 255:
        raise ShapeError(f"scores must have 1 to 255 classes, got {classes}.")
    size = require_size("size", size)
    if out is None:
        out = np.empty(size, np.uint8)
    require_out("out", out, np.uint8, size, scores=scores, confidence=confidence)
    if confidence is not None:
        require_out("confidence", confidence, np.float32, size, scores=scores)
    scratch = np.empty(
        _kernels.upsample_argmax_scratch_bytes(classes, width, size[1]), np.uint8
    )
    _kernels.upsample_argmax_cpu(scores, out, confidence, align_corners, scratch)
    return out
