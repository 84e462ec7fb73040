"""The running half of the ONNX Runtime double: what a session binds, takes and runs."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as real
from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

from .faults import OutOfMemory, Refused
from .memory import Misuse, view

if TYPE_CHECKING:
    from .onnxruntime_cuda import InferenceSession, State

_WEIGHTS = 4096  # bytes of the GPU that a session takes, for a network of any size
_NUMPY = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
}


class IOBinding:
    """Where a session on the GPU reads and writes."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = weakref.ref(session)
        self.inputs: dict[str, tuple[int, int, Any]] = {}
        self.outputs: dict[str, tuple[int, int, Any]] = {}

    @property
    def session(self) -> InferenceSession | None:
        return self._session()

    def bind_input(
        self,
        name: Any,
        device_type: Any,
        device_id: Any,
        element_type: Any,
        shape: Any,
        buffer_ptr: Any,
    ) -> None:
        known = {node.name: node for node in self._alive().get_inputs()}
        if name not in known:
            raise RuntimeError(
                "Error when binding input: Failed to find input name in the mapping: "
                f"{name}"
            )
        place = (device_type, device_id, element_type, shape, buffer_ptr)
        self.inputs[name] = self._range(known[name], *place)

    def bind_output(
        self,
        name: Any,
        device_type: Any = "cpu",
        device_id: Any = 0,
        element_type: Any = None,
        shape: Any = None,
        buffer_ptr: Any = None,
    ) -> None:
        known = {node.name: node for node in self._alive().get_outputs()}
        if name not in known or buffer_ptr is None:
            raise Misuse(f"bind_output: {name} has no buffer, or is no output")
        place = (device_type, device_id, element_type, shape, buffer_ptr)
        self.outputs[name] = self._range(known[name], *place)

    def _alive(self) -> InferenceSession:
        session = self._session()
        if session is None:
            raise Misuse("a binding outlives its session")
        return session

    def _range(
        self,
        node: Any,
        device_type: str,
        device_id: int,
        element_type: Any,
        shape: Any,
        buffer_ptr: int,
    ) -> tuple[int, int, Any]:
        cuda = self._alive()._cuda
        assert cuda is not None
        if (device_type, device_id) != ("cuda", cuda.device):
            raise Misuse(f"{node.name} is bound on {device_type} {device_id}")
        if not isinstance(buffer_ptr, int) or not isinstance(shape, list | tuple):
            raise TypeError("bind_input(): incompatible function arguments.")
        if np.dtype(element_type) != _NUMPY.get(node.type):
            raise RuntimeError(
                "Error in execution: Unexpected input data type. Actual: "
                f"({element_type}) , expected: ({node.type})"
            )
        if len(shape) != len(node.shape) or any(
            want != got and not isinstance(want, str)
            for want, got in zip(node.shape, shape, strict=True)
        ):
            raise RuntimeError(
                f"Error in execution: Got invalid dimensions for input: {node.name}"
            )
        size = int(np.prod(shape)) * np.dtype(element_type).itemsize
        cuda.require(buffer_ptr, size, node.name)
        return buffer_ptr, size, view(buffer_ptr, shape, element_type)


class Provider:
    """A session's provider: its GPU, its stream, and the memory that it takes."""

    def __init__(self, state: State, device: int, stream: int) -> None:
        machine = state.machine
        machine.use_device(device)  # and it stays the calling thread's
        with machine.lock:
            found = machine._queues.stream(stream, "user_compute_stream")
        if found.device != device:
            raise Misuse(f"user_compute_stream: {found} is of another GPU")
        self.machine, self.device, self.stream = machine, device, stream
        self._taken: list[int] = []
        self._take(_WEIGHTS)
        self._pending = 0

    def require(self, address: int, size: int, name: str) -> None:
        with self.machine.lock:
            self.machine._memory.find(address, size, f"the buffer of {name}")

    def run(self, session: InferenceSession, binding: IOBinding, waits: bool) -> None:
        machine, stream = self.machine, self.stream
        if machine.is_capturing(stream):
            raise Misuse("run_with_iobinding: the provider allocates; no capture")
        inputs, outputs = binding.inputs, binding.outputs
        for node in session.get_inputs():
            if node.name not in inputs:
                raise RuntimeError(f"Error in execution: Missing Input: {node.name}")
        if outputs.keys() != {node.name for node in session.get_outputs()}:
            raise Misuse("run_with_iobinding: an output is not bound")
        machine.use_device(self.device)
        if len(self._taken) == 1:  # its arena grows with the first run
            self._take(sum(size for _, size, _ in (inputs | outputs).values()))
        try:
            machine.maybe_fail("run_with_iobinding")
            machine.enqueue(
                stream,
                "enqueue",
                self._work(weakref.ref(session), dict(inputs), dict(outputs)),
                reads=[place[:2] for place in inputs.values()],
                writes=[place[:2] for place in outputs.values()],
            )
            self._pending += 1
            if waits:
                machine.synchronize(stream)
        except Refused as err:
            raise RuntimeError(f"Error in execution: CUDA failure 719: {err}") from None

    def _work(self, alive: Any, inputs: Any, outputs: Any) -> Any:
        def work() -> None:
            session = alive()
            if session is None:
                raise Misuse("a session was deleted before its work was done")
            self._pending -= 1
            feeds = {name: array for name, (_, _, array) in inputs.items()}
            found = real.InferenceSession.run(session, list(outputs), feeds)
            for (_, _, array), value in zip(outputs.values(), found, strict=True):
                if array.shape != value.shape:  # which the real one tells at the run
                    raise Misuse(f"{array.shape} is bound for {value.shape}")
                array[...] = value

        return work

    def _take(self, size: int) -> None:
        try:
            self._taken.append(self.machine.allocate(size))
        except OutOfMemory:
            raise RuntimeException(
                "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena: Failed to "
                f"allocate memory for requested buffer of size {size}"
            ) from None

    def end(self) -> None:
        """What the session's destructor does."""
        with self.machine.lock:
            self.machine._queues.stream(self.stream, "the end of a session")
        if self._pending:
            raise Misuse("a session was deleted before its work was done")
        device = self.machine.current_device()
        self.machine.push(self.device)
        try:
            while self._taken:
                self.machine.free(self._taken.pop())
        except Refused:  # a lost GPU; the real one only logs it
            self._taken.clear()
        self.machine.pop(self.device)
        assert self.machine.current_device() == device
