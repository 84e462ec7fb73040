"""The engines of an NVIDIA GPU: which are here, and how one is made of a bundle."""

from __future__ import annotations

import logging
from importlib.util import find_spec

from .. import cuda as gpu
from ..bundle import Bundle
from ..errors import ArgumentError, BackendError
from ..manifest import Variant
from . import Backend, GpuBackend, is_on_gpu

_log = logging.getLogger("fuseg")

GPU_ENGINES = ("tensorrt", "onnxruntime-cuda")  # the faster one first


def count() -> int:
    """GPUs that can be used; 0 without a driver or fuseg's CUDA module."""
    return gpu.count()


def missing(name: str, device: int) -> str | None:
    """Why this engine cannot be tried on this GPU; None if it can."""
    if device >= count():
        return (
            f"there is no NVIDIA GPU {device} here that fuseg can use, see fuseg doctor"
        )
    if name == "tensorrt":
        if find_spec("tensorrt") is None:
            return "tensorrt is not installed"
        return None
    from . import onnxruntime_cuda

    return onnxruntime_cuda.missing()


def variants_for(bundle: Bundle, name: str) -> list[Variant]:
    """The variants that are meant for this engine, the preferred one first.

    Raises:
        BuildError: TensorRT cannot be imported.
    """
    if name == "tensorrt":
        from .tensorrt import engines

        return engines.fitting(bundle.manifest, engines.installed())
    known = {variant.name: variant for variant in bundle.manifest.variants}
    return [known[each] for each in ("fp16", "fp32") if each in known]


def variant_for(bundle: Bundle, name: str, asked: str | None = None) -> Variant:
    """The variant that this engine runs, the one of the name ``asked`` if it is given.

    Raises:
        ArgumentError: There is no such variant, or none for this engine.
        BuildError: TensorRT cannot be imported.
    """
    fitting = {variant.name: variant for variant in variants_for(bundle, name)}
    if asked is None and fitting:
        return next(iter(fitting.values()))
    if asked not in fitting:
        raise ArgumentError(
            f"variant must be one of {', '.join(fitting) or 'none'}, those of this "
            f"bundle that {name} runs here, got {asked!r}."
        )
    return fitting[asked]


def is_built(bundle: Bundle, variant: Variant, device: int) -> bool:
    """Whether TensorRT's engine is in the cache."""
    from .tensorrt import engines

    return engines.find(bundle, variant, gpu.open_device(device).facts) is not None


def make(bundle: Bundle, name: str, variant: Variant, device: int) -> GpuBackend:
    """Make the engine of this name for one GPU.

    Raises:
        BackendError: the GPU or the engine's library refuses; its error is the cause.
    """
    opened = gpu.open_device(device)
    if name == "onnxruntime-cuda":
        from .onnxruntime_cuda import OnnxRuntimeCudaBackend

        return OnnxRuntimeCudaBackend(bundle.read(variant.file), opened)
    from .tensorrt import engines
    from .tensorrt.backend import TensorRtBackend, open_engine

    built = engines.find(bundle, variant, opened.facts)
    if built is None:
        line = "%s: the engine of variant %s is built, which takes minutes: %s"
        _log.warning(line, bundle.path, variant.name, "`fuseg build` does it ahead.")
        built = engines.engine_for(bundle, variant, opened.facts, device=device)
    scales = {n: b.scale for n, b in built.io_formats.items() if b.scale is not None}
    own_code = built.fingerprint.version_compatible
    with opened.active():
        engine = open_engine(built.plan, host_code=own_code)
        return TensorRtBackend(engine, opened, scales)


def identity(engine: Backend | GpuBackend) -> str | None:
    """The GPU an engine runs on, in words; None of one on a CPU."""
    return _words(engine.device) if is_on_gpu(engine) else None


def identity_of(device: int) -> str | None:
    """The same of a GPU by its number; None if fuseg cannot use it."""
    if device >= count():
        return None
    try:
        return _words(gpu.open_device(device))
    except BackendError:
        return None


def _words(device: gpu.Device) -> str:
    facts = device.facts
    return f"{facts.name}, {facts.memory_bytes >> 20} MiB, driver {facts.driver}"
