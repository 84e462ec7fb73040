"""A GPU through fuseg's own CUDA module."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import launch
from .device import (
    DeviceProperties,
    Pinned,
    device_error,
    out_of_memory,
    out_of_pinned,
    require_bytes,
    require_dense,
    version_text,
)
from .graphs import GraphCalls

__all__ = ["NativeDevice", "count", "why_none"]


def count() -> int:
    """How many GPUs CUDA shows to the process.

    Raises:
        BackendError: There is no driver, or no CUDA module.
    """
    return int(launch.kernels().device_count())


def why_none() -> str:
    """What CUDA says where `count` is 0."""
    try:
        launch.kernels().current_device()
    except RuntimeError as err:
        return str(err)
    return "the driver reports no error"


class NativeDevice(GraphCalls):
    """`fuseg.cuda.Device` through ``fuseg._kernels_cuda``.

    ``active`` makes the GPU's primary context current. Where the thread had another one
    than its GPU's primary one, that is not current again afterwards: CUDA's runtime,
    which the module speaks to, does not know it.
    """

    name = "native"

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        self._cuda: ModuleType = launch.kernels()
        try:
            found = self._cuda.device_properties(ordinal)
        except RuntimeError as err:
            raise device_error("nothing is known", ordinal, err) from err
        self.properties = DeviceProperties(
            found["name"],
            tuple(found["capability"]),
            found["memory_bytes"],
            found["integrated"],
            version_text(found["driver_version"]),
        )

    @contextmanager
    def active(self) -> Iterator[None]:
        try:
            before = self._cuda.current_device()
            self._cuda.use_device(self.ordinal)
        except RuntimeError as err:
            raise device_error("no work is possible", self.ordinal, err) from err
        try:
            yield
        finally:
            if before != self.ordinal:
                self._cuda.use_device(before)

    def allocate(self, size: int) -> int:
        require_bytes(size)
        try:
            return int(self._cuda.allocate(size))
        except MemoryError as err:
            raise out_of_memory(size, self) from err
        except RuntimeError as err:
            raise device_error("no memory was given", self.ordinal, err) from err

    def free(self, address: int) -> None:
        self._do("memory was not taken back", "free", address)

    def pinned(self, size: int) -> Pinned:
        require_bytes(size)
        try:
            host, address = self._cuda.allocate_pinned(size)
        except MemoryError as err:
            raise out_of_pinned(size, self) from err
        except RuntimeError as err:
            raise device_error("no memory was locked", self.ordinal, err) from err
        block = (ctypes.c_uint8 * size).from_address(host)
        return Pinned(np.ctypeslib.as_array(block), address)

    def free_pinned(self, pinned: Pinned) -> None:
        host = pinned.array.ctypes.data
        self._do("locked memory was not taken back", "free_pinned", host)

    def create_stream(self) -> int:
        return int(self._do("no stream was made", "create_stream"))

    def destroy_stream(self, stream: int) -> None:
        self._do("the stream was not destroyed", "destroy_stream", stream)

    def upload(self, to: int, source: NDArray[Any], stream: int) -> None:
        require_dense("source", source)
        self.copy(to, source.ctypes.data, source.nbytes, stream)

    def download(self, to: NDArray[Any], source: int, stream: int) -> None:
        require_dense("to", to)
        self.copy(to.ctypes.data, source, to.nbytes, stream)

    def copy(self, to: int, source: int, size: int, stream: int) -> None:
        self._do("nothing was copied", "copy", to, source, size, stream)

    def synchronize(self, stream: int) -> None:
        self._do("the work of a stream failed", "synchronize", stream)

    def stream_wait(self, later: int, earlier: int) -> None:
        launch.stream_wait(later, earlier)

    def memory(self) -> tuple[int, int]:
        free, total = self._do("the free memory is not known", "memory_info")
        return free, total

    def _do(self, what: str, call: str, *arguments: int) -> Any:
        try:
            return getattr(self._cuda, call)(*arguments)
        except (MemoryError, RuntimeError) as err:
            raise device_error(what, self.ordinal, err) from err
