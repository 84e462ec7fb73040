"""Which pixels of a sensor a class depends on: hide them, and see what is lost."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError
from ..robustness import Spoiler, count_pixels, label_with, require_gone

if TYPE_CHECKING:
    from ..segmenter import Segmenter

__all__ = ["GRID", "occlusion"]

GRID = 9, 12  # rows and columns; a patch is two by two of these cells


def occlusion(
    segmenter: Segmenter,
    given: Mapping[str, Any],
    sensor: str,
    spoiler: Spoiler,
    label: int,
) -> NDArray[np.float64] | None:
    """Hide each patch of one sensor's frame, and see how much of a class is lost.

    A patch loses its readings: see `Spoiler.hide`. What is lost is 1 less the IoU of
    the class with what it was before; all of it where the frame is refused then.

    Args:
        segmenter: Loaded so that nothing is held; its states start anew each time.
        given: What it is given, by input name.
        sensor: Whose frame (H, W) or (H, W, planes) is hidden.
        spoiler: Of this sensor.
        label: Of the class.

    Returns:
        For each cell of the `GRID` the mean of the patches that cover it, 0 to 1; None
        if the class does not occur.

    Source:
        Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014.
    """
    require_gone(segmenter.manifest)
    names = [entry.name for entry in segmenter.manifest.sensors]
    segmenter.reset()
    before = label_with(segmenter, names, given, None)
    if isinstance(before, FrameError):
        raise before
    expected = (before == label).astype(np.uint8)
    if not expected.any():
        return None
    size = before.shape[0], before.shape[1]
    frame = np.asarray(given[sensor])
    rows, columns = (
        np.rint(np.linspace(0, side, cells + 1)).astype(int)
        for side, cells in zip(frame.shape[:2], GRID, strict=True)
    )
    lost, covered = np.zeros(GRID), np.zeros(GRID)
    for row, column in product(range(GRID[0] - 1), range(GRID[1] - 1)):
        patch = (
            slice(rows[row], rows[row + 2]),
            slice(columns[column], columns[column + 2]),
        )
        hidden = {**given, sensor: spoiler.hide(frame, patch)}
        segmenter.reset()
        labels = label_with(segmenter, names, hidden, size)
        if not isinstance(labels, FrameError):
            labels = (labels == label).astype(np.uint8)
        both, either = count_pixels(expected, labels, 2, ignore=2)[:, 1]
        cells = slice(row, row + 2), slice(column, column + 2)
        lost[cells] += 1 - both / either
        covered[cells] += 1
    return lost / covered
