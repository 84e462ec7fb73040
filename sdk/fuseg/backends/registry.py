"""The backends of fuseg in order of preference, and what is asked of all of them."""

from __future__ import annotations

from contextlib import suppress

from .. import cuda
from ..bundle import Bundle
from ..errors import ArgumentError, BackendError, BuildError
from ..host.cpu import fewer_cores
from ..manifest import Manifest, Variant
from . import onnxruntime, onnxruntime_cuda, openvino
from .base import (
    UNKNOWN,
    Backend,
    CpuBackendInfo,
    GpuBackend,
    GpuBackendInfo,
    Spinning,
    is_on_gpu,
    require_threads,
)
from .program_cpu import ProgramBackend
from .program_gpu import GpuProgramBackend
from .tensorrt import backend as tensorrt
from .tensorrt import rtx as tensorrt_rtx

BACKENDS: tuple[CpuBackendInfo | GpuBackendInfo, ...] = (
    tensorrt.INFO,
    tensorrt_rtx.INFO,
    onnxruntime_cuda.INFO,
    onnxruntime.INFO,
    openvino.INFO,
)
CPU = tuple(info for info in BACKENDS if isinstance(info, CpuBackendInfo))
GPU = tuple(info for info in BACKENDS if isinstance(info, GpuBackendInfo))
KNOWN = ("auto", *(info.name for info in BACKENDS))


def info_of(name: str) -> CpuBackendInfo | GpuBackendInfo:
    """The record of a backend; ``"auto"`` has none.

    Raises:
        ArgumentError: no backend has this name.
    """
    require_known(name)
    return next(info for info in BACKENDS if info.name == name)


def runs_on_gpu(name: str) -> bool:
    """Whether the backend of this name needs an NVIDIA GPU."""
    return any(info.name == name for info in GPU)


def create(
    name: str, model: bytes, *, threads: int | None, spinning: Spinning = "always"
) -> Backend:
    """Make a CPU backend for an ONNX model; ``"auto"`` is ONNX Runtime.

    Args:
        name: One of `KNOWN`.
        model: A serialised ONNX model without external data.
        threads: Threads of one operator, the calling one included. None: the library's
            own choice, but no more than this process may use: `host.cpu.fewer_cores`.
        spinning: How threads wait for work. Of ONNX Runtime's alone: OpenVINO's sleep
            after a millisecond.

    Raises:
        ArgumentError: no CPU backend of this name; ``threads`` is not a whole number
            above 0.
        BackendError: the backend cannot be made; the library's error is the cause.
    """
    info = CPU[0] if name == "auto" else info_of(name)
    if isinstance(info, GpuBackendInfo):
        raise ArgumentError(
            f"backend {name!r} runs a bundle on a GPU, not a model alone: load the "
            f"bundle, fuseg.load(path, backend={name!r})."
        )
    count = fewer_cores() if threads is None else require_threads(threads)
    return info.load(model, count, spinning)


def load(
    bundle: Bundle,
    name: str,
    variant: Variant,
    *,
    threads: int | None = None,
    allow_spinning: bool = True,
    device: int = 0,
) -> Backend | GpuBackend:
    """Make the backend of this name for a variant of a bundle.

    TensorRT's engine is built first if there is none, which takes minutes.

    Raises:
        BackendError: it cannot be made.
    """
    info, manifest = info_of(name), bundle.manifest
    if isinstance(info, GpuBackendInfo):
        loaded = {
            graph.name: info.load(
                bundle, graph, manifest.precision_of(graph, variant), device
            )
            for graph in manifest.graphs
        }
        if manifest.is_program:
            return GpuProgramBackend(manifest, loaded)
        return loaded[manifest.graphs[0].name]
    spinning: Spinning = "always" if allow_spinning else "never"
    if len(manifest.main_graphs) > 1 and allow_spinning:
        # Each graph has its own threads; those of one that has run would take the
        # cores from the next one.
        spinning = "briefly"
    made = {}
    for graph in manifest.graphs:
        model = bundle.read(manifest.network(graph, variant).file)
        made[graph.name] = create(name, model, threads=threads, spinning=spinning)
    return ProgramBackend(manifest, made) if manifest.is_program else made[graph.name]


def installed() -> dict[str, str]:
    """The version of every installed CPU backend; no library is imported."""
    return {info.name: info.version() for info in CPU if info.is_installed()}


def installed_for_gpu() -> dict[str, str]:
    """The version of every installed GPU backend; no library is imported.

    TensorRT of a board's own packages may have no version that pip knows. ONNX
    Runtime for the CPU alone has the module of `onnxruntime-cuda`, but not its package.
    """
    found = [(info, info.version()) for info in GPU]
    return {
        info.name: version
        for info, version in found
        if version != UNKNOWN or (info.query_version and info.is_installed())
    }


