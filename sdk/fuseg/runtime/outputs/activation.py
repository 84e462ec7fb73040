"""Scores of a network's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["activated"]


def activated(values: NDArray[Any], activation: str) -> NDArray[Any]:
    """The scores, in the dtype of ``values``, which are finite or -infinity.

    Args:
        values: Floats; the last axis is the classes.
        activation: ``softmax`` over the last axis, ``sigmoid`` or ``none``.
    """
    if activation == "sigmoid":
        half = values.dtype.type(0.5)
        return np.asarray(half + half * np.tanh(half * values))  # does not overflow
    if activation == "softmax":
        powers = np.exp(values - values.max(-1, keepdims=True))
        return np.asarray(powers / powers.sum(-1, keepdims=True))
    return values
