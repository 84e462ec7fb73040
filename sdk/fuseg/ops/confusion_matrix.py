from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import require_dtype, require_whole
from ..cuda.array_view import as_view, on_gpu
from ..cuda.launch import launch
from ..errors import ArgumentError, ShapeError
from .array_checks import require_array, require_one_of, require_out

__all__ = ["ConfusionMatrix", "confusion_matrix"]

_MOST_CLASSES = {np.dtype(np.uint8): 256, np.dtype(np.uint16): 4096}
_DTYPES = (np.uint8, np.uint16)
_MOST_PIXELS = 2**32 - 1


def confusion_matrix(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    *,
    classes: int,
    ignore: int | None = None,
    threads: int = 1,
    out: NDArray[np.int64] | None = None,
    stream: Any = None,
) -> NDArray[np.int64]:
    """Count the pixels of each pair of true and predicted label.

    Args:
        truth: True labels, any shape of one axis or more, uint8 or uint16,
            C-contiguous, below ``classes`` or ``ignore``. At most 2**32 - 1 pixels;
            several images may be counted into the same ``out``.
        prediction: Predicted labels, shape and dtype of ``truth``, C-contiguous,
            below ``classes`` wherever the truth is not ``ignore``. A prediction
            that says ``ignore`` for a pixel whose truth is known is refused too: what
            it is worth is the caller's decision. Give such pixels a class of their
            own to count them as wrong, or set the truth to ``ignore`` there to leave
            them out.
        classes: Number of classes C, 1 to 256 for uint8, 1 to 4096 for uint16.
        ignore: True label of pixels that do not count, whatever is predicted there.
            It may be a class: its row stays as it was.
        threads: How many threads count, 1 to 64. The result does not depend on it.
        out: Counts to add to, shape ``(C, C)``, int64, C-contiguous, not sharing
            memory with the labels: those of the images before. New ones, from 0, if
            omitted.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`.

    Returns:
        Counts, shape ``(C, C)``, int64; rows are the truth, columns the prediction.
        This is ``out`` itself if ``out`` was given.

    Raises:
        ShapeError: ``truth`` has no axis, no pixel or too many, ``prediction`` has
            another shape, or ``out`` is not ``(C, C)``.
        LayoutError: An array is a strided view.
        DTypeError: ``truth`` is neither uint8 nor uint16, ``prediction`` is of another
            dtype, or ``out`` is not int64.
        ArgumentError: A label is out of its range (``out`` is left as it was),
            ``classes``, ``ignore`` or ``threads`` is, or ``out`` is read-only or
            shares memory with the labels.

    Example:
        >>> truth = np.array([[0, 1, 1, 255]], dtype=np.uint8)
        >>> prediction = np.array([[0, 0, 1, 1]], dtype=np.uint8)
        >>> confusion_matrix(truth, prediction, classes=2, ignore=255)
        array([[1, 0],
               [1, 1]])

    Source:
        Definition: ``numpy.add.at(out, (truth[known], prediction[known]), 1)`` with
        ``known = truth != ignore``.
    """
    truth = as_view("truth", truth)
    axes = ("N",) * max(truth.ndim, 1)
    require_one_of("truth", truth, _DTYPES, axes)
    count = ConfusionMatrix(
        truth.dtype, classes=classes, ignore=ignore, threads=threads
    )
    return count(truth, prediction, out=out, stream=stream)


class ConfusionMatrix:
    """`confusion_matrix` for many images.

    Settings are checked once; scratch memory is kept while images have the same shape.
    One object serves one caller at a time.

    Args:
        dtype: Element type of the labels.
        classes, ignore, threads: See `confusion_matrix`.

    Attributes:
        classes: Number of classes.

    Raises:
        DTypeError, ArgumentError: As `confusion_matrix`.

    Example:
        >>> count = ConfusionMatrix(np.uint8, classes=2, ignore=255)
        >>> counts = np.zeros((2, 2), np.int64)
        >>> for labels in ([0, 1, 255], [1, 1, 1]):
        ...     truth = np.array(labels, np.uint8)
        ...     counts = count(truth, np.ones(3, np.uint8), out=counts)
        >>> counts
        array([[0, 1],
               [0, 4]])
    """

    def __init__(
        self,
        dtype: np.typing.DTypeLike,
        *,
        classes: int,
        ignore: int | None = None,
        threads: int = 1,
    ) -> None:
        self._dtype = require_dtype("dtype", dtype, tuple(_DTYPES))
        largest = int(np.iinfo(self._dtype).max)
        self.classes = require_whole("classes", classes, 1, _MOST_CLASSES[self._dtype])
        self._ignore = (
            -1 if ignore is None else require_whole("ignore", ignore, 0, largest)
        )
        self._threads = require_whole("threads", threads, 1, 64)
        self._kernel = self._kernel_for((1,))

    def __call__(
        self,
        truth: NDArray[Any],
        prediction: NDArray[Any],
        *,
        out: NDArray[np.int64] | None = None,
        stream: Any = None,
    ) -> NDArray[np.int64]:
        """Count one image; see `confusion_matrix`."""
        outside = None
        if stream is None:
            outside = self._kernel.run(truth, prediction, out)
        if outside is None:
            return self._checked(truth, prediction, out, stream)
        self._refuse(*outside)
        return out  # type: ignore[return-value]  # the kernel takes no None

    def _checked(
        self, truth: Any, prediction: Any, out: NDArray[np.int64] | None, stream: Any
    ) -> NDArray[np.int64]:
        truth = as_view("truth", truth)
        axes = ("N",) * max(truth.ndim, 1)
        require_array("truth", truth, self._dtype, axes)
        prediction = require_array("prediction", prediction, self._dtype, truth.shape)
        if truth.size > _MOST_PIXELS:
            raise ShapeError(
                f"truth must have at most {_MOST_PIXELS} pixels, got {truth.size}: "
                "count it in parts, into the same out."
            )
        shape = (self.classes, self.classes)
        gpu = on_gpu(out, stream, truth=truth, prediction=prediction)
        if out is None:
            out = target = np.zeros(shape, np.int64)
        else:
            inputs = {"truth": truth, "prediction": prediction}
            target = require_out("out", out, np.int64, shape, **inputs)
        self._kernel = self._kernel_for(truth.shape)
        if gpu:
            launch(self._kernel, truth, prediction, target, stream=stream)
        else:
            self._refuse(*self._kernel.run(truth, prediction, target))
        return out

    def _kernel_for(self, shape: tuple[int, ...]) -> _kernels.ConfusionMatrix:
        return _kernels.ConfusionMatrix(
            shape=shape,
            dtype=self._dtype,
            classes=self.classes,
            ignore=self._ignore,
            threads=self._threads,
        )

    def _refuse(self, wrong_truth: int, wrong_prediction: int) -> None:
        """Raise if a label is out of its range; -1: none is."""
        if wrong_truth >= 0:
            unless = f", or ignore ({self._ignore})" if self._ignore >= 0 else ""
            raise ArgumentError(
                f"truth must be 0 to {self.classes - 1}{unless}, got {wrong_truth}."
            )
        if wrong_prediction >= 0:
            raise ArgumentError(
                f"prediction must be 0 to {self.classes - 1} where the truth counts, "
                f"got {wrong_prediction}."
            )
