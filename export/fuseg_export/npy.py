"""Arrays as members of a bundle."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["as_npy"]


def as_npy(array: NDArray[Any]) -> bytes:
    """The content of an ``.npy`` file."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()
