"""TensorRT on an NVIDIA GPU, 8.6 to 11: runs an engine that was built on this machine.

`engines` builds and keeps them. One path for every version: named tensors,
``execute_async_v3``.
"""

from __future__ import annotations

import functools
import logging
from collections import deque
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..._kernels import native_call
from ...bundle import Bundle
from ...cuda import Device, open_device
from ...cuda.buffers import Buffers
from ...errors import BackendError, DeviceMemoryError
from ...manifest import Graph, Manifest, Variant
from ...manifest.graphs import shared_tensors
from ..base import GpuBackendInfo, Shapes, require_place, require_tensors
from ..tensors import GpuTensor, Shared, resize
from .formats import LAYOUTS, TYPES, make_logger, word_of
from .libraries import TENSORRT, Library, load_library

_log = logging.getLogger("fuseg")
_trt_log = logging.getLogger("fuseg.tensorrt")

_INT64 = 10  # the first version that has it
_ANY = -1  # a side of a shape that is a dimension
_ERROR, _WARNING = logging.ERROR, logging.WARNING
_LEVELS = {"INTERNAL_ERROR": _ERROR, "ERROR": _ERROR, "WARNING": _WARNING}
_errors: deque[str] = deque(maxlen=10)  # TensorRT's, for the sentence of an exception


class TensorRtBackend:
    """A TensorRT engine with an execution context and buffers of its own.

    Args:
        engine: From `open_engine`. Several backends may share one: each has a context.
        device: The GPU it was built on.
        scales: What one step of an int8 input stands for, by tensor.
    """

    name = "tensorrt"
    library = TENSORRT
    capturable = True
    slots = 2

    def __init__(
        self, engine: Any, device: Device, scales: Mapping[str, float] | None = None
    ) -> None:
        self._engine, self.device = engine, device
        self._scales = dict(scales or {})
        self._context: Any = None
        self._resized: list[str] = []  # inputs that have a dimension
        self.inputs: dict[str, GpuTensor] = {}
        self.outputs: dict[str, GpuTensor] = {}

    def bind(
        self,
        inputs: Shapes,
        outputs: Shapes,
        buffers: Buffers,
        stream: int,
        shared: Shared | None = None,
    ) -> None:
        """See `GpuBackend.bind`. Outputs and what the engine needs are made now."""
        trt = load_library(self.library)
        found: dict[str, dict[str, GpuTensor]] = {"input": {}, "output": {}}
        for index in range(self._engine.num_io_tensors):
            name = self._engine.get_tensor_name(index)
            mode = self._engine.get_tensor_mode(name)
            what = "input" if mode == trt.TensorIOMode.INPUT else "output"
            found[what][name] = self._tensor(name)
        self._resized = [n for n, t in found["input"].items() if _ANY in t.shape]
        for what, wanted in (("input", inputs), ("output", outputs)):
            shapes = {n: ("float32", _spelled(t)) for n, t in found[what].items()}
            require_tensors(what, shapes, wanted)  # int64 is the executor's to check
            resize(found[what], wanted)
        self._stream = stream
        self._context = self._make_context(has_memory=shared is None)
        if self._context is None:
            free, total = self.device.memory()
            raise DeviceMemoryError(
                f"{self.library.title} could not make an execution context; the GPU "
                f"has {free >> 20} of {total >> 20} MiB free. {last_error()}"
            )
        known = {} if shared is None else shared.tensors
        if shared is not None:
            shared.scratch.append((self._scratch_bytes(), self._use_scratch))
        for tensors in found.values():
            for name, tensor in tensors.items():
                if name in known:
                    placed = require_place(tensor, known[name], name)
                else:
                    placed = tensor._replace(address=buffers.memory(tensor.nbytes))
                tensors[name] = placed
                if not self._context.set_tensor_address(name, placed.address):
                    raise BackendError(
                        f"{self.library.title} refuses the buffer of {name}: "
                        f"{last_error()}"
                    )
        self.inputs, self.outputs = found["input"], found["output"]
        self._give_shapes()

    def resize(self, shapes: Shapes) -> None:
        """See `GpuBackend.resize`."""
        resize(self.inputs, shapes)
        resize(self.outputs, shapes)
        self._give_shapes()

    def enqueue(self) -> None:
        """See `GpuBackend.enqueue`."""
        if not self._context.execute_async_v3(stream_handle=self._stream):
            raise BackendError(
                f"{self.library.title} failed to run the network: {last_error()}"
            )

    def clone(self) -> TensorRtBackend:
        """See `GpuBackend.clone`."""
        return TensorRtBackend(self._engine, self.device, self._scales)

    def _give_shapes(self) -> None:
        for name in self._resized:
            shape = self.inputs[name].shape
            if not self._context.set_input_shape(name, shape):
                raise BackendError(
                    f"{self.library.title} refuses shape {shape} of {name}: "
                    f"{last_error()}"
                )

    def _use_scratch(self, address: int, size: int) -> None:
        if hasattr(self._context, "set_device_memory"):
            self._context.set_device_memory(address, size)
        else:  # before version 10.1
            self._context.device_memory = address

    def _make_context(self, *, has_memory: bool) -> Any:
        """One with memory of its own, or none; None if that fails."""
        if has_memory:
            return self._engine.create_execution_context()
        trt = load_library(self.library)
        if hasattr(trt, "ExecutionContextAllocationStrategy"):
            strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
            return self._engine.create_execution_context(strategy)
        return self._engine.create_execution_context_without_device_memory()

    def _scratch_bytes(self) -> int:
        if hasattr(self._engine, "device_memory_size_v2"):
            return int(self._engine.device_memory_size_v2)
        return int(self._engine.device_memory_size)  # before version 10.1

    def _tensor(self, name: str) -> GpuTensor:
        """How a tensor of the engine lies in memory; its address is still 0."""
        trt = load_library(self.library)
        dtype = word_of(trt.DataType, TYPES, self._engine.get_tensor_dtype(name))
        found = self._engine.get_tensor_format(name)
        layout = word_of(trt.TensorFormat, LAYOUTS, found)
        if dtype not in TYPES.values() or layout not in LAYOUTS.values():
            raise BackendError(
                f"the engine's tensor {name} must be {', '.join(TYPES.values())}, and "
                f"LINEAR, CHW4 or HWC8, got {dtype} and {layout}: build the engine "
                "again, `fuseg build --rebuild`."
            )
        shape = tuple(int(n) for n in self._engine.get_tensor_shape(name))
        scale = self._scales.get(name, 1.0)
        return GpuTensor(0, shape, np.dtype(dtype), layout, scale)


