"""How well labels agree: with the truth, or with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DTypeError, ShapeError

__all__ = [
    "Score",
    "confusion",
    "f1",
    "iou",
    "label_agreement",
    "miou",
    "pixel_accuracy",
    "precision",
    "recall",
    "score",
]

_NAMED = 8  # classes that a warning names


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


@dataclass(frozen=True)
class Score:
    """How labels score on true ones, and what these numbers leave out.

    Attributes:
        pixels: How many were counted.
        ignored_pixels: How many of the truth were not, because they are of no class.
        ignored_share: Of all pixels of the truth, 0 to 1; None if there are none.
        miou: Over the classes that occur in the truth or in the labels; None if no
            pixel was counted, as is ``pixel_accuracy``.
        miou_classes: How many classes these are.
        pixel_accuracy: Share of the counted pixels whose label is the true one.
        iou: By class, None if it occurs in neither.
        absent: Classes that never occur in the truth.
        warnings: What makes the numbers doubtful, a sentence each.
    """

    pixels: int
    ignored_pixels: int
    ignored_share: float | None
    miou: float | None
    miou_classes: int
    pixel_accuracy: float | None
    iou: dict[str, float | None]
    absent: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The numbers as lines to print, each beside what it leaves out."""
        if self.miou is None or self.ignored_share is None:
            return ()
        total = len(self.iou)
        over = f"all {total} classes"
        if self.miou_classes < total:
            over = f"the {self.miou_classes} of {total} classes that occur"
        right = f"pixel accuracy {self.pixel_accuracy:.4f}"
        left_out = f"{self.ignored_share:.2%} of the truth's pixels are ignore"
        return f"mIoU {self.miou:.4f} over {over}   {right}", f"left out: {left_out}"


def score(
    confusion: NDArray[np.int64],
    ignored_pixels: int,
    classes: Sequence[str],
    ignore: int,
    *,
    mapped: bool = False,
) -> Score:
    """Turn counts into scores that say what they leave out.

    Args:
        confusion: Counts of all frames, shape ``(C, C)``, as `confusion` gives them.
        ignored_pixels: How many pixels of the truth were ``ignore``.
        classes: C names.
        ignore: The label of no class.
        mapped: Whether the user said what the ids in the truth's files mean; else
            files that look as if they meant something else are warned about.

    Raises:
        ShapeError: ``confusion`` is not square.
    """
    values = [None if np.isnan(v) else float(v) for v in iou(confusion)]
    pixels, right = int(confusion.sum()), int(np.trace(confusion))
    total = pixels + ignored_pixels
    known = confusion.sum(axis=1)
    absent = tuple(n for n, count in zip(classes, known, strict=True) if not count)
    occurring = [value for value in values if value is not None]
    found = Score(
        pixels=pixels,
        ignored_pixels=ignored_pixels,
        ignored_share=ignored_pixels / total if total else None,
        miou=float(np.mean(occurring)) if occurring else None,
        miou_classes=len(occurring),
        pixel_accuracy=right / pixels if pixels else None,
        iou=dict(zip(classes, values, strict=True)),
        absent=absent,
        warnings=(),
    )
    if not pixels:
        return found
    warnings = []
    convention = None
    if not mapped:
        convention = _other_convention(confusion, ignored_pixels, classes, ignore)
    if convention is not None:
        warnings.append(convention)
    elif ignored_pixels > total / 2:
        warnings.append(
            f"{ignored_pixels / total:.1%} of the truth's pixels are ignore and "
            "count nowhere."
        )
    if absent:
        names = ", ".join(absent[:_NAMED])
        more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
        warnings.append(
            f"{len(absent)} of {len(classes)} classes never occur in the truth: "
            f"{names}{more}."
        )
    return replace(found, warnings=tuple(warnings))


def _other_convention(
    confusion: NDArray[np.int64],
    ignored_pixels: int,
    classes: Sequence[str],
    ignore: int,
) -> str | None:
    """What the truth looks like if its ids are no class indices, and the way out."""
    known, count = confusion.sum(axis=1), len(classes)
    if count > 1 and ignore == 255 and ignored_pixels and not known[1:].any():
        marked = classes[1] if count == 2 else "CLASS"
        return (
            "the truth looks like a 0/255 mask: 255 means ignore here, so what the "
            "mask marks is left out; if it is a class, say which with --truth-map "
            f"FILE and the lines '0 = {classes[0]}' and '255 = {marked}'."
        )
    right, shifted = int(np.trace(confusion)), int(np.trace(confusion, offset=-1))
    if shifted > right:
        pixels = int(known.sum())
        return (
            f"the truth's ids look one too high: {shifted / pixels:.1%} of the labels "
            f"are the id minus one, {right / pixels:.1%} the id; if 0 means ignore, "
            "say so with --truth-map FILE and the lines '0 = ignore' and "
            f"'1-{count} = 0-{count - 1}'."
        )
    low = int(np.trace(confusion, offset=1))
    # Where the last id occurs, ids plus one would be of no class.
    mendable = ignore >= count and not known[-1] and np.count_nonzero(known) > 1
    if mendable and low > right:
        pixels = int(known.sum())
        return (
            f"the truth's ids look one too low: {low / pixels:.1%} of the labels are "
            f"the id plus one, {right / pixels:.1%} the id; if {classes[0]} has no id, "
            "say so with --truth-map FILE and the line "
            f"'0-{count - 2} = 1-{count - 1}'."
        )
    return None


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