def versions() -> dict[str, str]:
    """Of every installed backend; libraries that pip does not know are asked."""
    found = installed() | installed_for_gpu()
    for info in BACKENDS:
        if found.get(info.name) == UNKNOWN and info.query_version is not None:
            with suppress(BuildError):  # it cannot be imported
                found[info.name] = info.query_version()
    return found


def version_of(name: str) -> str | None:
    """Of one backend; its library is asked only if pip does not know it."""
    found = (installed() | installed_for_gpu()).get(name)
    if found == UNKNOWN and info_of(name).query_version is not None:
        return versions()[name]
    return found


def gpu_count() -> int:
    """GPUs that can be used; 0 without a driver or fuseg's CUDA module."""
    return cuda.count()


def unavailable(name: str, device: int) -> str | None:
    """Why this GPU backend cannot be tried on this GPU; None if it can."""
    if device >= gpu_count():
        return (
            f"there is no NVIDIA GPU {device} here that fuseg can use, see fuseg doctor"
        )
    info = info_of(name)
    if not isinstance(info, GpuBackendInfo):
        return None
    lacks = info.unavailable()
    if lacks is not None or info.unsupported is None:
        return lacks
    try:
        return info.unsupported(cuda.open_device(device).properties)
    except BackendError as err:
        return str(err).rstrip(".")


def variants_for(bundle: Bundle, name: str) -> list[Variant]:
    """The variants that are meant for this backend, the preferred one first.

    None for a GPU, if its library lacks what the bundle has.

    Raises:
        BuildError: TensorRT cannot be imported.
    """
    info, manifest = info_of(name), bundle.manifest
    if isinstance(info, GpuBackendInfo) and _refusal(info, manifest) is not None:
        return []
    return info.variants(manifest)


def variant_for(bundle: Bundle, name: str, variant: str | None = None) -> Variant:
    """The variant that this backend runs, the one named ``variant`` if that is given.

    Raises:
        ArgumentError: There is no such variant, or none for this backend.
        BackendError: The backend does not run a bundle like this one.
        BuildError: TensorRT cannot be imported.
    """
    info = info_of(name)
    if isinstance(info, GpuBackendInfo):
        refusal = _refusal(info, bundle.manifest)
        if refusal is not None:
            raise BackendError(f"backend {name} {refusal}.")
    fitting = {v.name: v for v in variants_for(bundle, name)}
    if variant is None and fitting:
        return next(iter(fitting.values()))
    if variant not in fitting:
        raise ArgumentError(
            f"variant must be one of {', '.join(fitting) or 'none'}, those of this "
            f"bundle that {name} runs here, got {variant!r}."
        )
    return fitting[variant]


def _refusal(info: GpuBackendInfo, manifest: Manifest) -> str | None:
    """Why the bundle does not run there, after the backend's name; None if it does."""
    return None if info.lacks is None else info.lacks(manifest)


def must_be_built(bundle: Bundle, name: str, variant: Variant, device: int) -> bool:
    """Whether `load` would take minutes, as TensorRT's first one does."""
    info = info_of(name)
    if isinstance(info, CpuBackendInfo) or info.is_built is None:
        return False
    manifest = bundle.manifest
    return not all(
        info.is_built(bundle, graph, manifest.precision_of(graph, variant), device)
        for graph in manifest.graphs
    )


def require_known(name: str) -> None:
    """Refuse a name that is no backend of this version, nor ``"auto"``."""
    if name == "replay":
        raise ArgumentError(
            "backend 'replay' needs recorded outputs: pass an object, "
            "backend=fuseg.backends.replay.ReplayBackend([scores, ...])."
        )
    if name not in KNOWN:
        raise ArgumentError(
            f"backend must be one of {', '.join(KNOWN)}, or a Backend object, "
            f"got {name!r}."
        )


def gpu_of(backend: Backend | GpuBackend) -> str | None:
    """The GPU a backend runs on, in words; None of one on a CPU."""
    return _words(backend.device) if is_on_gpu(backend) else None


def gpu_name(device: int) -> str | None:
    """The same of a GPU by its number; None if fuseg cannot use it."""
    if device >= gpu_count():
        return None
    try:
        return _words(cuda.open_device(device))
    except BackendError:
        return None


def _words(device: cuda.Device) -> str:
    found = device.properties
    return f"{found.name}, {found.memory_bytes >> 20} MiB, driver {found.driver}"
