"""What one owner took from a GPU; it goes back when the owner goes."""

from __future__ import annotations

import weakref
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError
from . import Device, Pinned

_LOST: list[object] = []  # kept from being given back by their own destructors


class Buffers:
    """Memory and streams of one owner, given back together.

    Methods are called while ``device`` is active.

    Args:
        users: What has work on the streams that needs it alive.
    """

    def __init__(self, device: Device, *users: object) -> None:
        self._device = device
        self._addresses: list[int] = []
        self._pinned: list[Pinned] = []
        self._streams: list[int] = []
        taken = (self._addresses, self._pinned, self._streams)
        # Their names in the finalizer let the users live until the work is done.
        close = weakref.finalize(self, _give_back, device, *taken, users)
        close.atexit = False  # the driver takes all back with the process

    def memory(self, size: int) -> int:
        """Address of ``size`` bytes on the GPU."""
        self._addresses.append(self._device.allocate(size))
        return self._addresses[-1]

    def pinned(self, size: int) -> Pinned:
        """``size`` bytes of page-locked memory."""
        self._pinned.append(self._device.pinned(size))
        return self._pinned[-1]

    def copy_of(self, array: NDArray[Any], stream: int, *, size: int = 0) -> int:
        """Address of memory that begins with a copy of an array.

        Args:
            size: Of the memory, in bytes, if it is larger.
        """
        pinned = self.pinned(array.nbytes)
        pinned.array[:] = array.reshape(-1).view(np.uint8)
        address = self.memory(max(size, array.nbytes))
        self._device.upload(address, pinned.array, stream)
        self._device.synchronize(stream)
        self.drop(pinned)
        return address

    def stream(self) -> int:
        self._streams.append(self._device.create_stream())
        return self._streams[-1]

    def drop(self, what: int | Pinned) -> None:
        """Give one of `memory` or `pinned` back; no work uses it any more."""
        if isinstance(what, Pinned):
            kept = [p for p in self._pinned if p.address != what.address]
            self._pinned[:] = kept
            self._device.free_pinned(what)
        else:
            self._addresses.remove(what)
            self._device.free(what)


def _give_back(
    device: Device,
    addresses: list[int],
    pinned: list[Pinned],
    streams: list[int],
    users: tuple[object, ...],
) -> None:
    try:
        with device.active():
            for stream in streams:
                device.synchronize(stream)
    except DeviceError:  # it is lost, and what may still be in use stays as it is
        _LOST.append((device, users))
        return
    with suppress(DeviceError), device.active():
        for address in addresses:
            device.free(address)
        for each in pinned:
            device.free_pinned(each)
        for stream in streams:
            device.destroy_stream(stream)
