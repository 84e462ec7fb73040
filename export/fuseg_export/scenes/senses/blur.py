"""The blur of a cheap lens."""

from __future__ import annotations

import numpy as np

from ..materials import Floats

__all__ = ["blurred"]


def blurred(image: Floats) -> Floats:
    """Each pixel's mean with its four neighbours, itself twice; the rim repeats.

    Args:
        image: Shape ``(H, W)``, float32.
    """
    padded = np.pad(image, 1, mode="edge")
    total = 2 * padded[1:-1, 1:-1] + padded[:-2, 1:-1] + padded[2:, 1:-1]
    total += padded[1:-1, :-2] + padded[1:-1, 2:]
    return np.asarray(total / np.float32(6), np.float32)
