"""An execution context of the TensorRT doubles: work put on a stream, run later."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

import numpy as np

from . import tensorrt_plan as plans
from .faults import Refused
from .tensorrt_api import dims, expect, since

_ALIGNMENT = 256


class IExecutionContext:
    def __init__(self, engine: Any) -> None:
        self._engine = engine  # which the real one keeps alive too
        self._addresses: dict[str, int] = {}
        self._pending: dict[int, int] = {}
        self._scratch: tuple[int, int] | None = None  # where others gave it; or its own
        self._shapes: dict[str, tuple[int, ...]] = {}  # of inputs with a dimension
        self._changes = 0  # of what a CUDA graph was captured with
        self._is_settled = True  # whether nothing is left to do for new shapes

    def set_tensor_address(self, name: str, memory: int) -> bool:
        memory = expect(memory, int, "set_tensor_address")
        if not self._engine._tensor(name):
            return False
        self._addresses[name] = memory
        self._changes += 1
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        engine, given = self._engine, dims(self._state, shape)
        if self._state.refused("set_input_shape", engine._logger):
            return False
        known = engine._tensor(name)
        why = _refused_shape(name, given, known, engine._header["profile"])
        if known.get("mode") != "INPUT" or why:
            self._state.error(
                engine._logger, f"IExecutionContext::setInputShape: Error Code 3: {why}"
            )
            return False
        self._shapes[name], self._is_settled = given, False
        self._changes += 1
        self._specialize()
        return True

    def _specialize(self) -> None:
        """What TensorRT for RTX does of a new shape."""

    @since(10, 1)
    def set_device_memory(self, memory: int, size: int) -> None:
        self._set_scratch(memory, expect(size, int, "set_device_memory"))

    def _set_scratch(self, memory: int, size: int) -> None:
        if self._scratch is None:
            self._misused("setDeviceMemory: the context has memory of its own")
        self._scratch = (expect(memory, int, "device_memory"), size)
        self._changes += 1

    # It can be set and not read, as in the bindings.
    device_memory = property(
        None, lambda self, memory: self._set_scratch(memory, self._engine._scratch())
    )

    def execute_async_v3(self, stream_handle: int) -> bool:
        stream = expect(stream_handle, int, "execute_async_v3")
        state, logger = self._state, self._engine._logger
        machine = state.machine
        if state.refused("execute_async_v3", logger):
            return False
        busy = [s for s, n in self._pending.items() if n and s != stream]
        if busy:
            self._misused(f"the context is at work on stream {busy[0]:#x} already")
        tensors = self._engine._sized(self._shapes)
        if tensors is None:
            state.error(
                logger,
                "IExecutionContext::enqueueV3: Error Code 3: condition: "
                "allInputDimensionsSpecified",
            )
            return False
        ranges: dict[str, list[tuple[int, int]]] = {"INPUT": [], "OUTPUT": []}
        for name, tensor in tensors.items():
            address = self._addresses.get(name, 0)
            if not address:
                self._misused(f"enqueueV3: no address is set for tensor {name}")
            if address % _ALIGNMENT:
                self._misused(f"address {address:#x} of tensor {name} is not aligned")
            ranges[tensor["mode"]].append((address, _bytes(tensor)))
        if self._scratch is not None:
            address, size = self._scratch
            if size < self._engine._scratch() or not address or address % _ALIGNMENT:
                self._misused(f"{size} bytes of device memory at {address:#x}")
            ranges["OUTPUT"].append((address, self._engine._scratch()))
        capturing = machine.is_capturing(stream)
        if capturing and not self._is_settled:
            self._misused("a new shape is captured before it ran once")
        thunk = _Run(self, tensors, None if capturing else stream)
        try:
            machine.enqueue(
                stream, "enqueue", thunk, reads=ranges["INPUT"], writes=ranges["OUTPUT"]
            )
        except Refused as err:
            state.error(logger, f"IExecutionContext::enqueueV3: Error Code 1: {err}")
            return False
        if not capturing:
            self._pending[stream] = self._pending.get(stream, 0) + 1
            self._is_settled = True
        return True

    def _misused(self, sentence: str) -> None:
        self._state.error(
            self._engine._logger,
            f"IExecutionContext::enqueueV3: Error Code 3: {sentence}",
        )
        raise self._state.misuse(sentence)


class _Run:
    """One run, with the addresses that were set when it was put on the stream.

    It keeps the context no more alive than a stream does.
    """

    def __init__(self, context: Any, tensors: dict[str, Any], stream: Any) -> None:
        self._context, self._stream = weakref.ref(context), stream
        self._addresses, self._misuse = dict(context._addresses), context._state.misuse
        self._tensors, self._changes = tensors, context._changes
        self._scratch = context._scratch

    def __call__(self) -> None:
        context = self._context()
        if context is None:
            raise self._misuse("a context was deleted before its work was done")
        if self._stream is not None:
            context._pending[self._stream] -= 1
        elif context._changes != self._changes:
            raise self._misuse("a CUDA graph of a context that has changed since")
        engine = context._engine
        if self._scratch is not None:
            ctypes.memset(self._scratch[0], 0x77, engine._scratch())
        arrays = {
            name: _array(tensor, self._addresses[name])
            for name, tensor in self._tensors.items()
        }
        feeds, results = {}, []
        for name, tensor in self._tensors.items():
            if tensor["mode"] == "INPUT":
                shape = tuple(tensor["shape"])
                feeds[name] = plans.load(arrays[name], shape, tensor["format"])
            else:
                results.append(name)
        for name, value in zip(results, engine._run(feeds, results), strict=True):
            array, layout = arrays[name], engine._tensors[name]["format"]
            array[...] = plans.store(value, layout, array)


def _refused_shape(
    name: str, shape: tuple[int, ...], tensor: dict[str, Any], profile: dict[str, Any]
) -> str | None:
    known = tensor.get("shape", ())
    fits = len(shape) == len(known) and all(
        want in (-1, got) for want, got in zip(known, shape, strict=True)
    )
    if not fits:
        return f"Static dimension mismatch: {name} is set to {shape}, not {known}"
    least, _, most = profile.get(name, (known, known, known))
    if not all(a <= n <= b for a, n, b in zip(least, shape, most, strict=True)):
        return (
            f"Set dimension {shape} for tensor {name} does not satisfy any "
            "optimization profiles. Valid range for optimization profile 0: "
            f"{least}..{most}."
        )
    return None


def _array(tensor: dict[str, Any], address: int) -> np.ndarray:
    memory = (ctypes.c_uint8 * _bytes(tensor)).from_address(address)
    shape = plans.stored_shape(tuple(tensor["shape"]), tensor["format"])
    flat = np.frombuffer(memory, plans.NUMPY[tensor["dtype"]])
    return flat.reshape(shape)


def _bytes(tensor: dict[str, Any]) -> int:
    shape = plans.stored_shape(tuple(tensor["shape"]), tensor["format"])
    return int(np.prod(shape)) * np.dtype(plans.NUMPY[tensor["dtype"]]).itemsize
