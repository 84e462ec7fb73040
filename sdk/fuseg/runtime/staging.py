"""Pinned memory on the CPU, each piece with its copy on the GPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cuda import Device, Pinned
from ..cuda.array_view import CudaArrayView, view_at
from ..cuda.buffers import Buffers

__all__ = ["Staging"]

_MOST_VIEWS = 32


class _Piece(NamedTuple):
    pinned: Pinned
    address: int  # of the copy; on an integrated GPU, of the pinned memory itself


class Staging:
    """Buffers by name, on the way to a GPU and back.

    Args:
        on_change: Called before an address that was handed out becomes invalid.
    """

    def __init__(
        self,
        device: Device,
        buffers: Buffers,
        stream: int,
        on_change: Callable[[], None],
    ) -> None:
        self._device, self._buffers, self._stream = device, buffers, stream
        self._on_change = on_change
        self._pieces: dict[str, _Piece] = {}
        self._views: dict[object, NDArray[Any]] = {}

    def reserve(self, name: str, size: int) -> None:
        """See that there are ``size`` bytes."""
        piece = self._pieces.get(name)
        if piece is not None and len(piece.pinned.array) >= size:
            return
        if piece is not None:
            self._on_change()
            self._views.clear()
            del self._pieces[name]  # before it is given back: nobody finds it half gone
            self._buffers.drop(piece.pinned)
            if not _is_shared(piece):
                self._buffers.drop(piece.address)
        pinned = self._buffers.pinned(size)
        if self._device.properties.integrated:  # it reads the CPU's memory itself
            address = pinned.address
        else:
            address = self._buffers.memory(size)
        self._pieces[name] = _Piece(pinned, address)

    def on_cpu(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """The pinned memory as an array."""
        found = self._views.get((name, shape, dtype))
        if found is None:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            found = self._pieces[name].pinned.array[:size].view(dtype).reshape(shape)
            if len(self._views) == _MOST_VIEWS:
                self._views.clear()
            self._views[name, shape, dtype] = found
        return found

    def on_gpu(self, name: str, shape: tuple[int, ...], dtype: Any) -> CudaArrayView:
        """Its copy on the GPU."""
        return view_at(self._pieces[name].address, shape, dtype)

    def upload(self, name: str, size: int) -> None:
        """Put the copy of the first bytes to the GPU on the stream."""
        piece = self._pieces[name]
        if not _is_shared(piece):
            array = piece.pinned.array[:size]
            self._device.upload(piece.address, array, self._stream)

    def download(self, name: str, size: int, address: int | None = None) -> None:
        """Put the copy of the first bytes from the GPU on the stream.

        Args:
            address: Where they come from, if not from the copy of this name.
        """
        piece = self._pieces[name]
        if address is None and _is_shared(piece):
            return
        source = piece.address if address is None else address
        self._device.download(piece.pinned.array[:size], source, self._stream)


def _is_shared(piece: _Piece) -> bool:
    return piece.address == piece.pinned.address
