"""A GPU through PyCUDA, which then shares memory and streams with fuseg.

The primary context is retained, the one of PyTorch, TensorRT and CUDA's runtime; never
is another one made. It is retained once for each GPU, until the process ends: PyCUDA
cleans up only under the object that was active as it made something, and a primary
context that is dropped, not detached, it destroys as if it were another one.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError
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

__all__ = ["PycudaDevice", "count", "driver"]

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, for which PyCUDA has no name

_lock = threading.Lock()
_contexts: WeakKeyDictionary[Any, dict[int, Any]] = WeakKeyDictionary()


def driver() -> Any:
    """PyCUDA's driver module, ready to use.

    Raises:
        ImportError: PyCUDA, or the driver's library that it needs, is not there.
        DeviceError: The driver finds no GPU, or does not work.
    """
    try:
        import pycuda.driver as cuda
    except ImportError:
        raise
    except Exception as err:  # as if built for another NumPy: anything may come
        raise ImportError(f"{type(err).__name__}: {err}") from err
    try:
        cuda.init()
    except cuda.Error as err:
        raise DeviceError(f"CUDA cannot be used here: {err}.") from err
    return cuda


def count() -> int:
    """How many GPUs CUDA shows to the process.

    Raises:
        ImportError, DeviceError: As `driver`.
    """
    return int(driver().Device.count())


def _context(cuda: Any, ordinal: int) -> Any:
    with _lock:
        held = _contexts.setdefault(cuda, {})
        if ordinal not in held:
            held[ordinal] = cuda.Device(ordinal).retain_primary_context()
        return held[ordinal]


@atexit.register
def _detach() -> None:
    for held in _contexts.values():
        while held:
            held.popitem()[1].detach()


class PycudaDevice(GraphCalls):
    """`fuseg.cuda.Device` through ``pycuda.driver``.

    Streams are those that it made itself; only `stream_wait` takes others, through
    fuseg's own module, as PyCUDA wraps none of them. Graphs need that module too.
    """

    name = "pycuda"

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        self._cuda = cuda = driver()
        try:
            found = cuda.Device(ordinal)
            self.properties = DeviceProperties(
                found.name(),
                found.compute_capability(),
                found.total_memory(),
                bool(found.get_attribute(cuda.device_attribute.INTEGRATED)),
                version_text(cuda.get_driver_version()),
            )
            self._context = _context(cuda, ordinal)
        except cuda.Error as err:
            raise device_error("no work is possible", ordinal, err) from err
        # PyCUDA frees what nobody holds: held here until it is given back.
        self._allocations: dict[int, Any] = {}
        self._locked: dict[int, NDArray[np.uint8]] = {}
        self._streams: dict[int, Any] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        try:
            self._context.push()
        except self._cuda.Error as err:
            raise device_error("no work is possible", self.ordinal, err) from err
        try:
            yield
        finally:
            self._context.pop()

    def allocate(self, size: int) -> int:
        require_bytes(size)
        try:
            made = self._cuda.mem_alloc(size)
        except self._cuda.MemoryError as err:
            raise out_of_memory(size, self) from err
        except self._cuda.Error as err:
            raise device_error("no memory was given", self.ordinal, err) from err
        self._allocations[int(made)] = made
        return int(made)

    def free(self, address: int) -> None:
        made = self._own("address", address, self._allocations)
        self._do("memory was not taken back", made.free)
        del self._allocations[address]

    def pinned(self, size: int) -> Pinned:
        require_bytes(size)
        flags = self._cuda.host_alloc_flags
        flags = flags.PORTABLE | flags.DEVICEMAP
        try:
            array = self._cuda.pagelocked_empty(size, np.uint8, mem_flags=flags)
            address = int(array.base.get_device_pointer())
        except self._cuda.MemoryError as err:
            raise out_of_pinned(size, self) from err
        except self._cuda.Error as err:
            raise device_error("no memory was locked", self.ordinal, err) from err
        self._locked[array.ctypes.data] = array
        return Pinned(array, address)

    def free_pinned(self, pinned: Pinned) -> None:
        host = pinned.array.ctypes.data
        array = self._own("pinned", host, self._locked)
        self._do("locked memory was not taken back", array.base.free)
        del self._locked[host]

    def create_stream(self) -> int:
        made = self._do("no stream was made", self._cuda.Stream, _NON_BLOCKING)
        self._streams[made.handle] = made
        return int(made.handle)

    def destroy_stream(self, stream: int) -> None:
        self._own("stream", stream, self._streams)
        del self._streams[stream]

    def upload(self, to: int, source: NDArray[Any], stream: int) -> None:
        require_dense("source", source)
        queue = self._own("stream", stream, self._streams)
        call = self._cuda.memcpy_htod_async
        self._do("nothing was copied", call, to, source, queue)

    def download(self, to: NDArray[Any], source: int, stream: int) -> None:
        require_dense("to", to)
        queue = self._own("stream", stream, self._streams)
        call = self._cuda.memcpy_dtoh_async
        self._do("nothing was copied", call, to, source, queue)

    def copy(self, to: int, source: int, size: int, stream: int) -> None:
        queue = self._own("stream", stream, self._streams)
        call = self._cuda.memcpy_dtod_async
        self._do("nothing was copied", call, to, source, size, queue)

    def synchronize(self, stream: int) -> None:
        queue = self._own("stream", stream, self._streams)
        self._do("the work of a stream failed", queue.synchronize)

    def stream_wait(self, later: int, earlier: int) -> None:
        if not {later, earlier} <= self._streams.keys():
            launch.stream_wait(later, earlier)
            return
        what, flags = "a stream does not wait", self._cuda.event_flags.DISABLE_TIMING
        event = self._do(what, self._cuda.Event, flags)
        self._do(what, event.record, self._streams[earlier])
        self._do(what, self._streams[later].wait_for_event, event)

    def memory(self) -> tuple[int, int]:
        free, total = self._do("the free memory is not known", self._cuda.mem_get_info)
        return free, total

    def _own(self, name: str, key: int, owned: dict[int, Any]) -> Any:
        try:
            return owned[key]
        except KeyError:
            raise DeviceError(
                f"{name} must be of this device and not yet given back, got {key!r} "
                f"on GPU {self.ordinal}."
            ) from None

    def _do(self, what: str, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except self._cuda.Error as err:
            raise device_error(what, self.ordinal, err) from err
