"""Arrays on the pretend GPU, as another library would hand them to fuseg."""

from __future__ import annotations

from typing import Any

import numpy as np

from .machine import Machine
from .memory import span, view


class OnMachine:
    """A copy of ``array`` in memory of its own, strides and all. It has the CUDA Array
    Interface; `numpy` looks at it without waiting for anything."""

    def __init__(
        self, machine: Machine, array: np.ndarray, pinned: bool = False
    ) -> None:
        low, end = span(0, array.shape, array.itemsize, array.strides)
        take = machine.allocate_pinned if pinned else machine.allocate
        self.base = take(end - low)
        self._layout = (self.base - low, array.shape, array.dtype, array.strides)
        self.numpy()[...] = array
        self.stream: int | None = None

    @property
    def address(self) -> int:
        return self._layout[0]

    def numpy(self) -> np.ndarray:
        return view(*self._layout)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        address, shape, dtype, strides = self._layout
        return {
            "shape": shape,
            "typestr": dtype.str,
            "data": (address, False),
            "strides": strides,
            "version": 3,
            "stream": self.stream,
        }
