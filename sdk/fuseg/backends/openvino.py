"""OpenVINO on the CPU, x86 or ARM: the extra ``fuseg[openvino]``."""

from __future__ import annotations

import functools
import os
import sys
from typing import Any

from numpy.typing import NDArray

from .._kernels import native_call
from ..errors import BackendError
from ..host.process import forks, never_destroy_in_child
from .base import (
    Arrays,
    CpuBackendInfo,
    Shapes,
    Spinning,
    dtypes_of,
    require_from,
    require_in_place,
    require_tensors,
    shapes_of,
)


class OpenVinoBackend:
    """A compiled OpenVINO network whose inputs and outputs are bound once.

    Args:
        network: From `compile_network`. Several backends may share one; each has a
            request of its own.

    Attributes:
        network: The ``openvino.CompiledModel``.
        request: The ``openvino.InferRequest`` of this backend; None before `bind`.
    """

    name = "openvino"
    survives_fork = False  # its threads do not

    def __init__(self, network: Any) -> None:
        self.network = network
        self.request: Any = None
        self.inputs: dict[str, NDArray[Any]] = {}
        self.outputs: dict[str, NDArray[Any]] = {}

    def bind(self, inputs: Arrays, outputs: Arrays) -> None:
        """See `Backend.bind`. Runs the network once, so that OpenVINO makes its own
        buffers now and not while the first frame waits."""
        require_in_place(inputs, outputs)
        given, made = shapes_of(inputs), shapes_of(outputs)
        found = _tensors(self.network.inputs, given)
        require_tensors("input", found, given, dtypes_of(inputs))
        found = _tensors(self.network.outputs, made)
        require_tensors("output", found, made, dtypes_of(outputs))
        self.inputs, self.outputs = dict(inputs), dict(outputs)
        Tensor = import_openvino().Tensor
        try:
            self.request = self.network.create_infer_request()
            never_destroy_in_child(self.request)
            for name, array in (*self.inputs.items(), *self.outputs.items()):
                self.request.set_tensor(name, Tensor(array, shared_memory=True))
        except Exception as err:  # its exceptions have no common base but this one
            require_from("openvino", err)
            raise BackendError(f"OpenVINO refuses the buffers: {err}") from err
        self.run()

    def run(self) -> None:
        """See `Backend.run`. Other Python threads run meanwhile."""
        try:
            # Without share_outputs it copies every output.
            native_call(self.request.infer, share_outputs=True)
        except Exception as err:  # its exceptions have no common base but this one
            require_from("openvino", err)
            raise BackendError(f"OpenVINO failed to run the network: {err}") from err

    def clone(self) -> OpenVinoBackend:
        """See `Backend.clone`."""
        return OpenVinoBackend(self.network)


def compile_network(model: bytes, *, threads: int | None) -> Any:
    """Make an ``openvino.CompiledModel`` on the CPU, for one request at a time.

    Args:
        model: A serialised ONNX model without external data.
        threads: Threads of the network. None: OpenVINO's own choice.

    Raises:
        BackendError: openvino cannot be imported, or refuses the model; its own
            error is the cause.
    """
    if forks() != _forks_before_use():
        raise BackendError(
            "OpenVINO does not work in a process that fork made of one that used it: "
            "start the process with spawn (multiprocessing.get_context('spawn')), or "
            "choose backend 'onnxruntime'."
        )
    settings: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # Where the CPU has bfloat16 it would be used for what is float32: other labels.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    try:
        core = the_core()
        read = native_call(core.read_model, model)
        network = native_call(core.compile_model, read, "CPU", settings)
        never_destroy_in_child(network)
        return network
    except Exception as err:  # its exceptions have no common base but this one
        require_from("openvino", err)
        raise BackendError(f"OpenVINO refuses the network: {err}") from err


@functools.cache
def _forks_before_use() -> int:
    """How many forks there had been when OpenVINO was used first."""
    return forks()


@functools.cache
def the_core() -> Any:
    """OpenVINO's core: one for the process, never given back.

    Each makes a stack for signal handlers as it is made and puts the one before back
    when it goes; if they do not go in the reverse order, a stack is left that is no
    memory any more, and the next signal with a handler ends the process.

    Raises:
        BackendError: See `import_openvino`.
    """
    core = import_openvino().Core()
    never_destroy_in_child(core)
    return core


def import_openvino() -> Any:
    """The module ``openvino``, which reports nothing: the only way to import it here.

    On its import, its package for model conversion makes a client id in ``~/intel`` and
    sends an event to Google Analytics, unless there is a file that says no; there is no
    switch for a process. Without the package ``openvino_telemetry`` it sends nothing,
    and does without: so that is not found while it is imported. A user who has answered
    (``opt_in_out`` writes the file) is left with the answer.

    Raises:
        BackendError: It cannot be imported; its own error is the cause.
    """
    answered = os.path.exists(os.path.expanduser("~/intel/openvino_telemetry"))
    hide = not answered and "openvino_telemetry" not in sys.modules
    if hide:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        import openvino
    except ImportError as err:
        raise BackendError(
            f'OpenVINO cannot be imported ({err}): pip install "fuseg[openvino]".'
        ) from err
    finally:
        if hide:
            del sys.modules["openvino_telemetry"]
    return openvino


def _tensors(
    ports: list[Any], wanted: Shapes
) -> dict[str, tuple[str, tuple[Any, ...]]]:
    """Element type and shape by name: a tensor may have several, one is wanted."""
    found = {}
    for port in ports:
        name = next((n for n in sorted(port.names) if n in wanted), port.any_name)
        shape = tuple(
            d.get_length() if d.is_static else str(d) for d in port.partial_shape
        )
        found[name] = (port.element_type.to_dtype().name, shape)
    return found


def _load(model: bytes, threads: int | None, _: Spinning) -> OpenVinoBackend:
    return OpenVinoBackend(compile_network(model, threads=threads))


INFO = CpuBackendInfo(
    name="openvino",
    module="openvino",
    packages=("openvino",),
    load=_load,
    import_library=import_openvino,
    impact="backend openvino, often the fastest on a CPU",
    install='pip install "fuseg[openvino]"',
)
