"""Of boxes that overlap the best: ONNX's NonMaxSuppression, number for number."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["overlaps", "suppress"]

_BLOCK = 64


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.intp],
    threshold: float,
) -> NDArray[np.intp]:
    """Which boxes stay, class by class: best first, of equal scores the lower index.

    Args:
        boxes: (N, 4) finite corners; either corner may come first.
        scores: (N,) without NaN.
        classes: (N,) what each box shows; only boxes of one class are compared.
        threshold: A box goes if a better one that stays overlaps it by more.

    Returns:
        Indices into these, by score, then by index.
    """
    order = np.lexsort((np.arange(len(scores)), -scores, classes))
    starts = np.flatnonzero(np.diff(classes[order])) + 1
    kept = [group[_stays(boxes[group], threshold)] for group in np.split(order, starts)]
    found = np.concatenate(kept)
    return np.asarray(found[np.lexsort((found, -scores[found]))])


def _stays(boxes: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Of boxes of one class, the best first.

    A block of them at a time is compared with itself, then what stays of it with all
    that comes after it: as many comparisons as one by one, in a tenth of the calls.
    """
    sides, areas = _sides(boxes)
    limit, left = np.float32(threshold), np.ones(len(boxes), bool)

    def beaten(better: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
        first = _Sides(*(side[better, None] for side in sides))
        second = _Sides(*(side[others] for side in sides))
        share = _share(first, areas[better, None], second, areas[others])
        return np.asarray(share > limit)

    with np.errstate(all="ignore"):
        for start in range(0, len(boxes), _BLOCK):
            block = np.flatnonzero(left[start : start + _BLOCK]) + start
            within = beaten(block, block)
            for at in range(len(block)):
                if left[block[at]]:
                    left[block[at + 1 :][within[at, at + 1 :]]] = False
            rest = np.flatnonzero(left[start + _BLOCK :]) + start + _BLOCK
            if rest.size:
                kept = block[left[block]]
                left[rest[beaten(kept, rest).any(0)]] = False
    return np.flatnonzero(left)


def overlaps(
    box: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The areas that others (N, 4) share with a box, over their unions; float32.

    0 for boxes without an area.
    """
    (one, area), (sides, areas) = _sides(box[None]), _sides(others)
    with np.errstate(all="ignore"):
        return _share(_Sides(*(side[0] for side in one)), area[0], sides, areas)


class _Sides(NamedTuple):
    """Of boxes: the lower and the higher of each side."""

    left: Any
    top: Any
    right: Any
    bottom: Any


def _sides(boxes: NDArray[np.float32]) -> tuple[_Sides, NDArray[np.float32]]:
    low = np.minimum(boxes[:, :2], boxes[:, 2:]).T.copy()
    high = np.maximum(boxes[:, :2], boxes[:, 2:]).T.copy()
    with np.errstate(over="ignore"):
        return _Sides(*low, *high), (high[0] - low[0]) * (high[1] - low[1])


def _share(one: _Sides, area: Any, others: _Sides, areas: Any) -> NDArray[np.float32]:
    wide = np.minimum(one.right, others.right) - np.maximum(one.left, others.left)
    high = np.minimum(one.bottom, others.bottom) - np.maximum(one.top, others.top)
    # Of boxes that do not meet nothing; of those without an area nothing either.
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    share = shared / (area + areas - shared)
    return np.asarray(np.where(shared > 0, share, np.float32(0)))
