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
    """Label every pixel of the camera's image from scores on the network's grid.

    What a bilinear resize of every class and an argmax over them would give,
    without the resized scores. Where the four samples around a pixel agree on the
    class, so does everything between them, and nothing is interpolated.

    Args:
        scores: Class scores, shape ``(C, h, w)``, float32, C-contiguous,
            ``1 <= C <= 255``. Logits or log-probabilities; probabilities too, but
            not for ``confidence``. With ``C = 1`` the score is of class 1 against a
            class 0 that scores 0: the label is 1 where the score is above 0.
        size: ``(H, W)`` of the labels, in pixels. Larger, equal or smaller; equal
            is a plain argmax, smaller samples without antialiasing.
        align_corners: Whether the corner samples sit on the centres of the corner
            pixels, or (the default) the corners of both grids coincide.
        out: Buffer for the labels, shape ``(H, W)``, uint8, C-contiguous, not
            sharing memory with ``scores``. Give the same one every frame to keep
            the loop free of large allocations; some rows of scratch memory are
            taken either way. A new one is made if omitted.
        confidence: Buffer for the largest softmax probability at every pixel,
            shape ``(H, W)``, float32, C-contiguous. It costs an exponential per
            class and pixel, and does not change the labels.

    Returns:
        Labels in ``[0, C)`` (``[0, 1]`` for ``C = 1``), shape ``(H, W)``, uint8.
        This is ``out`` itself if ``out`` was given. On a tie the smallest class
        wins. NaN never wins, nor does infinity minus infinity; where nothing is
        above -infinity the label is 0. A sample of weight 0 is not read.

        The arithmetic is float32: a label may differ from exact arithmetic where
        the two best scores are closer than 1e-6 of the largest sample around, but
        not where the four samples around agree. ``confidence`` is within 1e-5
        while scores stay within 30 of 0, and NaN where a score is NaN or
        +infinity or all are -infinity.

    Raises:
        ShapeError: ``scores`` is not ``(C, h, w)``, is empty or has more than 255
            classes, or a buffer is not ``(H, W)``.
        LayoutError: ``scores`` or a buffer is a strided view.
        DTypeError: An array is not of the type above.
        ArgumentError: ``size`` is not two numbers above 0, or a buffer is read-only
            or shares memory with another array.

    Example:
        >>> scores = np.array([[[0.0, 0.0]], [[-1.0, 1.5]]], dtype=np.float32)
        >>> upsample_argmax(scores, size=(2, 8))
        array([[0, 0, 0, 0, 1, 1, 1, 1],
               [0, 0, 0, 0, 1, 1, 1, 1]], dtype=uint8)

    Source:
        Definition: ``torch.nn.functional.interpolate(mode="bilinear")`` in float64,
        then ``argmax(0)``.
    """
    require("scores", scores, np.float32, ("C", "h", "w"))
    if scores.shape[0] > 255:
        raise ShapeError(
            f"scores must have 1 to 255 classes, got {scores.shape[0]}: a label is "
            "one byte, and 255 is kept for pixels without one."
        )
    size = require_size("size", size)
    if out is None:
        out = np.empty(size, np.uint8)
    require_out("out", out, np.uint8, size, scores=scores)
    if confidence is not None:
        require_out("confidence", confidence, np.float32, size, scores=scores, out=out)
    classes, height, width = scores.shape
    scratch = np.empty(
        _kernels.upsample_argmax_scratch_bytes(classes, height, width, *size), np.uint8
    )
    _kernels.upsample_argmax_cpu(scores, out, confidence, align_corners, scratch)
    return out
