"""TensorRT for RTX: one engine for all its GPUs, finished where it is loaded.

What it compiles then is kept in this user's cache: by engine, GPU and driver.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..._kernels import native_call
from ...bundle import Bundle
from ...cuda import Device, DeviceProperties, open_device
from ...errors import BackendError, InputFileError, OutputFileError
from ...host.files import read_private, write_file
from ...manifest import Graph, Manifest, Variant
from ..base import GpuBackendInfo
from .backend import TensorRtBackend, last_error, open_engine, runtime_of
from .libraries import RTX, load_library

_log = logging.getLogger("fuseg")

_LARGEST = 1 << 28  # bytes of compiled kernels

_AGAIN = "build it again, `fuseg build --target rtx --rebuild`"
# By `EngineInvalidityDiagnostics`: what is wrong, and what to do.
_REASONS = {
    "VERSION_MISMATCH": f"another version built it: {_AGAIN}",
    "UNSUPPORTED_CC": "it is not for this GPU: use another backend",
    "OLD_CUDA_DRIVER": "the driver is too old: update it",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old: update it",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has too little memory: end other programs",
    "MALFORMED_ENGINE": f"it is damaged: {_AGAIN}",
    "CUDA_ERROR": "the driver does not work: see `fuseg doctor`",
}


class CompiledKernels:
    """What TensorRT for RTX compiled of one engine, in memory and in a file.

    Args:
        path: The file, in a private folder; it need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._cache: Any = None  # an ``IRuntimeCache``, which contexts share
        self._stored = b""
        self._is_kept = False

    def use_in(self, config: Any) -> None:
        """Let a context of this ``IRuntimeConfig`` take kernels from it."""
        if self._cache is None:
            self._cache = config.create_runtime_cache()
            self._stored = self._read()
            if self._stored and not self._cache.deserialize(self._stored):
                _log.info("%s does not fit here: kernels are compiled.", self._path)
        config.set_runtime_cache(self._cache)

    def keep(self) -> None:
        """Write the file, the first time, if there is anything new."""
        if self._is_kept:
            return
        self._is_kept = True
        found = bytes(memoryview(self._cache.serialize()))
        if found == self._stored:
            return
        try:
            write_file(self._path, found, 0o600)
        except OutputFileError as err:
            _log.warning("the next load compiles the same kernels again: %s", err)

    def _read(self) -> bytes:
        try:
            return read_private(self._path, _LARGEST)
        except (OSError, InputFileError):  # of no use, whatever it is
            return b""


class RtxBackend(TensorRtBackend):
    """See `TensorRtBackend`.

    Args:
        engine: From `open_portable_engine`.
        kernels: Of this engine.
    """

    name = "tensorrt-rtx"
    library = RTX

    def __init__(
        self,
        engine: Any,
        device: Device,
        scales: Mapping[str, float] | None,
        kernels: CompiledKernels,
    ) -> None:
        super().__init__(engine, device, scales)
        self._kernels = kernels

    def enqueue(self) -> None:
        """See `GpuBackend.enqueue`. After the first run all kernels are compiled."""
        super().enqueue()
        self._kernels.keep()

    def clone(self) -> RtxBackend:
        """See `GpuBackend.clone`."""
        return RtxBackend(self._engine, self.device, self._scales, self._kernels)

    def _give_shapes(self) -> None:
        super()._give_shapes()
        self.capturable = self._context.is_stream_capturable(self._stream)

    def _make_context(self, *, has_memory: bool) -> Any:
        """Kernels are compiled here, in seconds, where none are kept."""
        config = self._engine.create_runtime_config()
        self._kernels.use_in(config)
        if not has_memory:
            managed = load_library(RTX).ExecutionContextAllocationStrategy.USER_MANAGED
            config.set_execution_context_allocation_strategy(managed)
        # One that is for a number of texts would be compiled when a text changes.
        strategies = load_library(RTX).DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = strategies.NONE
        return native_call(self._engine.create_execution_context, config)


def open_portable_engine(plan: memoryview) -> Any:
    """Make an ``ICudaEngine`` of a plan from this machine's cache: see `open_engine`.

    Raises:
        BackendError: the plan is not for this version, GPU or driver.
    """
    trt = load_library(RTX)
    runtime = runtime_of(trt)
    header = plan[: runtime.engine_header_size]
    validity, diagnostics = runtime.get_engine_validity(header)
    if validity == trt.EngineValidity.INVALID:
        bits = trt.EngineInvalidityDiagnostics
        found = [
            reason
            for name, reason in _REASONS.items()
            if int(diagnostics) & int(getattr(bits, name))
        ]
        raise BackendError(
            f"TensorRT for RTX {trt.__version__} cannot run this engine here: "
            f"{'; '.join(found) or last_error().rstrip('.')}."
        )
    return open_engine(plan, library=RTX)


def _unavailable() -> str | None:
    if find_spec(RTX.module) is not None:
        return None
    return f"{RTX.title} is not installed (for RTX GPUs {RTX.install})"


def _unsupported(properties: DeviceProperties) -> str | None:
    """Orin, Thor and data centre GPUs have TensorRT's own kernels alone."""
    major, minor = properties.capability
    if (major, minor) in ((8, 6), (8, 9)) or major == 12:
        return None
    return (
        "TensorRT for RTX runs on RTX GPUs of the 30, 40 and 50 series and on GB10, "
        f"not on {properties.name} with compute capability {major}.{minor}"
    )


def _variants(manifest: Manifest) -> list[Variant]:
    from . import engines

    return engines.fitting(manifest, engines.installed(RTX))


def _is_built(
    bundle: Bundle,
    graph: Graph,
    variant: Variant,
    device: int,  # noqa: ARG001
) -> bool:
    from . import engines

    return engines.find(bundle, graph, variant, None, RTX) is not None


def _load(bundle: Bundle, graph: Graph, variant: Variant, device: int) -> RtxBackend:
    from . import cache, engines

    gpu = open_device(device)
    found = engines.find(bundle, graph, variant, None, RTX)
    built = found or engines.engine_for(bundle, graph, variant, None, library=RTX)
    facts = gpu.properties
    kernels = cache.runtime_cache(built.record, facts.name, facts.driver)
    with gpu.active():
        engine = open_portable_engine(built.plan)
        return RtxBackend(engine, gpu, built.scales, CompiledKernels(kernels))


def _query_version() -> str:
    from . import engines

    return engines.installed(RTX).tensorrt


INFO = GpuBackendInfo(
    name="tensorrt-rtx",
    module=RTX.module,
    packages=("tensorrt-rtx-cu12-bindings", "tensorrt-rtx-cu13-bindings"),
    unavailable=_unavailable,
    unsupported=_unsupported,
    variants=_variants,
    load=_load,
    is_built=_is_built,
    query_version=_query_version,
)
