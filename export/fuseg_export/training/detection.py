"""Average precision of boxes, and boxes around the connected parts of labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..outputs.boxes import overlap
from ..scenes.things import boxes_of

__all__ = ["Detection", "average_precision", "components"]

Corners = tuple[float, float, float, float]


class Detection(NamedTuple):
    """A box x0, y0, x1, y1, its class, and how sure it is; 1 of the truth."""

    corners: Corners
    label: int
    score: float = 1.0


def average_precision(
    found: Sequence[Sequence[Detection]],
    truth: Sequence[Sequence[Detection]],
    label: int,
    least_overlap: float = 0.5,
) -> float:
    """The area under the curve of precision over recall of a class.

    The boxes of all frames are gone through by falling score. One is right if, of the
    boxes of its frame and class that no better one has taken, the one that overlaps it
    most does so by ``least_overlap``. Precision at a recall is the best one at that
    or any higher recall.

    Args:
        found: For each frame, what was found.
        truth: For each frame, what is there.
        label: The class; NaN if the truth has none of it.

    Source: Everingham et al., *The PASCAL VOC Challenge: A Retrospective*, 2015,
    section 3.2, with the area of all points.
    """
    wanted = [[d.corners for d in frame if d.label == label] for frame in truth]
    total = sum(map(len, wanted))
    if not total:
        return float("nan")
    ranked = sorted(
        ((d.score, i, d.corners) for i, f in enumerate(found) for d in f
         if d.label == label),
        key=lambda entry: -entry[0],
    )  # fmt: skip
    right = np.zeros(len(ranked))
    for rank, (_, frame, corners) in enumerate(ranked):
        shares = [overlap(corners, other) for other in wanted[frame]]
        if shares and max(shares) >= least_overlap:
            right[rank] = 1
            del wanted[frame][int(np.argmax(shares))]
    recall = np.cumsum(right) / total
    precision = np.cumsum(right) / np.arange(1, len(ranked) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def components(labels: NDArray[np.integer[Any]]) -> list[Detection]:
    """A box around every connected part of every class but 0, if it is large enough.

    Pixels are connected by their sides. Larger parts are the surer. The class of label
    1 is 0.
    """
    found = []
    for label in np.unique(labels[labels > 0]):
        parts = _connected(labels == label)
        for box in boxes_of(parts):
            share = float(np.mean(parts == box.thing))
            corners = (box.left, box.top, box.right, box.bottom)
            found.append(Detection(corners, int(label) - 1, share))
    return found


def _connected(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Numbers of the connected parts of a mask from 1, 0 outside."""
    # Every pixel takes the largest number beside it, then that which the pixel of this
    # number has taken, until none changes.
    numbers = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        padded = np.pad(numbers, 1)
        most = numbers.copy()
        for beside in (
            padded[:-2, 1:-1],
            padded[2:, 1:-1],
            padded[1:-1, :-2],
            padded[1:-1, 2:],
        ):
            np.maximum(most, beside, out=most)
        most[~mask] = 0
        most = np.concatenate([[0], most.ravel()])[most]
        if np.array_equal(most, numbers):
            break
        numbers = most
    _, ranks = np.unique(numbers, return_inverse=True)
    ranked = ranks.reshape(mask.shape)
    return ranked if not mask.all() else ranked + 1
