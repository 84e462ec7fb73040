"""A double of ``fuseg._kernels_cuda``: its functions over a `machine.Machine`.

Kernels run on the CPU, on the addresses, when the stream's turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from .machine import Machine, OutOfMemory, Refused
from .memory import Misuse, span, view

# The machine's methods that are functions of the module, and what is named in an error.
ROUTINES = {
    "use_device": "cudaSetDevice",
    "allocate": "cudaMalloc",
    "free": "cudaFree",
    "free_pinned": "cudaFreeHost",
    "create_stream": "cudaStreamCreateWithFlags",
    "destroy_stream": "cudaStreamDestroy",
    "copy": "cudaMemcpyAsync",
    "synchronize": "cudaStreamSynchronize",
    "begin_capture": "cudaStreamBeginCapture",
    "end_capture": "cudaStreamEndCapture",
    "launch_graph": "cudaGraphLaunch",
    "destroy_graph": "cudaGraphExecDestroy",
    "stream_wait": "one stream cannot wait for the other",
    "push_range": "nvtxRangePush",
    "pop_range": "nvtxRangePop",
}


def make(machine: Machine) -> ModuleType:
    """The module; every function has the parameters that the real one names."""
    module = ModuleType("fuseg._kernels_cuda", __doc__)
    for name, routine in ROUTINES.items():
        setattr(module, name, reworded(routine)(getattr(machine, name)))
    for function in (*_differing(machine), _launch_on(machine)):
        setattr(module, function.__name__, function)
    return module


@contextmanager
def reworded(what: str) -> Iterator[None]:
    """As the module words what the GPU refuses."""
    try:
        yield
    except OutOfMemory as err:
        raise MemoryError(f"{what}: {err}") from err
    except Refused as err:
        raise RuntimeError(f"{what}: {err}") from err


def _differing(machine: Machine) -> list[Callable[..., Any]]:
    """What the machine has in another form."""

    def device_count():
        machine.maybe_fail("device_count")
        return machine.devices

    def current_device():
        with reworded("cudaGetDevice"):
            machine.maybe_fail("current_device")
            if not machine.devices:
                raise Refused("cudaErrorNoDevice", "no CUDA-capable device is detected")
            return machine.current_device()

    def device_of(address):
        with reworded("cudaPointerGetAttributes"):
            return machine.device_of(address)

    def device_properties(device):
        with reworded("cudaGetDeviceProperties"):
            machine.maybe_fail("device_properties")
            if device not in range(machine.devices):
                raise Refused("cudaErrorInvalidDevice", "invalid device ordinal")
        return {
            "name": machine.name,
            "capability": machine.capability,
            "memory_bytes": machine.memory_bytes,
            "integrated": machine.integrated,
            "driver_version": machine.driver_version,
            "runtime_version": machine.runtime_version,
        }

    def memory_info():
        with reworded("cudaMemGetInfo"):
            return machine.memory()

    def allocate_pinned(size):
        with reworded("cudaHostAlloc"):
            address = machine.allocate_pinned(size)
        return address, address

    return [v for k, v in locals().items() if k != "machine"]


def _launch_on(machine: Machine) -> Callable[..., None]:
    def launch(kernel, views, stream):
        given = [
            (written, a)
            for written, a in zip(kernel.written, views, strict=True)
            if a is not None
        ]
        reads = [_range(kernel, a) for written, a in given if not written]
        writes = [_range(kernel, a) for written, a in given if written]

        def thunk():
            arrays = [
                None if a is None else view(a.pointer, a.shape, a.dtype, a.strides)
                for a in views
            ]
            answer = kernel.run(*arrays)
            assert answer is not None, f"{kernel.name} refuses its arrays"

        with reworded(f"{kernel.name} could not be launched"):
            machine.kernel(f"{kernel.name}_cuda", stream, thunk, reads, writes)

    return launch


def _range(kernel: Any, a: Any) -> tuple[int, int, int]:
    """First byte, size and alignment of an array's memory."""
    step = a.dtype.itemsize
    if any(s % step for s in a.strides):
        raise Misuse(f"rows {a.strides} apart split the elements of {a.dtype}")
    low, end = span(a.pointer, a.shape, step, a.strides)
    wide = (
        kernel.name == "upsample_argmax" and a.dtype == np.float16 and len(a.shape) == 3
    )
    return low, end - low, max(step, 16 if wide and a.shape[-1] % 8 == 0 else 1)
