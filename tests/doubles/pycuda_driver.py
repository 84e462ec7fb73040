"""A double of ``pycuda.driver`` over a `machine.Machine`: the part that fuseg uses.

Names, arguments and classes are those of pycuda 2026.1 (src/wrapper/wrap_cudadrv.cpp,
src/cpp/cuda.hpp); what pycuda does on a thread without a context of its own, and
contexts beside the primary one, are misuse here. Arguments that Boost.Python leaves
without a name are positional here too.
"""

from __future__ import annotations

import enum
import sys
import threading
from types import ModuleType
from typing import Any

import numpy as np

from .machine import Machine, Misuse, Refused
from .memory import view
from .pycuda_state import State

_NON_BLOCKING = 1


def make(machine: Machine) -> ModuleType:
    """The module ``pycuda.driver``."""
    module = ModuleType("pycuda.driver", __doc__)
    state = State(machine)
    named = (*state.errors, *_classes(state), *_functions(state))
    for thing in named:
        setattr(module, thing.__name__, thing)
    module.HostAllocation = module.PagelockedHostAllocation
    return module


def _classes(state: State) -> list[Any]:
    machine = state.machine

    class device_attribute(enum.IntEnum):
        INTEGRATED = 18
        CAN_MAP_HOST_MEMORY = 19
        UNIFIED_ADDRESSING = 41
        COMPUTE_CAPABILITY_MAJOR = 75
        COMPUTE_CAPABILITY_MINOR = 76

    class event_flags:
        DEFAULT = 0
        DISABLE_TIMING = 2

    class host_alloc_flags:
        PORTABLE = 1
        DEVICEMAP = 2
        WRITECOMBINED = 4

    class Context:
        def __init__(self, *_: Any) -> None:
            raise RuntimeError("This class cannot be instantiated from Python")

        def push(self) -> None:
            with state.reworded("cuCtxPushCurrent"):
                machine.maybe_fail("push")
                if self.device is None:
                    raise Refused("cudaErrorInvalidValue", "invalid device context")
            if state.stack:  # pycuda takes its own off before, and puts it back on pop
                machine.pop(state.stack[-1].device)
            machine.push(self.device)
            state.stack.append(self)

        @staticmethod
        def pop() -> None:
            if not state.stack:
                raise state.LogicError(
                    "context::pop failed: invalid device context - "
                    "cannot pop non-current context"
                )
            machine.pop(state.stack.pop().device)
            if state.stack:
                machine.push(state.stack[-1].device)

        def detach(self) -> None:
            """Let go of it. PyCUDA leaves one that is active on CUDA's own stack."""
            if self in state.stack:
                raise Misuse("detach: the context is active on this thread")
            if self.device is None:
                raise state.LogicError(
                    "context::detach failed: invalid device context - "
                    "cannot detach from invalid context"
                )
            _cleanup(lambda: machine.maybe_fail("detach"))
            self.device = None

        @staticmethod
        def get_current() -> Any:
            return state.stack[-1] if state.stack else None

        @staticmethod
        def get_device() -> Any:
            return Device(state.current("Context.get_device").device)

    class Device:
        def __init__(self, ordinal: int, /) -> None:
            _ready("Device")
            with state.reworded("cuDeviceGet"):
                if ordinal not in range(machine.devices):
                    raise Refused("cudaErrorInvalidDevice", "invalid device ordinal")
            self._ordinal = ordinal

        @staticmethod
        def count() -> int:
            _ready("Device.count")
            machine.maybe_fail("device_count")
            return machine.devices

        def name(self) -> str:
            return machine.name

        def compute_capability(self) -> tuple[int, int]:
            return machine.capability

        def total_memory(self) -> int:
            return machine.memory_bytes

        def get_attribute(self, attribute: device_attribute, /) -> int:
            known = {
                device_attribute.INTEGRATED: int(machine.integrated),
                device_attribute.CAN_MAP_HOST_MEMORY: 1,
                device_attribute.UNIFIED_ADDRESSING: 1,
                device_attribute.COMPUTE_CAPABILITY_MAJOR: machine.capability[0],
                device_attribute.COMPUTE_CAPABILITY_MINOR: machine.capability[1],
            }
            return known[device_attribute(attribute)]

        def make_context(self, flags: int = 0) -> Any:  # noqa: ARG002
            raise Misuse(
                "make_context: a context of one's own shares nothing with others"
            )

        def retain_primary_context(self) -> Any:
            with state.reworded("cuDevicePrimaryCtxRetain"):
                machine.maybe_fail("retain_primary_context")
            made = object.__new__(Context)
            made.device, made.thread = self._ordinal, threading.get_ident()
            return made

    class Stream:
        def __init__(self, flags: int = 0) -> None:
            self._handle = 0
            self._context = state.current("Stream")
            if flags != _NON_BLOCKING:
                raise Misuse(
                    "Stream: it must be non-blocking, or the default stream waits"
                )
            with state.reworded("cuStreamCreate"):
                self._handle = machine.create_stream()

        @property
        def handle(self) -> int:
            return self._handle

        def synchronize(self) -> None:
            state.current("Stream.synchronize")
            with state.reworded("cuStreamSynchronize"):
                machine.synchronize(self._handle)

        def wait_for_event(self, event: Event, /) -> None:
            state.current("Stream.wait_for_event")
            with state.reworded("cuStreamWaitEvent"):
                machine.stream_wait(self._handle, event._recorded_on())

        def __del__(self, finalizing: Any = sys.is_finalizing) -> None:
            if not self._handle or finalizing():
                return
            with state.inside(self._context, "stream") as possible:
                if possible:
                    _cleanup(lambda: machine.destroy_stream(self._handle))

    class Event:
        """One that is waited for right after it was recorded."""

        def __init__(self, flags: int = 0) -> None:
            state.current("Event")
            if flags != event_flags.DISABLE_TIMING:
                raise Misuse("Event: one that takes the time makes the GPU wait")

        def record(self, stream: Stream) -> Event:
            state.current("Event.record")
            self._stream = stream.handle
            self._before = machine.pending(self._stream)
            return self

        def _recorded_on(self) -> int:
            if machine.pending(self._stream) != self._before:
                raise Misuse("wait_for_event: the stream went on since the record")
            return self._stream

    class _Allocation:
        """What is given back once: by `free`, or when nobody holds it any more."""

        _kind: str
        _address = 0

        def free(self) -> None:
            if not self._address:
                raise state.LogicError(f"{self._kind}::free failed: invalid handle")
            with state.inside(self._context, self._kind) as possible:
                if possible:
                    _cleanup(self._give_back)
            self._address = 0

        def __del__(self, finalizing: Any = sys.is_finalizing) -> None:
            if self._address and not finalizing():
                self.free()

    class DeviceAllocation(_Allocation):
        _kind = "device_allocation"

        def __init__(self) -> None:
            raise RuntimeError("This class cannot be instantiated from Python")

        def __int__(self) -> int:
            return self._address

        __index__ = __int__

        def _give_back(self) -> None:
            machine.free(self._address)

    class PagelockedHostAllocation(_Allocation):
        _kind = "pagelocked_host_allocation"

        def __init__(self) -> None:
            raise RuntimeError("This class cannot be instantiated from Python")

        def get_device_pointer(self) -> int:
            state.current("get_device_pointer")
            with state.reworded("cuMemHostGetDevicePointer"):
                if not self._flags & host_alloc_flags.DEVICEMAP:
                    raise Refused("cudaErrorInvalidValue", "invalid argument")
            return self._address

        def _give_back(self) -> None:
            machine.free_pinned(self._address)

        @property
        def __array_interface__(self) -> dict[str, Any]:  # as PyArray_SetBaseObject
            described = self._view.__array_interface__
            return {k: described[k] for k in ("shape", "typestr", "data", "version")}

    def _ready(call: str) -> None:
        if not state.ready:
            raise state.LogicError(f"{call} failed: initialization error")

    def _cleanup(give_back: Any) -> None:
        """As CUDAPP_CALL_GUARDED_CLEANUP: an error there is printed, not raised."""
        try:
            give_back()
        except Refused:
            return

    state.DeviceAllocation = DeviceAllocation
    state.PagelockedHostAllocation = PagelockedHostAllocation
    state.Stream = Stream
    return [
        *(device_attribute, event_flags, host_alloc_flags, Context, Device),
        *(Stream, Event),
        *(DeviceAllocation, PagelockedHostAllocation),
    ]


