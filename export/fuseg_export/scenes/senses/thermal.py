"""A thermal camera: a scene of named things as it sees their heat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..material_sampling import Rng
from ..things import Attributes
from .blur import blurred

__all__ = ["KELVIN", "measure_heat"]

KELVIN = 0.01  # a step of the camera's values
_NOISE_K = 0.5
_ZERO_C = 273.15

# How much of its own heat a thing of each kind sends out; the rest of what is seen of
# it is the room's, mirrored. Crates are of wood, balls of rubber, slabs of stone; drums
# and posts of painted metal.
_EMISSIVITY = (0.92, 0.95, 0.75, 0.75, 0.93)


def measure_heat(
    instances: NDArray[np.uint8], things: Sequence[Attributes], rng: Rng
) -> NDArray[np.uint16]:
    """Look at a scene with an uncooled thermal camera.

    Hot things are 34 to 45 degrees Celsius, all others and the room 18 to 24.

    Args:
        instances: 0 for the room, else 1 + index into ``things``, shape ``(H, W)``.
        things: What they are.
        rng: Temperatures and noise are drawn from it.

    Returns:
        Apparent temperatures, shape ``(H, W)``, uint16, in steps of `KELVIN`.
    """
    room = rng.uniform(19.0, 23.0)
    seen = np.full(len(things) + 1, room, np.float32)
    for number, thing in enumerate(things, start=1):
        own = rng.uniform(34.0, 45.0) if thing.hot else rng.uniform(18.0, 24.0)
        emitted = _EMISSIVITY[thing.kind]
        seen[number] = emitted * own + (1 - emitted) * room
    heat = blurred(seen[instances])
    heat += rng.standard_normal(heat.shape, np.float32) * np.float32(_NOISE_K)
    steps: NDArray[np.uint16] = np.rint(
        (heat + np.float32(_ZERO_C)) / np.float32(KELVIN)
    ).astype(np.uint16)
    return steps
