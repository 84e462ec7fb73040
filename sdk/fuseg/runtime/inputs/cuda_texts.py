"""Texts of a network on a GPU: their ids are brought there when they change."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...backends.tensors import GpuTensor
from ...cuda import Device
from ...cuda.buffers import Buffers
from ...manifest import Manifest
from .text import Texts

__all__ = ["CudaTexts"]

NewIds = Mapping[str, NDArray[np.int64]]


class CudaTexts:
    """What the tensors of texts hold, for work on one stream.

    Args:
        tensors: The network's inputs, at their largest.
    """

    def __init__(
        self,
        manifest: Manifest,
        tensors: Mapping[str, GpuTensor],
        device: Device,
        buffers: Buffers,
        stream: int,
    ) -> None:
        self._device, self._stream = device, stream
        self._tensors = {entry.name: tensors[entry.tensor] for entry in manifest.texts}
        self._names = {entry.name: entry.tensor for entry in manifest.texts}
        self._resized = {
            entry.name: entry.tensor
            for entry in manifest.texts
            if manifest.tensors[entry.tensor].dimensions
        }
        self._pinned = {
            name: buffers.pinned(tensor.nbytes)
            for name, tensor in self._tensors.items()
        }
        self._held: dict[str, NDArray[np.int64]] = {}  # by input name

    def begin(self, texts: Mapping[str, Texts]) -> dict[str, NDArray[np.int64]]:
        """The ids that are not held, by input name.

        Until `taken` nobody knows what their tensors hold.
        """
        new = {
            name: found.ids
            for name, found in texts.items()
            if found.ids is not self._held.get(name)
        }
        for name in new:
            self._held.pop(name, None)
        return new

    def shapes(self, texts: Mapping[str, Texts]) -> dict[str, tuple[int, ...]]:
        """Of the tensors with a dimension, for these texts."""
        given = self._resized.items()
        return {n: texts[entry].ids.shape for entry, n in given if entry in texts}

    def names(self, new: NewIds) -> list[str]:
        """Of their tensors."""
        return [self._names[name] for name in new]

    def write(self, new: NewIds) -> None:
        """Put their copies on the stream, whose earlier work is done; never captured: a
        CUDA graph would write them every time."""
        for name, ids in new.items():
            tensor = self._tensors[name]
            pinned = self._pinned[name].array[: ids.size * tensor.dtype.itemsize]
            np.copyto(pinned.view(tensor.dtype).reshape(ids.shape), ids)
            self._device.upload(tensor.address, pinned, self._stream)

    def taken(self, new: NewIds) -> None:
        """The copies are on the stream, and what reads them."""
        self._held |= new

    def forget(self) -> None:
        """Nobody knows what was copied."""
        self._held.clear()