def _functions(state: State) -> list[Any]:
    machine = state.machine

    def init(flags: int = 0) -> None:  # noqa: ARG001
        with state.reworded("cuInit"):
            machine.maybe_fail("init")
            if not machine.devices:
                raise Refused("cudaErrorNoDevice", "no CUDA-capable device is detected")
        state.ready = True

    def get_version() -> tuple[int, int, int]:
        number = machine.runtime_version
        return number // 1000, number % 1000 // 10, number % 10

    def get_driver_version() -> int:
        return machine.driver_version

    def mem_get_info() -> tuple[int, int]:
        state.current("mem_get_info")
        with state.reworded("cuMemGetInfo"):
            return machine.memory()

    def mem_alloc(size: int, /) -> Any:
        context = state.current("mem_alloc")
        with state.reworded("cuMemAlloc"):
            address = machine.allocate(size)
        made = object.__new__(state.DeviceAllocation)
        made._address, made._context = address, context
        return made

    def pagelocked_empty(
        shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0
    ) -> np.ndarray:
        context = state.current("pagelocked_empty")
        if order != "C":
            raise Misuse("pagelocked_empty: fuseg has no use for another order than C")
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with state.reworded("cuMemHostAlloc"):
            address = machine.allocate_pinned(size, bool(mem_flags & 2))
        made = object.__new__(state.PagelockedHostAllocation)
        made._address, made._context, made._flags = address, context, mem_flags
        made._view = view(address, shape, dtype)
        return np.asarray(made)

    def memcpy_htod_async(dest: Any, src: Any, stream: Any = None) -> None:
        held = memoryview(src)
        if not held.contiguous:
            raise BufferError("memoryview: underlying buffer is not contiguous")
        source = np.asarray(held).ctypes.data
        _copy("cuMemcpyHtoDAsync", _pointer(dest), source, held.nbytes, stream)

    def memcpy_dtoh_async(dest: Any, src: Any, stream: Any = None) -> None:
        held = memoryview(dest)
        if not held.contiguous or held.readonly:
            raise BufferError(
                "memoryview: underlying buffer is not writable, contiguous"
            )
        to = np.asarray(held).ctypes.data
        _copy("cuMemcpyDtoHAsync", to, _pointer(src), held.nbytes, stream)

    def memcpy_dtod_async(dest: Any, src: Any, size: int, stream: Any = None) -> None:
        _copy("cuMemcpyDtoDAsync", _pointer(dest), _pointer(src), size, stream)

    def _pointer(value: Any) -> int:
        """What converts to CUdeviceptr."""
        if type(value) is int or isinstance(value, state.DeviceAllocation):
            return int(value)
        raise TypeError(
            f"Boost.Python.ArgumentError: {type(value).__name__} is no pointer"
        )

    def _copy(routine: str, to: int, source: int, size: int, stream: Any) -> None:
        state.current(routine)
        if stream is not None and not isinstance(stream, state.Stream):
            raise TypeError(f"No registered converter from {type(stream).__name__}")
        with state.reworded(routine):
            machine.copy(to, source, size, 0 if stream is None else stream.handle)

    return [
        *(init, get_version, get_driver_version, mem_get_info, mem_alloc),
        *(pagelocked_empty, memcpy_htod_async, memcpy_dtoh_async, memcpy_dtod_async),
    ]
