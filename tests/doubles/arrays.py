"""Arrays on the pretend GPU, as another library would hand them to fuseg."""

from __future__ import annotations

from typing import Any

import numpy as np

from .machine import Machine
from .memory import span, view


class OnMachine:
    """A copy of ``array`` in memory of its own, strides and all.

    Like PyTorch's it has version 2 of the CUDA Array Interface, which names no stream,
    and DLPack, which lets other streams wait for ``stream``, its owner's current one.
    ``asked``: the streams that did, and the thread's device. `numpy` looks at it
    without waiting for anything.
    """

    def __init__(
        self,
        machine: Machine,
        array: np.ndarray,
        pinned: bool = False,
        stream: int = 1,
    ) -> None:
        low, end = span(0, array.shape, array.itemsize, array.strides)
        take = machine.allocate_pinned if pinned else machine.allocate
        self.machine, self.base = machine, take(end - low)
        self._layout = (self.base - low, array.shape, array.dtype, array.strides)
        self.numpy()[...] = array
        self.stream, self.asked = stream, list[tuple[int, int]]()

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
            "version": 2,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, *, stream: int) -> Any:
        if stream != -1:
            self.asked.append((stream, self.machine.current_device()))
        if stream not in (-1, self.stream):
            self.machine.stream_wait(stream, self.stream)
        return self.numpy().__dlpack__()
