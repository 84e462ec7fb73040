"""What a backend is: the protocols, and the record that each backend file holds."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ..bundle import Bundle
from ..cuda import Device, DeviceProperties
from ..cuda.buffers import Buffers
from ..errors import ArgumentError, BackendError, BundleError
from ..manifest import Graph, Manifest, Variant
from .tensors import GpuTensor, Shared

UNKNOWN = "version not recorded"
_DTYPES = (np.float32, np.int64)

Shapes = Mapping[str, tuple[int, ...]]
Arrays = Mapping[str, NDArray[Any]]
# How long threads that wait keep a core busy: for milliseconds, 100 us, not at all.
Spinning = Literal["always", "briefly", "never"]


class Backend(Protocol):
    """A network that reads and writes NumPy arrays in place.

    Attributes:
        name: As in ``fuseg.load(..., backend=name)``.
        inputs: After `bind`: one array per input tensor, float32 or int64. The caller
            writes here before `run`; `run` never does.
        outputs: After `bind`: one array per output tensor, valid from one `run` to the
            next.
    """

    name: str
    inputs: dict[str, NDArray[Any]]
    outputs: dict[str, NDArray[Any]]

    def bind(self, inputs: Arrays, outputs: Arrays) -> None:
        """Connect the network to these arrays, which become its `inputs` and
        `outputs`; others may be connected to the same ones. It may be called again,
        where a dimension of the network has another size.

        Raises:
            BundleError: the network has other tensors than these.
            BackendError: it refuses the arrays.
        """

    def run(self) -> None:
        """Fill ``outputs`` from ``inputs``; allocates nothing the size of a tensor.

        Raises:
            BackendError: it failed; its own error is the cause.
        """

    def clone(self) -> Backend:
        """A backend that shares this one's weights and is not bound yet."""


class GpuBackend(Protocol):
    """A network that reads and writes memory of one GPU, on a stream.

    Methods but `clone` are called while ``device`` is active; `resize` of networks with
    a dimension alone.

    Attributes:
        name: As in ``fuseg.load(..., backend=name)``.
        device: The GPU.
        capturable: Whether `enqueue` may be captured in a CUDA graph.
        slots: How many clones may have work at the same time.
        inputs, outputs: After `bind`: where each tensor lies, and in which format;
            int64 ones are int64, or int32 where the library has no others.
    """

    name: str
    device: Device
    capturable: bool
    slots: int
    inputs: dict[str, GpuTensor]
    outputs: dict[str, GpuTensor]

    def bind(
        self,
        inputs: Shapes,
        outputs: Shapes,
        buffers: Buffers,
        stream: int,
        shared: Shared | None = None,
    ) -> None:
        """Take the memory of these tensors from ``buffers``, for work on this stream.

        Args:
            shared: Of one graph of several: what it has in common with them.

        Raises:
            BundleError: the network has other tensors than these.
            BackendError: it refuses them, or the GPU is out of memory.
        """

    def resize(self, shapes: Shapes) -> None:
        """Go on with these shapes of all tensors that have a dimension.

        None is larger than it was at `bind`, and each stays where it is. The stream has
        no work left; CUDA graphs that were captured before must not run any more.

        Raises:
            BackendError: the network refuses them.
        """

    def enqueue(self) -> None:
        """Put one run of the network on the stream of `bind`, and do not wait.

        Raises:
            BackendError: it failed.
        """

    def clone(self) -> GpuBackend:
        """A backend of the same weights that is not bound yet."""


@dataclass(frozen=True, kw_only=True)
class BackendInfo:
    """What is known of a backend while its library is not imported.

    Attributes:
        name: As in ``fuseg.load(..., backend=name)``.
        module: The library that it needs.
        packages: Of pip, that may hold it; the first one found tells the version.
        query_version: Asks the library itself, where pip may not know its version; may
            raise BuildError.
    """

    name: str
    module: str
    packages: tuple[str, ...]
    query_version: Callable[[], str] | None = None

    def is_installed(self) -> bool:
        """Whether the library is there; it is not imported."""
        return find_spec(self.module) is not None

    def version(self) -> str:
        """Of the installed library; `UNKNOWN` where pip has not installed it."""
        from importlib import metadata  # slow to import, and seldom needed

        for package in self.packages:
            try:
                return metadata.version(package)
            except metadata.PackageNotFoundError:
                continue
        return UNKNOWN


@dataclass(frozen=True, kw_only=True)
class CpuBackendInfo(BackendInfo):
    """A backend that reads and writes NumPy arrays.

    Attributes:
        load: Makes it of a serialised ONNX model, the number of threads, and how they
            wait.
        import_library: Imports what `load` needs, whose time is not the network's.
        impact: What does not work without it, for `fuseg doctor`.
        install: The command that installs it, for `fuseg doctor`.
        survives_fork: Whether a new one can be made in a child of ``os.fork``.
        required: Whether fuseg does not work without it.
    """

    load: Callable[[bytes, int | None, Spinning], Backend]
    import_library: Callable[[], Any]
    impact: str
    install: str
    survives_fork: bool = False
    required: bool = False

    def variants(self, manifest: Manifest) -> list[Variant]:
        """Those it runs, the preferred one first."""
        return [variant for variant in manifest.variants if variant.fits_cpu]


