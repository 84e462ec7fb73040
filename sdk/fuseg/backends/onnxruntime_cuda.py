"""ONNX Runtime's CUDA provider: for GPUs without TensorRT (``onnxruntime-gpu``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..device import Device
from ..device.buffers import Buffers
from ..errors import BackendError
from . import Shapes, require_tensors
from .onnxruntime import session_options, tensors_of
from .tensors import GpuTensor

PROVIDER = "CUDAExecutionProvider"


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
        self.inputs: dict[str, GpuTensor] = {}
        self.outputs: dict[str, GpuTensor] = {}

    def bind(
        self, inputs: Shapes, outputs: Shapes, buffers: Buffers, stream: int
    ) -> None:
        """See `GpuBackend.bind`. The session is made here, as it needs the stream."""
        self._session = _session(self._model, self.device, stream)
        require_tensors("input", tensors_of(self._session.get_inputs()), inputs)
        require_tensors("output", tensors_of(self._session.get_outputs()), outputs)
        self.inputs = {name: _tensor(s, buffers) for name, s in inputs.items()}
        self.outputs = {name: _tensor(s, buffers) for name, s in outputs.items()}
        self._binding = self._session.io_binding()
        for bind, tensors in (
            (self._binding.bind_input, self.inputs),
            (self._binding.bind_output, self.outputs),
        ):
            for name, t in tensors.items():
                bind(
                    *(name, "cuda", self.device.ordinal, np.float32),
                    *(list(t.shape), t.address),
                )
        import onnxruntime

        self._options = onnxruntime.RunOptions()
        # fuseg waits for the stream once, after the labels.
        key = "disable_synchronize_execution_providers"
        self._options.add_run_config_entry(key, "1")

    def enqueue(self) -> None:
        """See `GpuBackend.enqueue`."""
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as err:  # its exceptions have no common base but this one
            raise BackendError(
                f"ONNX Runtime failed to run the network on the GPU: {err}"
            ) from err

    def clone(self) -> OnnxRuntimeCudaBackend:
        """See `GpuBackend.clone`; but the weights are loaded again, for its session."""
        return OnnxRuntimeCudaBackend(self._model, self.device)


def missing() -> str | None:
    """Why this engine cannot be tried here; None if ONNX Runtime offers it."""
    try:
        import onnxruntime
    except ImportError as err:
        return f"ONNX Runtime cannot be imported ({err})"
    if PROVIDER not in onnxruntime.get_available_providers():
        return "the installed ONNX Runtime has no CUDA provider (onnxruntime-gpu has)"
    return None


def _tensor(shape: tuple[int, ...], buffers: Buffers) -> GpuTensor:
    size = 4 * math.prod(shape)
    return GpuTensor(buffers.memory(size), shape, np.dtype(np.float32))


def _session(model: bytes, device: Device, stream: int) -> Any:
    lacks = missing()
    if lacks is not None:
        raise BackendError(f"{lacks}: pip install onnxruntime-gpu.")
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN of pip's own packages
    settings = {
        "device_id": str(device.ordinal),
        "user_compute_stream": str(stream),
        "use_tf32": "0",  # other labels than float32's
    }
    try:
        session = onnxruntime.InferenceSession(
            model, session_options(onnxruntime), providers=[(PROVIDER, settings)]
        )
    except Exception as err:  # its exceptions have no common base but this one
        raise BackendError(
            f"ONNX Runtime refuses the network on the GPU: {err}"
        ) from err
    if PROVIDER not in session.get_providers():  # what it offers may not load
        raise BackendError(
            "ONNX Runtime's CUDA provider did not load, and it fell back to the CPU: "
            "it wants CUDA and cuDNN of its own version; `fuseg doctor` says more."
        )
    return session
