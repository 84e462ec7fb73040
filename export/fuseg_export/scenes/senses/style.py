"""Another domain: the same scenes as a very different camera shows them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..material_sampling import Rng
from .blur import blurred

__all__ = ["negative"]

_GREY = (0.5, 0.35, 0.15)
_TINT = (0.7, 1.0, 0.55)
_NOISE = 12.0


def negative(color: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """A blurred, noisy, greenish negative without colours: style B.

    Args:
        color: RGB, shape ``(H, W, 3)``.
        rng: Source of the noise.

    Returns:
        The same shape, uint8.
    """
    grey = 255 - color.astype(np.float32) @ np.asarray(_GREY, np.float32)
    dark = 255 * (blurred(grey) / 255) ** np.float32(1.5)
    dark += rng.standard_normal(dark.shape, np.float32) * np.float32(_NOISE)
    tinted = dark[..., None] * np.asarray(_TINT, np.float32)
    return np.asarray(np.clip(tinted, 0, 255), np.uint8)
