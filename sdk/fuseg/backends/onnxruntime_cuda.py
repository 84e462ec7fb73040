"""ONNX Runtime's CUDA provider: for GPUs without TensorRT (``onnxruntime-gpu``)."""

from __future__ import annotations

import logging
import re
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

import numpy as np

from ..bundle import Bundle
from ..cuda import Device, open_device
from ..cuda.buffers import Buffers
from ..errors import BackendError, DeviceError, DeviceMemoryError
from ..manifest import Graph, Manifest, Variant
from .base import (
    GpuBackendInfo,
    Shapes,
    require_from,
    require_place,
    require_tensors,
)
from .onnxruntime import session_options, tensors_of, warn_of_clash
from .tensors import GpuTensor, Shared, resize

PROVIDER = "CUDAExecutionProvider"

_log = logging.getLogger("fuseg")

_stdout_lock = threading.Lock()

_OUT_OF_MEMORY = ("Failed to allocate memory", "out of memory", "ALLOC_FAILED")
_WHERE = re.compile(r".*\[ONNXRuntimeError\] : \d+ : \w+ : ")
_MOST_CHARACTERS = 300  # of what it says: its errors come with a stack of templates


class OnnxRuntimeCudaBackend:
    """A session whose inputs and outputs are memory of the GPU, on fuseg's stream.

    Args:
        model: A serialised ONNX model without external data.
        device: The GPU.
    """

    name = "onnxruntime-cuda"
    capturable = False  # it allocates while it runs
    slots = 1  # a session has one stream

    def __init__(self, model: bytes, device: Device) -> None:
        self._model, self.device = model, device
        self._bound: list[Any] = []  # session, its binding, the options of a run
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
        """See `GpuBackend.bind`. The session is made here, as it needs the stream."""
        session = _session(self._model, self.device, stream)
        self._bound = bound = [session]
        # A session must not outlive its stream, which ``buffers`` gives back after
        # this: of two finalizers the newer one comes first.
        close = weakref.finalize(buffers, _close, self.device, stream, bound)
        close.atexit = False
        known = {} if shared is None else shared.tensors
        self.inputs, self.outputs = (
            _tensors(what, tensors_of(nodes), shapes, known, buffers)
            for what, nodes, shapes in (
                ("input", session.get_inputs(), inputs),
                ("output", session.get_outputs(), outputs),
            )
        )
        binding = session.io_binding()
        self._connect(binding)
        import onnxruntime

        options = onnxruntime.RunOptions()
        # fuseg waits for the stream once, after the labels.
        options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        bound += [binding, options]

    def resize(self, shapes: Shapes) -> None:
        """See `GpuBackend.resize`."""
        resize(self.inputs, shapes)
        resize(self.outputs, shapes)
        self._connect(self._bound[1])

    def enqueue(self) -> None:
        """See `GpuBackend.enqueue`."""
        session, binding, options = self._bound
        try:
            session.run_with_iobinding(binding, options)
        except Exception as err:  # its exceptions have no common base but this one
            require_from("onnxruntime", err, called=type(session))
            what = "ONNX Runtime failed to run the network on the GPU"
            raise _backend_error(what, err, self.device) from err

    def clone(self) -> OnnxRuntimeCudaBackend:
        """See `GpuBackend.clone`; but the weights are loaded again, for its session."""
        return OnnxRuntimeCudaBackend(self._model, self.device)

    def _connect(self, binding: Any) -> None:
        for bind, tensors in (
            (binding.bind_input, self.inputs),
            (binding.bind_output, self.outputs),
        ):
            for name, t in tensors.items():
                bind(
                    *(name, "cuda", self.device.ordinal, t.dtype.type),
                    *(list(t.shape), t.address),
                )


def unavailable() -> str | None:
    """Why this backend cannot be tried here; None if ONNX Runtime offers it."""
    warn_of_clash()
    try:
        import onnxruntime
    except ImportError as err:
        return f"ONNX Runtime cannot be imported ({err})"
    if PROVIDER not in onnxruntime.get_available_providers():
        return "the installed ONNX Runtime has no CUDA provider (onnxruntime-gpu has)"
    return None


