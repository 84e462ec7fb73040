"""A spinning laser scanner: exact ranges along a few lines of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..material_sampling import Rng
from ..raycast import Hits

__all__ = ["LINES", "scan"]

LINES = 32  # of the scanner, over the height of the picture
MAX_RANGE_M = 20.0
_NOISE_M = 0.01
_LOST = 0.05  # share of readings that do not come back


def scan(hits: Hits, rng: Rng) -> NDArray[np.float32]:
    """Range along each ray of the scanner, sorted into the pixels of the picture.

    The scanner stands where the camera does, a little turned every time, so that its
    lines are now in these rows, now in those.

    Args:
        hits: What the camera's rays met.
        rng: Places of the lines, noise and lost readings are drawn from it.

    Returns:
        Metres, shape ``(H, W)``, float32, 0 where there is no reading: in two of three
        pixels.
    """
    height, width = hits.depth.shape
    rays = hits.rays
    ranges = hits.depth * np.sqrt(1 + rays.a[None, :] ** 2 + rays.b[:, None] ** 2)
    ranges += rng.standard_normal(ranges.shape, np.float32) * np.float32(_NOISE_M)
    rows = (np.arange(LINES) + rng.uniform()) * height / LINES
    # Lines of a scanner that is not quite level rise or sink across the picture.
    slope = rng.normal(0.0, 0.01)
    columns = np.arange(width)
    at = rows[:, None] + slope * (columns - width / 2)
    read = (at >= 0) & (at < height) & (rng.random(at.shape) >= _LOST)
    y, x = at[read].astype(np.intp), np.broadcast_to(columns, at.shape)[read]
    sparse = np.zeros((height, width), np.float32)
    sparse[y, x] = np.where(ranges[y, x] <= MAX_RANGE_M, ranges[y, x], 0)
    return sparse
