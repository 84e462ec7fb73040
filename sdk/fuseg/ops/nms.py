from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import require_number, require_whole
from ..cuda.array_view import as_view, on_gpu
from ..cuda.launch import launch
from ..errors import ArgumentError, ShapeError
from .array_checks import require_array, require_out

__all__ = ["Nms", "nms"]

_MOST = 100_000


def nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int32],
    *,
    iou_threshold: float,
    max_boxes: int = 300,
    out: NDArray[np.int32] | None = None,
    stream: Any = None,
) -> NDArray[np.int32]:
    """Find the boxes that stay where those of one class overlap.

    Boxes are taken by score, the best first, of equal scores the one with the lower
    index. A box stays unless one of its class that stays overlaps it by more than
    ``iou_threshold``.

    Args:
        boxes: Two opposite corners of each box, ``x, y, x, y``, either of them first,
            shape ``(N, 4)``, float32, C-contiguous, ``N <= 100000``; on a GPU
            ``N >= 1``. One with a NaN, without an area or with one that is infinite
            in float32 overlaps no other.
        scores: How good each is, shape ``(N,)``, float32, C-contiguous. A box whose
            score is NaN never stays.
        classes: What each shows, shape ``(N,)``, int32, C-contiguous: any numbers.
        iou_threshold: How much two boxes of one class may overlap, from 0 to 1: the
            area that they share over that of their union, both in float32. At 1 all
            stay.
        max_boxes: How many may stay, 1 to 100000, the best ones; the others are not
            looked at.
        out: Buffer for the indices, shape ``(max_boxes,)``, int32, C-contiguous, not
            sharing memory with an input. A new one is made if omitted.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`.

    Returns:
        Indices of the boxes that stay, the best first, shape ``(K,)``, int32: the
        first K of ``out``, where -1 follows. On a GPU, where nobody waits for K, all of
        ``out``.

    Raises:
        ShapeError: ``boxes`` is not ``(N, 4)`` or is too many, ``scores`` or
            ``classes`` is not ``(N,)``, or ``out`` not ``(max_boxes,)``.
        LayoutError: An array is a strided view.
        DTypeError: ``boxes`` or ``scores`` is not float32, or ``classes`` or ``out``
            not int32.
        ArgumentError: ``iou_threshold`` is not from 0 to 1, ``max_boxes`` is out of
            its range, or ``out`` is read-only or shares memory with an input.

    Example:
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 5], [9, 9, 7, 7]], np.float32)
        >>> scores = np.array([0.5, 0.9, 0.4], np.float32)
        >>> nms(boxes, scores, np.zeros(3, np.int32), iou_threshold=0.7)
        array([1, 2], dtype=int32)

    Source:
        Definition: ONNX's NonMaxSuppression with ``center_point_box`` 0, its classes
        in one list by score, cut off at ``max_boxes``.
    """
    boxes = as_view("boxes", boxes)
    count = boxes.shape[0] if boxes.ndim else 1
    suppress = Nms(
        iou_threshold=iou_threshold,
        max_candidates=min(max(count, 1), _MOST),
        max_boxes=max_boxes,
    )
    return suppress(boxes, scores, classes, out=out, stream=stream)


class Nms:
    """`nms` for a frame loop: memory to work in is kept for ``max_candidates``.

    One object serves one caller at a time.

    Args:
        iou_threshold, max_boxes: See `nms`.
        max_candidates: How many boxes a call may be given, 1 to 100000.

    Raises:
        ShapeError, LayoutError, DTypeError, ArgumentError: As `nms`.

    Example:
        >>> suppress = Nms(iou_threshold=0.5, max_candidates=1000)
        >>> boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 5]], np.float32)
        >>> scores, classes = np.ones(2, np.float32), np.zeros(2, np.int32)
        >>> suppress(boxes, scores, classes)
        array([0], dtype=int32)
    """

    def __init__(
        self, *, iou_threshold: float, max_candidates: int, max_boxes: int = 300
    ) -> None:
        threshold = require_number("iou_threshold", iou_threshold)
        if not 0 <= threshold <= 1:
            raise ArgumentError(f"iou_threshold must be from 0 to 1, got {threshold}.")
        self._most = require_whole("max_candidates", max_candidates, 1, _MOST)
        self._max_boxes = require_whole("max_boxes", max_boxes, 1, _MOST)
        self._kernel = _kernels.Nms(
            iou_threshold=threshold,
            max_candidates=self._most,
            max_boxes=self._max_boxes,
        )

    def __call__(
        self,
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
        classes: NDArray[np.int32],
        *,
        out: NDArray[np.int32] | None = None,
        stream: Any = None,
    ) -> NDArray[np.int32]:
        """Find those of one frame that stay; see `nms`."""
        target = np.empty(self._max_boxes, np.int32) if out is None else out
        count = None
        if stream is None:
            count = self._kernel.run(boxes, scores, classes, target)
        if count is None:
            return self._checked(boxes, scores, classes, out, stream)
        return target[:count]

    def _checked(
        self,
        boxes: Any,
        scores: Any,
        classes: Any,
        out: NDArray[np.int32] | None,
        stream: Any,
    ) -> NDArray[np.int32]:
        gpu = on_gpu(out, stream, boxes=boxes, scores=scores, classes=classes)
        some = {"may_be_empty": not gpu}
        boxes = require_array("boxes", boxes, np.float32, ("N", 4), **some)
        rows = boxes.shape[:1]
        if rows[0] > self._most:
            raise ShapeError(
                f"boxes must be at most {self._most}, got {rows[0]}: "
                "take the best by score before."
            )
        scores = require_array("scores", scores, np.float32, rows, **some)
        classes = require_array("classes", classes, np.int32, rows, **some)
        if out is None:
            out = target = np.empty(self._max_boxes, np.int32)
        else:
            inputs = {"boxes": boxes, "scores": scores, "classes": classes}
            target = require_out("out", out, np.int32, (self._max_boxes,), **inputs)
        if gpu:
            launch(self._kernel, boxes, scores, classes, target, stream=stream)
            return out
        count: int = self._kernel.run(boxes, scores, classes, target)
        return out[:count]
