"""How well labels agree: with the truth, or with each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DTypeError, ShapeError

__all__ = [
    "confusion",
    "f1",
    "iou",
    "label_agreement",
    "miou",
    "pixel_accuracy",
    "precision",
    "recall",
]


def confusion(
    truth: NDArray[Any], prediction: NDArray[Any], classes: int, ignore: int
) -> NDArray[np.int64]:
    """Count the pixels of each pair of true and predicted class.

    Args:
        truth: True labels, any shape, an integer dtype, 0 to ``classes - 1``, or
            ``ignore`` where there is no truth: those pixels are not counted.
        prediction: Labels of the same shape, an integer dtype, 0 to
            ``classes - 1`` wherever the truth is not ``ignore``.
        classes: Number of classes C, at least 1.
        ignore: The label of no class; may be an index below C, whose pixels are
            then left out.

    Returns:
        Counts, shape ``(C, C)``, int64; rows are the truth, columns the
        prediction. Those of several frames may be added.

    Raises:
        ShapeError: The two have different shapes.
        DTypeError: One is no integer array.
        ArgumentError: A label is out of its range, or ``classes`` is below 1.

    Example:
        >>> confusion(np.array([0, 1, 255]), np.array([1, 1, 0]), 2, 255)
        array([[0, 1],
               [0, 1]])
    """
    _require_labels("truth", truth)
    _require_labels("prediction", prediction)
    _require_same_shape("prediction", prediction, truth)
    if classes < 1:
        raise ArgumentError(f"classes must be at least 1, got {classes}.")
    counted = truth != ignore
    rows, columns = truth[counted], prediction[counted]
    _require_range("truth", rows, classes, f", or ignore ({ignore})")
    _require_range("prediction", columns, classes, " where the truth counts")
    cells = rows.astype(np.int64) * classes + columns
    counts = np.bincount(cells, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def iou(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide, for each class, the pixels in both by the pixels in either.

    Args:
        confusion: Counts, shape ``(C, C)``, as `confusion` gives them.

    Returns:
        Intersection over union, shape ``(C,)``, float64, 0 to 1; NaN for a class
        that occurs in neither truth nor prediction.

    Raises:
        ShapeError: It is not square.

    Example:
        >>> iou(np.array([[3, 1], [0, 0]]))
        array([0.75, 0.  ])
    """
    both = _diagonal(confusion)
    return _shares(both, confusion.sum(axis=0) + confusion.sum(axis=1) - both)


def precision(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the pixels labelled as each class that are of it.

    Args:
        confusion: Counts, shape ``(C, C)``, as `confusion` gives them.

    Returns:
        Shape ``(C,)``, float64, 0 to 1; NaN for a class that no pixel is labelled as.

    Raises:
        ShapeError: It is not square.

    Example:
        >>> precision(np.array([[3, 1], [0, 0]]))
        array([1., 0.])
    """
    return _shares(_diagonal(confusion), confusion.sum(axis=0))


def recall(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the pixels of each class that are labelled as it.

    Args, Returns and Raises are those of `precision`; NaN for a class that is not in
    the truth.

    Example:
        >>> recall(np.array([[3, 1], [0, 0]]))
        array([0.75,  nan])
    """
    return _shares(_diagonal(confusion), confusion.sum(axis=1))


def f1(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """The harmonic mean of `precision` and `recall` of each class, or the Dice score.

    Args, Returns and Raises are those of `iou`.

    Example:
        >>> f1(np.array([[3, 1], [0, 0]])).round(3)
        array([0.857, 0.   ])
    """
    both = _diagonal(confusion)
    return _shares(2 * both, confusion.sum(axis=0) + confusion.sum(axis=1))


def pixel_accuracy(confusion: NDArray[np.int64]) -> float:
    """Share of the counted pixels whose label is the true one.

    Raises:
        ShapeError: It is not square.
        ArgumentError: It counts no pixel.
    """
    right = float(_diagonal(confusion).sum())
    if not confusion.any():
        raise ArgumentError("confusion must count at least one pixel, got none.")
    return right / float(confusion.sum())


def _diagonal(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    if confusion.ndim != 2 or confusion.shape[0] != confusion.shape[1]:
        raise ShapeError(f"confusion must have shape (C, C), got {confusion.shape}.")
    return np.diagonal(confusion).astype(np.float64)


def _shares(part: NDArray[np.float64], whole: NDArray[Any]) -> NDArray[np.float64]:
    values = np.full(part.shape, np.nan)
    np.divide(part, whole, out=values, where=whole > 0)
    return values


def miou(confusion: NDArray[np.int64]) -> float:
    """Average `iou` over the classes that occur in the truth or the prediction.

    Raises:
        ShapeError: It is not square.
        ArgumentError: It counts no pixel, so there is nothing to average.
    """
    values = iou(confusion)
    occurring = values[~np.isnan(values)]
    if not occurring.size:
        raise ArgumentError("confusion must count at least one pixel, got none.")
    return float(occurring.mean())


def label_agreement(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the share of pixels, 0 to 1, that have the same label in both.

    Raises:
        ShapeError: The two have different shapes.
        DTypeError: One is no integer array.
        ArgumentError: They are empty, so there is nothing to compare.
    """
    _require_labels("a", a)
    _require_labels("b", b)
    _require_same_shape("b", b, a)
    if not a.size:
        raise ArgumentError(f"a must have at least one pixel, got shape {a.shape}.")
    return float(np.count_nonzero(a == b) / a.size)


def _require_labels(name: str, labels: Any) -> None:
    if not isinstance(labels, np.ndarray):
        raise DTypeError(f"{name} must be a NumPy array, got {type(labels).__name__}.")
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"{name} must hold integers, got {labels.dtype}.")


def _require_same_shape(name: str, labels: NDArray[Any], like: NDArray[Any]) -> None:
    if labels.shape != like.shape:
        raise ShapeError(f"{name} must have shape {like.shape}, got {labels.shape}.")


def _require_range(
    name: str, labels: NDArray[Any], classes: int, condition: str
) -> None:
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        worst = labels.max() if labels.max() >= classes else labels.min()
        raise ArgumentError(
            f"{name} must be 0 to {classes - 1}{condition}, got {worst}."
        )
