"""A double of ``fuseg._kernels_cuda``: its functions over a `machine.Machine`.

The device half asks the machine; kernels run on the CPU, on the addresses, when the
stream's turn comes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from .kernel_launch import launch_on, said
from .machine import Machine, Refused


def make(machine: Machine) -> ModuleType:
    """The module; every function has the parameters that the real one names."""
    module = ModuleType("fuseg._kernels_cuda", __doc__)
    for function in (*_device(machine), launch_on(machine)):
        setattr(module, function.__name__, function)
    return module


def _device(machine: Machine) -> list[Callable[..., Any]]:
    def device_count():
        machine.maybe_fail("device_count")
        return machine.devices

    def current_device():
        with said("cudaGetDevice"):
            machine.maybe_fail("current_device")
            if not machine.devices:
                raise Refused("cudaErrorNoDevice", "no CUDA-capable device is detected")
            return machine.current_device()

    def use_device(device):
        with said("cudaSetDevice"):
            machine.use_device(device)

    def device_properties(device):
        with said("cudaGetDeviceProperties"):
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
        with said("cudaMemGetInfo"):
            return machine.memory()

    def allocate(size):
        with said("cudaMalloc"):
            return machine.allocate(size)

    def free(address):
        with said("cudaFree"):
            machine.free(address)

    def allocate_pinned(size):
        with said("cudaHostAlloc"):
            address = machine.allocate_pinned(size)
        return address, address

    def free_pinned(address):
        with said("cudaFreeHost"):
            machine.free_pinned(address)

    def create_stream():
        with said("cudaStreamCreateWithFlags"):
            return machine.create_stream()

    def destroy_stream(stream):
        with said("cudaStreamDestroy"):
            machine.destroy_stream(stream)

    def copy(to, source, size, stream):
        with said("cudaMemcpyAsync"):
            machine.copy(to, source, size, stream)

    def synchronize(stream):
        with said("cudaStreamSynchronize"):
            machine.synchronize(stream)

    def begin_capture(stream):
        with said("cudaStreamBeginCapture"):
            machine.begin_capture(stream)

    def end_capture(stream):
        with said("cudaStreamEndCapture"):
            return machine.end_capture(stream)

    def launch_graph(graph, stream):
        with said("cudaGraphLaunch"):
            machine.launch_graph(graph, stream)

    def destroy_graph(graph):
        with said("cudaGraphExecDestroy"):
            machine.destroy_graph(graph)

    def stream_wait(later, earlier):
        with said("one stream cannot wait for the other"):
            machine.stream_wait(later, earlier)

    def push_range(name):
        machine.push_range(name)

    def pop_range():
        machine.pop_range()

    return [v for k, v in locals().items() if k != "machine"]
