"""The running half of the TensorRT doubles: a plan's ONNX on the CPU, on a stream."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from . import tensorrt_faults as faults
from . import tensorrt_plan as plans
from .tensorrt_api import expect, since, until


class Dims:
    """A shape: a sequence, and no tuple."""

    def __init__(self, shape: Any = ()) -> None:
        self._shape = tuple(int(n) for n in shape)

    def __len__(self) -> int:
        return len(self._shape)

    def __getitem__(self, arg0: Any) -> Any:
        return self._shape[arg0]

    def __repr__(self) -> str:
        return str(self._shape)


class Runtime:
    def __init__(self, logger: Any) -> None:
        self._logger = expect(logger, self._state.module.ILogger, "Runtime")
        self._host_code = False

    @property
    def engine_host_code_allowed(self) -> bool:
        return self._host_code

    @engine_host_code_allowed.setter
    def engine_host_code_allowed(self, allowed: bool) -> None:
        self._host_code = expect(allowed, bool, "engine_host_code_allowed")

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Any:
        state, logger = self._state, self._logger
        plan = bytes(memoryview(serialized_engine))
        if state.refused("deserialize_cuda_engine", logger):
            return None
        if faults.is_on("load"):
            cuda = "In ScopedCudaStream (cudaError 35)"
            told = f"Error Code 1: Cuda Runtime ({cuda})"
            state.error(logger, f"IRuntime::deserializeCudaEngine: {told}")
            return None
        try:
            header, onnx = plans.unpack(plan)
        except ValueError as err:
            state.error(logger, f"IRuntime::deserializeCudaEngine: Error Code 1: {err}")
            return None
        if header["version_compatible"]:
            if not self._host_code:
                state.error(
                    logger,
                    "IRuntime::deserializeCudaEngine: Error Code 4: the engine holds a "
                    "lean runtime: setEngineHostCodeAllowed(true)",
                )
                return None
        elif header["version"] != state.version:
            state.error(
                logger,
                "IRuntime::deserializeCudaEngine: Error Code 1: Serialization "
                f"(Version tag does not match. Note: Current Version: {state.version}, "
                f"Serialized Engine Version: {header['version']})",
            )
            return None
        return state.module.ICudaEngine(_Made(header, onnx, logger))


class _Made:
    def __init__(self, header: dict[str, Any], onnx: bytes, logger: Any) -> None:
        self.header, self.onnx, self.logger = header, onnx, logger


class ICudaEngine:
    def __init__(self, made: _Made) -> None:
        self._header, self._onnx = expect(made, _Made, "ICudaEngine").header, made.onnx
        self._logger, self._session = made.logger, None
        self._sizes: dict[Any, dict[str, Any]] = {}
        self._tensors = {t["name"]: t for t in self._header["tensors"]}

    @property
    def num_io_tensors(self) -> int:
        return len(self._tensors)

    def get_tensor_name(self, index: int) -> str:
        return list(self._tensors)[index]

    def get_tensor_mode(self, name: str) -> Any:
        mode = self._tensor(name).get("mode", "NONE")
        return getattr(self._state.module.TensorIOMode, mode)

    def get_tensor_dtype(self, name: str) -> Any:
        dtype = self._tensor(name).get("dtype", "FLOAT")
        return getattr(self._state.module.DataType, dtype)

    def get_tensor_shape(self, name: str) -> Any:
        return self._state.module.Dims(self._tensor(name).get("shape", ()))

    def get_tensor_format(self, name: str) -> Any:
        layout = self._tensor(name).get("format", "LINEAR")
        return getattr(self._state.module.TensorFormat, layout)

    @since(10)
    def create_execution_context(self, strategy: Any = None) -> Any:
        kinds = self._state.module.ExecutionContextAllocationStrategy
        strategy = expect(strategy or kinds.STATIC, kinds, "create_execution_context")
        return self._context(has_memory=strategy != kinds.USER_MANAGED)

    @until(11)
    def create_execution_context_without_device_memory(self) -> Any:
        return self._context(has_memory=False)

    @property
    @until(11)
    def device_memory_size(self) -> int:
        return self._scratch()

    @property
    @since(10, 1)
    def device_memory_size_v2(self) -> int:
        return self._scratch()

    def _context(self, *, has_memory: bool) -> Any:
        if self._state.refused("create_execution_context", self._logger):
            return None
        context = self._state.module.IExecutionContext(self)
        if not has_memory:
            context._scratch = (0, 0)
        return context

    def _scratch(self) -> int:
        """Other bytes for other networks."""
        return 1024 * len(self._header["layers"])

    def create_engine_inspector(self) -> Any:
        return self._state.module.EngineInspector(self)

    def _tensor(self, name: str) -> dict[str, Any]:
        expect(name, str, "name")
        if name not in self._tensors:
            self._state.error(
                self._logger,
                f"Error Code 3: {name} is no input or output of the engine",
            )
        return self._tensors.get(name, {})

    def _sized(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, Any] | None:
        """The tensors at these shapes of inputs; None if one has none."""
        if all(-1 not in tensor["shape"] for tensor in self._tensors.values()):
            return self._tensors
        inputs = {n: t for n, t in self._tensors.items() if t["mode"] == "INPUT"}
        known = {name: shapes.get(name, t["shape"]) for name, t in inputs.items()}
        if any(-1 in shape for shape in known.values()):
            return None
        key = tuple(map(tuple, known.values()))
        if key not in self._sizes:  # as the network says, run once
            types = {name: plans.NUMPY[t["dtype"]] for name, t in inputs.items()}
            zeros = {name: np.zeros(known[name], types[name]) for name in inputs}
            names = [name for name in self._tensors if name not in inputs]
            found = zip(names, self._run(zeros, names), strict=True)
            known |= {name: value.shape for name, value in found}
            self._sizes[key] = {
                name: {**t, "shape": known[name]} for name, t in self._tensors.items()
            }
        sized: dict[str, Any] = self._sizes[key]
        return sized

    def _run(self, feeds: dict[str, np.ndarray], wanted: list[str]) -> list[Any]:
        if self._session is None:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            options.intra_op_num_threads = 1
            # ONNX Runtime 1.31 miscomputes float16 pairs once it has optimised them.
            level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.graph_optimization_level = level
            self._session = onnxruntime.InferenceSession(
                self._onnx, options, providers=["CPUExecutionProvider"]
            )
        # INT32 is what the versions without INT64 make of it.
        integers = {i.name for i in self._session.get_inputs() if "int64" in i.type}
        feeds |= {name: feeds[name].astype(np.int64) for name in integers}
        found: list[Any] = self._session.run(wanted, feeds)
        return found


class EngineInspector:
    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def get_engine_information(self, format: Any) -> str:
        expect(format, self._state.module.LayerInformationFormat, "format")
        header = self._engine._header
        if int(format) == 0:
            return "\n".join(["Layers:", *header["layers"], "", "Bindings:"])
        bindings = list(self._engine._tensors)
        return json.dumps({"Layers": header["layers"], "Bindings": bindings})


class ICudaEngine8:
    """What the version before `ExecutionContextAllocationStrategy` has."""

    def create_execution_context(self) -> Any:
        return self._context(has_memory=True)


TEMPLATES = (Dims, Runtime, ICudaEngine, EngineInspector)
