"""Boxes around things, from the truth of every pixel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["MIN_PIXELS", "BoundingBox", "boxes_of"]

MIN_PIXELS = 20


class BoundingBox(NamedTuple):
    """The rectangle around the pixels of a thing.

    Attributes:
        thing: Its value in the labels.
        left, top: Its first column and row.
        right, bottom: The column and row after its last.
    """

    thing: int
    left: int
    top: int
    right: int
    bottom: int


def boxes_of(
    instances: NDArray[np.integer[Any]], min_pixels: int = MIN_PIXELS
) -> list[BoundingBox]:
    """The box of everything in sight, in the order of its numbers; 0 is nothing.

    Args:
        instances: Shape ``(H, W)``, at least one pixel.
        min_pixels: What has fewer is left out.
    """
    boxes = []
    counts = np.bincount(instances.ravel())
    for thing in np.flatnonzero(counts >= max(min_pixels, 1)):
        if thing == 0:
            continue
        rows, columns = np.nonzero(instances == thing)
        left, right = int(columns.min()), int(columns.max()) + 1
        boxes.append(
            BoundingBox(int(thing), left, int(rows.min()), right, int(rows.max()) + 1)
        )
    return boxes