def _spelled(tensor: GpuTensor) -> tuple[int | str, ...]:
    """Its shape, as `require_tensors` takes it."""
    return tuple("any" if side == _ANY else side for side in tensor.shape)


def open_engine(
    plan: bytes | memoryview, *, host_code: bool = False, library: Library = TENSORRT
) -> Any:
    """Make an ``ICudaEngine`` of a plan from this machine's own cache.

    A plan is executable code: never give one that was not built here or trusted.
    The device is active.

    Args:
        host_code: Whether the plan holds a runtime of its own, as it does if it was
            built for other versions of TensorRT too.
        library: What built it.

    Raises:
        BackendError: the library cannot be imported, or refuses the plan.
    """
    runtime = runtime_of(load_library(library))
    if host_code:
        runtime.engine_host_code_allowed = True
    engine = native_call(runtime.deserialize_cuda_engine, plan)
    if engine is None:
        raise BackendError(f"{library.title} refuses the engine's plan: {last_error()}")
    return engine


def last_error() -> str:
    """What TensorRT said last of an error, as a sentence."""
    return (_errors[-1] if _errors else "it did not say why").rstrip(". ") + "."


@functools.cache
def runtime_of(trt: Any) -> Any:
    """The one ``Runtime`` of a library in this process."""
    return trt.Runtime(_logger(trt))


@functools.cache
def _logger(trt: Any) -> Any:
    """TensorRT's log as Python's."""
    return make_logger(trt, _log_line)


def _log_line(severity: str, sentence: str) -> None:
    level = _LEVELS.get(severity, logging.DEBUG)
    if level == logging.ERROR:
        _errors.append(sentence)
    _trt_log.log(level, "%s", sentence)


def _unavailable() -> str | None:
    return "tensorrt is not installed" if find_spec("tensorrt") is None else None


def _variants(manifest: Manifest) -> list[Variant]:
    from . import engines

    return engines.fitting(manifest, engines.installed())


def _is_built(bundle: Bundle, graph: Graph, variant: Variant, device: int) -> bool:
    from . import engines

    return (
        engines.find(bundle, graph, variant, open_device(device).properties) is not None
    )


def _load(
    bundle: Bundle, graph: Graph, variant: Variant, device: int
) -> TensorRtBackend:
    from . import engines

    gpu = open_device(device)
    built = engines.find(bundle, graph, variant, gpu.properties)
    if built is None:
        line = "%s: the engine of variant %s is built, which takes minutes: %s"
        subject = engines.words(bundle.manifest, graph, variant)
        _log.warning(line, bundle.path, subject, "`fuseg build` does it ahead.")
        built = engines.engine_for(
            bundle, graph, variant, gpu.properties, device=device
        )
    with gpu.active():
        own_code = built.fingerprint.version_compatible
        engine = open_engine(built.plan, host_code=own_code)
        return TensorRtBackend(engine, gpu, built.scales)


def _query_version() -> str:
    from . import engines

    return engines.installed().tensorrt


def _lacks(manifest: Manifest) -> str | None:
    from . import engines

    shared = shared_tensors(manifest.graphs, manifest.states)
    tensors = manifest.tensors
    integers = [n for n in tensors if tensors[n].dtype == "int64" and n in shared]
    if not integers:
        return None
    version = engines.installed().tensorrt
    if int(version.split(".")[0]) >= _INT64:
        return None
    return (
        f"must be TensorRT {_INT64} or later for int64 tensors that several graphs "
        f"use, {', '.join(integers)}, got {version}: update it, or choose "
        "onnxruntime-cuda or onnxruntime"
    )


INFO = GpuBackendInfo(
    name="tensorrt",
    module="tensorrt",
    packages=("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
    unavailable=_unavailable,
    variants=_variants,
    lacks=_lacks,
    load=_load,
    is_built=_is_built,
    query_version=_query_version,
)
