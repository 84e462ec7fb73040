from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import require_number, require_size
from ..cuda.array_view import on_gpu
from ..cuda.launch import launch
from .array_checks import require_array, require_out

__all__ = ["ThresholdMask", "threshold_mask"]


def threshold_mask(
    confidence: NDArray[np.float32],
    *,
    threshold: float,
    out: NDArray[np.uint8] | None = None,
    stream: Any = None,
) -> NDArray[np.uint8]:
    """Mark the pixels whose confidence is high enough.

    Args:
        confidence: Shape ``(H, W)``, float32, C-contiguous, in any unit.
        threshold: The lowest confidence that is high enough, rounded to float32.
        out: Buffer for the mask, shape ``(H, W)``, uint8, C-contiguous, not sharing
            memory with ``confidence``. A new one is made if omitted.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`.

    Returns:
        The mask, shape ``(H, W)``, uint8: 1 where ``confidence >= threshold``, else 0,
        as where it is NaN. This is ``out`` itself if ``out`` was given.

    Raises:
        ShapeError: ``confidence`` is not ``(H, W)`` or is empty, or ``out`` has another
            shape.
        LayoutError: An array is a strided view.
        DTypeError: ``confidence`` is not float32, or ``out`` not uint8.
        ArgumentError: ``threshold`` is not a finite number, or ``out`` is read-only or
            shares memory with ``confidence``.

    Example:
        >>> confidence = np.array([[0.2, 0.5, np.nan]], dtype=np.float32)
        >>> threshold_mask(confidence, threshold=0.5)
        array([[0, 1, 0]], dtype=uint8)

    Source:
        Definition: ``confidence >= np.float32(threshold)`` in NumPy.
    """
    confidence = require_array("confidence", confidence, np.float32, ("H", "W"))
    mask = ThresholdMask(confidence.shape, threshold=threshold)
    return mask(confidence, out=out, stream=stream)


class ThresholdMask:
    """`threshold_mask` for a frame loop: the settings are checked once.

    Args:
        size: ``(H, W)`` of the confidence, in pixels.
        threshold: See `threshold_mask`.

    Raises:
        ShapeError, ArgumentError: As `threshold_mask`.
    """

    def __init__(self, size: tuple[int, int], *, threshold: float) -> None:
        self.size = require_size("size", size)
        self._kernel = _kernels.ThresholdMask(
            height=self.size[0],
            width=self.size[1],
            threshold=require_number("threshold", threshold),
        )

    def __call__(
        self,
        confidence: NDArray[np.float32],
        *,
        out: NDArray[np.uint8] | None = None,
        stream: Any = None,
    ) -> NDArray[np.uint8]:
        """Mark the pixels of one frame; see `threshold_mask`."""
        if stream is None and self._kernel.run(confidence, out):
            return out  # type: ignore[return-value]  # the kernel takes no None
        confidence = require_array("confidence", confidence, np.float32, self.size)
        gpu = on_gpu(out, stream, confidence=confidence)
        if out is None:
            out = np.empty(self.size, np.uint8)
        target = require_out("out", out, np.uint8, self.size, confidence=confidence)
        if gpu:
            launch(self._kernel, confidence, target, stream=stream)
        else:
            ran = self._kernel.run(confidence, target)
            assert ran, "the kernel refuses what the checks above let pass"
        return out
