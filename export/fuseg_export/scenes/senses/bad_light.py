"""Light that a colour camera sees little in: the dark, and a lamp that blinds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..material_sampling import Rng

__all__ = ["badly_lit"]

_DARK, _BLINDED = 0.4, 0.2  # shares of frames
_PHOTONS = (2.0, 30.0)  # that a white pixel counts in the dark
_READ_NOISE = 2.0  # photons
_GLARE = (0.3, 1.5)  # light that the lens scatters, 1 is white
_HALO = 0.35  # of the lamp, in heights of the picture


def badly_lit(color: NDArray[np.uint8], rng: Rng) -> NDArray[np.uint8]:
    """Photograph some scenes in the dark, or with a lamp shining into the lens.

    In the dark the camera turns its gain up: what is as bright as by day is of a few
    photons, so it is noise for the most part. A lamp scatters light over the picture,
    most around itself, where nothing else is left.

    Args:
        color: RGB by day, shape ``(H, W, 3)``.
        rng: How it is lit, and the noise, are drawn from it.

    Returns:
        The same shape, uint8; four of ten pictures are as they were.
    """
    fate = rng.random()
    light = (color.astype(np.float32) / 255) ** 2  # as `photograph` codes it
    if fate < _DARK:
        photons = np.exp(rng.uniform(*np.log(_PHOTONS)))
        counted = rng.poisson(light * photons)
        light = (counted + _READ_NOISE * rng.standard_normal(light.shape)) / photons
    elif fate < _DARK + _BLINDED:
        height, width = color.shape[:2]
        y, x = rng.uniform(0, height), rng.uniform(0, width)
        rows, columns = np.ogrid[:height, :width]
        away = np.hypot(rows - y, columns - x) / (_HALO * height)
        light += (rng.uniform(*_GLARE) / (0.2 + away**2))[..., None]
    else:
        return color
    coded = np.sqrt(np.clip(light, 0, 1)) * 255 + 0.5
    return np.asarray(coded, np.uint8)