@dataclass(frozen=True, kw_only=True)
class GpuBackendInfo(BackendInfo):
    """A backend that reads and writes memory of an NVIDIA GPU.

    Attributes:
        unavailable: Why it cannot be tried here; None if it can.
        unsupported: Why it cannot run on a GPU; None if it can, or it runs on all.
        variants: Those of a manifest that it runs, the preferred one first; may raise
            BuildError.
        lacks: What the installed library must be to run a manifest's graphs, the end of
            a sentence that begins with the backend; None if it is that, or any is. May
            raise BuildError.
        load: Makes it of a graph of a bundle, in a variant that the graph has, for the
            GPU of this number.
        is_built: Whether `load` needs no minutes; None if it never does.
    """

    unavailable: Callable[[], str | None]
    variants: Callable[[Manifest], list[Variant]]
    load: Callable[[Bundle, Graph, Variant, int], GpuBackend]
    is_built: Callable[[Bundle, Graph, Variant, int], bool] | None = None
    lacks: Callable[[Manifest], str | None] | None = None
    unsupported: Callable[[DeviceProperties], str | None] | None = None


def is_on_gpu(backend: Backend | GpuBackend) -> TypeGuard[GpuBackend]:
    """Whether it runs on a GPU: it has work put on a stream."""
    return hasattr(backend, "enqueue")


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
    """Raise what is no error of a backend's library, but of code that ran meanwhile.

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


def require_place(found: GpuTensor, wanted: GpuTensor, name: str) -> GpuTensor:
    """A shared tensor, if the network takes it as it lies in memory.

    Raises:
        BackendError: It does not.
    """
    if (found.dtype, found.layout) != (wanted.dtype, wanted.layout):
        raise BackendError(
            f"tensor {name} must be {wanted.dtype} {wanted.layout}, as the bundle's "
            f"other graphs have it, got {found.dtype} {found.layout}: build the "
            "engines again, `fuseg build --rebuild`."
        )
    return wanted


def shapes_of(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items()}


def dtypes_of(arrays: Arrays) -> dict[str, str]:
    return {name: array.dtype.name for name, array in arrays.items()}


def require_in_place(inputs: Arrays, outputs: Arrays) -> None:
    """Refuse arrays that a library would copy, or read while it writes them.

    Raises:
        BackendError: An array is not C-contiguous, not float32 or int64, or two share
            memory.
    """
    arrays = [*inputs.items(), *outputs.items()]
    for index, (name, array) in enumerate(arrays):
        if array.dtype not in _DTYPES or not array.flags.c_contiguous:
            raise BackendError(
                f"the array of tensor {name!r} must be C-contiguous float32 or int64, "
                f"got {array.dtype} with strides {array.strides}."
            )
        for other, earlier in arrays[:index]:
            if np.may_share_memory(array, earlier):
                raise BackendError(
                    f"the arrays of tensors {other!r} and {name!r} must not share "
                    "memory."
                )


def require_tensors(
    what: str,
    found: Mapping[str, tuple[str, tuple[Any, ...]]],
    wanted: Shapes,
    dtypes: Mapping[str, str] | None = None,
) -> None:
    """Refuse a network whose tensors are not exactly the manifest's.

    Args:
        what: "input" or "output".
        found: Element type and shape of each tensor, by name. A side that is no number
            is a dimension, of any size.
        wanted: The manifest's shapes.
        dtypes: Their element types; all float32 if omitted.

    Raises:
        BundleError: They differ.
    """
    known = dtypes or dict.fromkeys(wanted, "float32")
    manifest = {name: (known[name], tuple(s)) for name, s in wanted.items()}
    if found.keys() != manifest.keys() or not all(
        found[name][0] == kind and _fits(shape, found[name][1])
        for name, (kind, shape) in manifest.items()
    ):
        raise BundleError(
            f"the network's {what} tensors must be {_spell(manifest)}, as the manifest "
            f"says, got {_spell(found)}: export the bundle again."
        )


def _fits(shape: tuple[int, ...], found: tuple[Any, ...]) -> bool:
    return len(shape) == len(found) and all(
        side == other or not isinstance(other, int)
        for side, other in zip(shape, found, strict=True)
    )


def _spell(tensors: Mapping[str, tuple[str, tuple[Any, ...]]]) -> str:
    spelled = (f"{n} {kind} {shape}" for n, (kind, shape) in sorted(tensors.items()))
    return ", ".join(spelled) or "none"
