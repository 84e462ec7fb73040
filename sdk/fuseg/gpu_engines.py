"""The engines of an NVIDIA GPU: which are here, and how one is made of a bundle."""

from __future__ import annotations

from importlib.util import find_spec

from . import device as gpu
from .backends import Backend, GpuBackend, is_on_gpu
from .bundle import Bundle
from .errors import ArgumentError
from .manifest import Variant

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
    from .backends import onnxruntime_cuda

    return onnxruntime_cuda.missing()


def variants_for(bundle: Bundle, name: str) -> list[Variant]:
    """The variants that are meant for this engine, the preferred one first.

    Raises:
        BackendError: TensorRT cannot be imported.
    """
    known = {v.name: v for v in bundle.manifest.variants}
    return [known[each] for each in _wanted(name) if each in known]


def variant_for(bundle: Bundle, name: str, asked: Variant | None = None) -> Variant:
    """The variant that this engine runs, ``asked`` if it is given.

    Raises:
        ArgumentError: ``asked``, or every variant, is meant for others.
        BackendError: TensorRT cannot be imported.
    """
    fitting = variants_for(bundle, name)
    if asked in fitting or (asked is None and fitting):
        return asked or fitting[0]
    there = [asked] if asked else bundle.manifest.variants
    raise ArgumentError(
        f"variant must be one of {', '.join(_wanted(name))} for backend {name}, got "
        f"{', '.join(v.name for v in there)}."
    )


def _wanted(name: str) -> tuple[str, ...]:
    if name != "tensorrt":
        return "fp16", "fp32"
    from .backends.tensorrt import is_strongly_typed

    return "int8-trt" if is_strongly_typed() else "int8-trt8", "fp16", "fp32"


def is_built(bundle: Bundle, variant: Variant, device: int) -> bool:
    """Whether TensorRT's engine is in the cache."""
    from .engines import find

    return find(bundle, variant, gpu.open_device(device).facts) is not None


def make(bundle: Bundle, name: str, variant: Variant, device: int) -> GpuBackend:
    """Make the engine of this name for one GPU.

    Raises:
        BackendError: the GPU or the engine's library refuses; its error is the cause.
    """
    opened = gpu.open_device(device)
    if name == "onnxruntime-cuda":
        from .backends.onnxruntime_cuda import OnnxRuntimeCudaBackend

        return OnnxRuntimeCudaBackend(bundle.read(variant.file), opened)
    from .backends.tensorrt import TensorRtBackend, open_engine
    from .engines import engine_for

    built = engine_for(bundle, variant, opened.facts, device=device)
    scales = {n: b.scale for n, b in built.borders.items() if b.scale is not None}
    own_code = built.fingerprint.version_compatible
    with opened.active():
        engine = open_engine(built.plan, host_code=own_code)
        return TensorRtBackend(engine, opened, scales)


def identity(engine: Backend | GpuBackend) -> str | None:
    """The GPU an engine runs on, in words; None of one on a CPU."""
    if not is_on_gpu(engine):
        return None
    facts = engine.device.facts
    return f"{facts.name}, {facts.memory_bytes >> 20} MiB, driver {facts.driver}"
