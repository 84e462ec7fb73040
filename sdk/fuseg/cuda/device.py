"""What fuseg asks of one GPU besides kernels: memory, streams, copies, graphs."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .._check import require_whole
from ..errors import DeviceError, DeviceMemoryError, LayoutError

_MOST_BYTES = 1 << 48


@dataclass(frozen=True)
class DeviceProperties:
    """What one GPU is.

    Attributes:
        name: As its maker calls it.
        capability: Compute capability, ``(major, minor)``.
        memory_bytes: All of its memory.
        integrated: Whether it shares the CPU's memory, as on a Jetson.
        driver: The newest CUDA that the driver knows, like ``"12.6"``.
    """

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    integrated: bool
    driver: str


class Pinned(NamedTuple):
    """Page-locked memory: copies from and to it need not wait for the CPU.

    Attributes:
        array: Shape ``(size,)``, uint8.
        address: Where the GPU sees it.
    """

    array: NDArray[np.uint8]
    address: int


class Device(Protocol):
    """One GPU. Addresses are numbers; streams are the numbers CUDA knows them by.

    All methods but `active` are called inside ``with device.active():``, on any thread.

    Every method raises `DeviceError` for what the GPU refuses; a fault in work that was
    queued may be raised by a later call.

    Attributes:
        name: ``"pycuda"`` or ``"native"``.
        ordinal: Which GPU, from 0, among those that CUDA shows to the process.
        properties: What it is.
    """

    @property
    def name(self) -> str: ...
    @property
    def ordinal(self) -> int: ...
    @property
    def properties(self) -> DeviceProperties: ...

    def active(self) -> AbstractContextManager[None]:
        """Make this GPU the calling thread's; later that is the one from before."""

    def allocate(self, size: int) -> int:
        """Take ``size`` bytes, 1 or more, on the GPU; the address is a multiple of 256.

        Raises:
            DeviceMemoryError: There is not as much left.
        """

    def free(self, address: int) -> None:
        """Give back what `allocate` gave. No work that is queued may still use it."""

    def pinned(self, size: int) -> Pinned:
        """Lock ``size`` bytes, 1 or more, of the CPU's memory for copies and kernels.

        Raises:
            DeviceMemoryError: As much cannot be locked.
        """

    def free_pinned(self, pinned: Pinned) -> None:
        """Give back what `pinned` gave. Its array must not be touched any more."""

    def create_stream(self) -> int:
        """Make a stream that does not wait for the default stream."""

    def destroy_stream(self, stream: int) -> None:
        """Destroy what `create_stream` gave, once its work is done."""

    def upload(self, to: int, source: NDArray[Any], stream: int) -> None:
        """Copy an array in pinned memory, C-contiguous, to the GPU; no waiting.

        The array must stay as it is until ``stream`` has come that far.

        Raises:
            LayoutError: ``source`` is a strided view.
        """

    def download(self, to: NDArray[Any], source: int, stream: int) -> None:
        """Copy from the GPU into an array in pinned memory, C-contiguous; no waiting.

        Raises:
            LayoutError: ``to`` is a strided view.
        """

    def copy(self, to: int, source: int, size: int, stream: int) -> None:
        """Copy ``size`` bytes on the GPU; no waiting."""

    def synchronize(self, stream: int) -> None:
        """Wait until all work of ``stream`` is done."""

    def stream_wait(self, later: int, earlier: int) -> None:
        """Let what ``later`` is given from now on wait for what ``earlier`` has so far.

        Either may be a stream of others.
        """

    def begin_capture(self, stream: int) -> None:
        """Record what this thread gives to ``stream`` from now on, and run none of it.

        Raises:
            DeviceError: Also where nothing here can capture.
        """

    def end_capture(self, stream: int) -> int:
        """Whatever happens, the stream records no longer; the graph of what it did."""

    def launch_graph(self, graph: int, stream: int) -> None:
        """Put all work of a graph on ``stream``; no waiting."""

    def destroy_graph(self, graph: int) -> None:
        """Destroy what `end_capture` gave."""

    def memory(self) -> tuple[int, int]:
        """Bytes that are free on the GPU, and all of them."""


def version_text(version: int) -> str:
    """``"12.6"`` for CUDA's 12060."""
    return f"{version // 1000}.{version % 1000 // 10}"


def require_bytes(size: int) -> int:
    return require_whole("size", size, 1, _MOST_BYTES)


def require_dense(name: str, array: NDArray[Any]) -> None:
    if not array.flags.c_contiguous:
        raise LayoutError(
            f"{name} must be C-contiguous, got strides {array.strides} for shape "
            f"{array.shape}. Copy whole buffers."
        )


def device_error(what: str, ordinal: int, err: Exception) -> DeviceError:
    """The error for what a GPU, or its driver, has refused."""
    return DeviceError(f"{what} on GPU {ordinal}: {str(err).rstrip('.')}.")


def out_of_memory(size: int, device: Device) -> DeviceMemoryError:
    """The error for memory of the GPU that is not there."""
    try:
        left = "{:.1f} MiB of {:.1f} MiB are".format(
            *(_mib(n) for n in device.memory())
        )
    except DeviceError:
        left = "it does not say how much is"
    return DeviceMemoryError(
        f"GPU {device.ordinal} ({device.properties.name}) is out of memory: "
        f"{_mib(size):.1f} MiB were asked for and {left} free. Stop what else uses it, "
        "or take a smaller input, batch or workspace."
    )


def out_of_pinned(size: int, device: Device) -> DeviceMemoryError:
    """The error for memory of the CPU that cannot be locked."""
    left = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return DeviceMemoryError(
        f"{_mib(size):.1f} MiB cannot be page-locked for GPU {device.ordinal} "
        f"({device.properties.name}): {_mib(left):.1f} MiB of the CPU's memory are "
        "free. Stop what else uses it, or take smaller frames."
    )


def _mib(size: int) -> float:
    return size / (1 << 20)
