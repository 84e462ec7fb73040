"""ONNX Runtime on the CPU: the engine that is always there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError, BundleError
from . import Shapes


class OnnxRuntimeBackend:
    """An ONNX Runtime session whose inputs and outputs are bound once.

    Args:
        session: From `open_session`. Several backends may share one: a session may
            run from several threads at once, its bindings may not.
    """

    name = "onnxruntime"

    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}

    def bind(self, inputs: Shapes, outputs: Shapes) -> None:
        """See `Backend.bind`. Runs the network once, so that ONNX Runtime makes its
        own buffers now and not while the first frame waits."""
        _compare("input", self._session.get_inputs(), inputs)
        _compare("output", self._session.get_outputs(), outputs)
        self.inputs = {name: np.zeros(s, np.float32) for name, s in inputs.items()}
        self.outputs = {name: np.zeros(s, np.float32) for name, s in outputs.items()}
        self._binding = self._session.io_binding()
        for bind, arrays in (
            (self._binding.bind_input, self.inputs),
            (self._binding.bind_output, self.outputs),
        ):
            for name, array in arrays.items():
                bind(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self.run()

    def run(self) -> None:
        """See `Backend.run`. Other Python threads run meanwhile."""
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as err:  # its exceptions have no common base but this one
            raise BackendError(
                f"ONNX Runtime failed to run the network: {err}"
            ) from err

    def clone(self) -> OnnxRuntimeBackend:
        """See `Backend.clone`."""
        return OnnxRuntimeBackend(self._session)


def open_session(model: bytes, *, threads: int | None) -> Any:
    """Make an ``onnxruntime.InferenceSession`` on the CPU, quiet and sequential.

    Args:
        model: A serialised ONNX model without external data.
        threads: Threads of one operator, the calling one included. None: ONNX
            Runtime's own choice, the physical cores.

    Raises:
        BackendError: onnxruntime cannot be imported, or refuses the model; its own
            error is the cause.
    """
    try:
        import onnxruntime
    except ImportError as err:
        raise BackendError(
            f"ONNX Runtime cannot be imported ({err}): pip install onnxruntime."
        ) from err
    options = onnxruntime.SessionOptions()
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = 1
    if threads is not None:
        options.intra_op_num_threads = threads
    options.log_severity_level = 4  # failures arrive as exceptions, not on stderr
    try:
        return onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:  # its exceptions have no common base but this one
        raise BackendError(f"ONNX Runtime refuses the network: {err}") from err


def _compare(what: str, found: list[Any], wanted: Shapes) -> None:
    """Refuse a graph whose tensors are not exactly the manifest's."""
    graph = {node.name: (node.type, tuple(node.shape)) for node in found}
    manifest = {name: ("tensor(float)", tuple(s)) for name, s in wanted.items()}
    if graph != manifest:
        raise BundleError(
            f"the network's {what} tensors must be {_spell(manifest)}, as the manifest "
            f"says, got {_spell(graph)}: export the bundle again."
        )


def _spell(tensors: dict[str, tuple[str, tuple[Any, ...]]]) -> str:
    spelled = (f"{n} {kind} {shape}" for n, (kind, shape) in sorted(tensors.items()))
    return ", ".join(spelled) or "none"