def _tensors(
    what: str,
    found: Mapping[str, tuple[str, tuple[Any, ...]]],
    wanted: Shapes,
    known: Mapping[str, GpuTensor],
    buffers: Buffers,
) -> dict[str, GpuTensor]:
    """Memory for the network's tensors, float32 or int64 as it has them."""
    integers = {name for name, (dtype, _) in found.items() if dtype == "int64"}
    dtypes = {name: "int64" if name in integers else "float32" for name in wanted}
    require_tensors(what, found, wanted, dtypes)
    tensors = {}
    for name, shape in wanted.items():
        placeless = GpuTensor(0, shape, np.dtype(dtypes[name]))
        if name in known:
            require_place(placeless, known[name], name)
            tensors[name] = known[name]
        else:
            tensors[name] = placeless._replace(address=buffers.memory(placeless.nbytes))
    return tensors


def _session(model: bytes, device: Device, stream: int) -> Any:
    lacks = unavailable()
    if lacks is not None:
        raise BackendError(f"{lacks}: pip install onnxruntime-gpu.")
    import onnxruntime

    settings = {
        "device_id": str(device.ordinal),
        "user_compute_stream": str(stream),
        "use_tf32": "0",  # other labels than float32's
    }
    with _what_it_prints() as said:
        try:
            if hasattr(onnxruntime, "preload_dlls"):
                onnxruntime.preload_dlls()  # CUDA and cuDNN of pip's own packages
            session = onnxruntime.InferenceSession(
                model,
                session_options(onnxruntime),
                providers=[(PROVIDER, settings)],
                enable_fallback=0,  # which versions before 1.23 do not know
            )
        except Exception as err:  # its exceptions have no common base but this one
            require_from("onnxruntime", err, called=onnxruntime.InferenceSession)
            what = "ONNX Runtime refuses the network on the GPU"
            raise _backend_error(what, err, device) from err
    if PROVIDER not in session.get_providers():  # what it offers may not load
        first = said[0] if said else "why is on stderr"
        why = next((line for line in said if line.startswith("EP Error ")), first)
        raise BackendError(
            "ONNX Runtime's CUDA provider did not load, and it fell back to the CPU "
            f"({_short(why)}): it wants CUDA and cuDNN of its own version; `fuseg "
            "doctor` says more."
        )
    return session


def _close(device: Device, stream: int, bound: list[Any]) -> None:
    """Let the session go, once its work is done."""
    with suppress(DeviceError), device.active():  # a lost GPU's may still be in use
        device.synchronize(stream)
        bound.clear()


class _StdoutCapture:
    """Stdout for a while: what this thread prints is kept, the rest goes on."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._thread, self._stdout = threading.get_ident(), sys.stdout

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return self._stdout.write(text)
        self.lines += [line for line in text.splitlines() if line.strip(" *")]
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout, name)


@contextmanager
def _what_it_prints() -> Iterator[list[str]]:
    """Keep stdout for answers: lines that ONNX Runtime prints there go to the log."""
    with _stdout_lock:  # two that overlap would leave stdout to one of them
        ear = _StdoutCapture()
        try:
            with redirect_stdout(ear):
                yield ear.lines
        finally:
            for line in ear.lines:
                _log.info("ONNX Runtime: %s", line)


def _backend_error(what: str, err: Exception, device: Device) -> BackendError:
    said = str(err)
    sentence = f"{what}: {_short(said)}"
    if not any(words in said for words in _OUT_OF_MEMORY):
        return BackendError(f"{sentence}.")
    try:
        free, total = device.memory()
    except DeviceError:
        return DeviceMemoryError(f"{sentence}.")
    return DeviceMemoryError(
        f"{sentence}; the GPU has {free >> 20} of {total >> 20} MiB free."
    )


def _short(text: str) -> str:
    """One line of what ONNX Runtime says, without where in its sources that is."""
    line = _WHERE.sub("", " ".join(text.split()))
    return line[:_MOST_CHARACTERS].rstrip(" .")


def _variants(manifest: Manifest) -> list[Variant]:
    known = {variant.name: variant for variant in manifest.variants}
    return [known[name] for name in ("fp16", "fp32") if name in known]


def _load(
    bundle: Bundle, graph: Graph, variant: Variant, device: int
) -> OnnxRuntimeCudaBackend:
    model = bundle.read(graph.networks[variant.name].file)
    return OnnxRuntimeCudaBackend(model, open_device(device))


INFO = GpuBackendInfo(
    name="onnxruntime-cuda",
    module="onnxruntime",
    packages=("onnxruntime-gpu",),
    unavailable=unavailable,
    variants=_variants,
    load=_load,
)
