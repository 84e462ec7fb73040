"""Engines. One file each; an engine's library is imported only when it is chosen."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Protocol, TypeGuard

from numpy.typing import NDArray

from ..cuda import Device
from ..cuda.buffers import Buffers
from ..errors import ArgumentError, BundleError
from ..host.cpu import fewer_cores
from .tensors import GpuTensor

__all__ = ["KNOWN", "Backend", "GpuBackend", "Shapes", "create", "installed"]

KNOWN = ("auto", "tensorrt", "onnxruntime-cuda", "onnxruntime", "openvino")
_PACKAGES = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
}
_GPU_PACKAGES = {
    "tensorrt": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
    "onnxruntime-cuda": ("onnxruntime-gpu",),
}

UNKNOWN = "version not recorded"

Shapes = Mapping[str, tuple[int, ...]]


class Backend(Protocol):
    """A network that reads and writes buffers of its own, made once.

    Attributes:
        name: As in ``fuseg.load(..., backend=name)``.
        inputs: After `bind`: one float32 array per input tensor. The caller writes
            here before `run`; `run` never does.
        outputs: After `bind`: one float32 array per output tensor, valid from one
            `run` to the next.
    """

    name: str
    inputs: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]

    def bind(self, inputs: Shapes, outputs: Shapes) -> None:
        """Make the buffers of these float32 tensors and connect the network to them.

        Raises:
            BundleError: the network has other tensors than these.
            BackendError: the engine refuses the buffers.
        """

    def run(self) -> None:
        """Fill ``outputs`` from ``inputs``; allocates nothing the size of a tensor.

        Raises:
            BackendError: the engine failed; its own error is the cause.
        """

    def clone(self) -> Backend:
        """A backend that shares this one's weights and is not bound yet."""


class GpuBackend(Protocol):
    """A network that reads and writes memory of one GPU, on a stream.

    Methods but `clone` are called while ``device`` is active.

    Attributes:
        name: As in ``fuseg.load(..., backend=name)``.
        device: The GPU.
        capturable: Whether `enqueue` may be captured in a CUDA graph.
        slots: How many clones may have work at the same time.
        inputs, outputs: After `bind`: where each tensor lies, and in which format.
    """

    name: str
    device: Device
    capturable: bool
    slots: int
    inputs: dict[str, GpuTensor]
    outputs: dict[str, GpuTensor]

    def bind(
        self, inputs: Shapes, outputs: Shapes, buffers: Buffers, stream: int
    ) -> None:
        """Take the memory of these tensors from ``buffers``, for work on this stream.

        Raises:
            BundleError: the network has other tensors than these.
            BackendError: the engine refuses them, or the GPU is out of memory.
        """

    def enqueue(self) -> None:
        """Put one run of the network on the stream of `bind`, and do not wait.

        Raises:
            BackendError: the engine failed.
        """

    def clone(self) -> GpuBackend:
        """A backend of the same weights that is not bound yet."""


def create(
    name: str, model: bytes, *, threads: int | None, allow_spinning: bool = True
) -> Backend:
    """Make a CPU engine for an ONNX model; ``"auto"`` is ONNX Runtime.

    Args:
        name: One of `KNOWN`.
        model: A serialised ONNX model without external data.
        threads: Threads of one operator, the calling one included. None: the engine's
            own choice, but no more than this process may use: `machine.fewer_cores`.
        allow_spinning: Whether threads that wait for work may keep a core busy. Only
            ONNX Runtime's do: OpenVINO's sleep after a millisecond.

    Raises:
        ArgumentError: no CPU engine of this name; ``threads`` is not a whole number
            above 0.
        BackendError: the engine cannot be made; its own error is the cause.
    """
    require_known(name)
    if name in _GPU_PACKAGES:
        raise ArgumentError(
            f"backend {name!r} runs a bundle on a GPU, not a model alone: load the "
            f"bundle, fuseg.load(path, backend={name!r})."
        )
    threads = fewer_cores() if threads is None else require_threads(threads)
    if name == "openvino":
        from .openvino import OpenVinoBackend, compile_network

        return OpenVinoBackend(compile_network(model, threads=threads))
    from .onnxruntime import OnnxRuntimeBackend, open_session

    session = open_session(model, threads=threads, allow_spinning=allow_spinning)
    return OnnxRuntimeBackend(session)


def is_on_gpu(engine: Backend | GpuBackend) -> TypeGuard[GpuBackend]:
    """Whether it is an engine of a GPU: it has work put on a stream."""
    return hasattr(engine, "enqueue")


def installed() -> dict[str, str]:
    """The version of every CPU engine that is installed; nothing is imported."""
    return {
        name: _version(packages)
        for name, packages in _PACKAGES.items()
        if find_spec(name) is not None
    }


def for_gpus() -> dict[str, str]:
    """The version of every GPU engine that is installed; nothing is imported.

    TensorRT of a board's own packages may have no version that pip knows.
    """
    found = {name: _version(packages) for name, packages in _GPU_PACKAGES.items()}
    return {
        name: version
        for name, version in found.items()
        if version != UNKNOWN or find_spec(name) is not None
    }


def require_known(name: str) -> None:
    """Refuse a name that is no engine of this version, nor ``"auto"``."""
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


def require_threads(threads: Any) -> int:
    """The number, if it is a whole one above 0."""
    try:
        number = 0 if isinstance(threads, bool) else operator.index(threads)
    except TypeError:
        number = 0
    if number < 1:
        raise ArgumentError(
            f"threads must be a whole number above 0, or None, got {threads!r}."
        )
    return number


def require_from(library: str, err: Exception, *, called: Any = None) -> None:
    """Raise what is no error of an engine's library, but of code that ran meanwhile.

    That is a signal handler's, or one that another thread sent. An error of the library
    is of its own type; or it is of one of Python's, which C++ is translated to, and
    comes out of the library's code or fuseg's.

    Args:
        called: A class of the library, where another module may stand in for it.
    """
    packages = {library, "fuseg", getattr(called, "__module__", "").partition(".")[0]}
    trace = err.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else trace.tb_frame.f_globals.get("__name__", "")
    top = type(err).__module__.partition(".")[0]
    translated = top == "builtins" and where.partition(".")[0] in packages
    if top != library and not translated:
        raise err


def require_tensors(
    what: str, found: Mapping[str, tuple[str, tuple[Any, ...]]], wanted: Shapes
) -> None:
    """Refuse a network whose tensors are not exactly the manifest's.

    Args:
        what: "input" or "output".
        found: Element type and shape of each tensor, by name.
        wanted: The manifest's shapes, all float32.

    Raises:
        BundleError: They differ.
    """
    manifest = {name: ("float32", tuple(s)) for name, s in wanted.items()}
    if found != manifest:
        raise BundleError(
            f"the network's {what} tensors must be {_spell(manifest)}, as the manifest "
            f"says, got {_spell(found)}: export the bundle again."
        )


def _spell(tensors: Mapping[str, tuple[str, tuple[Any, ...]]]) -> str:
    spelled = (f"{n} {kind} {shape}" for n, (kind, shape) in sorted(tensors.items()))
    return ", ".join(spelled) or "none"


def _version(packages: tuple[str, ...]) -> str:
    from importlib import metadata  # slow to import, and seldom needed

    for package in packages:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return UNKNOWN
