"""OpenCV's DNN module on the CPU."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._kernels import native_call
from ..errors import BackendError
from .base import CpuBackendInfo, Shapes, require_from


class OpenCvBackend:
    """A ``cv2.dnn.Net`` whose inputs and outputs are bound once.

    Args:
        model: A serialised ONNX model; each clone reads it, as a net keeps its inputs.
    """

    name = "opencv"

    def __init__(self, model: bytes) -> None:
        self.model = model
        self.network: Any = None
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}

    def bind(self, inputs: Shapes, outputs: Shapes) -> None:
        """See `Backend.bind`."""
        buffer = np.frombuffer(self.model, np.uint8)
        try:
            self.network = native_call(_import().dnn.readNetFromONNX, buffer)
        except Exception as err:  # cv2.error is known only where cv2 is imported
            require_from("cv2", err)
            raise BackendError(f"OpenCV refuses the network: {err}") from err
        self.inputs = {n: np.zeros(s, np.float32) for n, s in inputs.items()}
        self.outputs = {n: np.zeros(s, np.float32) for n, s in outputs.items()}

    def run(self) -> None:
        """See `Backend.run`."""
        try:
            for name, array in self.inputs.items():
                self.network.setInput(array, name)
            found = native_call(self.network.forward, list(self.outputs))
        except Exception as err:  # as above
            require_from("cv2", err)
            raise BackendError(f"OpenCV failed to run the network: {err}") from err
        for array, values in zip(self.outputs.values(), found, strict=True):
            np.copyto(array, values)

    def clone(self) -> OpenCvBackend:
        """See `Backend.clone`."""
        return OpenCvBackend(self.model)


def _import() -> Any:
    try:
        return importlib.import_module("cv2")
    except ImportError as err:
        raise BackendError(
            f"OpenCV cannot be imported ({err}): pip install opencv-python-headless."
        ) from err


def _load(model: bytes, threads: int | None, _: bool) -> OpenCvBackend:
    if threads is not None:
        _import().setNumThreads(threads)
    return OpenCvBackend(model)


INFO = CpuBackendInfo(
    name="opencv",
    module="cv2",
    packages=("opencv-python-headless", "opencv-python"),
    load=_load,
    import_library=_import,
    impact="backend opencv",
    install="pip install opencv-python-headless",
)
