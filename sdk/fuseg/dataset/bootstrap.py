"""How sure a number is that was measured on frames: frames drawn anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["DRAWS", "LEVEL", "draws", "interval"]

DRAWS = 1000
LEVEL = 95  # per cent, of an interval


def draws(frames: int) -> Iterator[NDArray[np.int64]]:
    """`DRAWS` times the numbers of as many frames, drawn with replacement.

    The same for equal ``frames``, so that what is computed of them is paired.
    """
    random = np.random.default_rng(0)
    for _ in range(DRAWS):
        yield random.integers(0, frames, frames)


def interval(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """What `LEVEL` per cent of the values of all draws lie between."""
    tail = (100 - LEVEL) / 2
    low, high = np.percentile(values, (tail, 100 - tail))
    return float(low), float(high)
