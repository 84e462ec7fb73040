"""A module that uses TensorRT in the ways fuseg does, for the checker's own tests."""

from __future__ import annotations

from typing import Any

import tensorrt as trt


def build(onnx: bytes, logger: trt.ILogger | None = None) -> bytes:
    logger = logger or trt.Logger(min_severity=trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(_flags())
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx):
        errors = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        raise ValueError("; ".join(errors))
    config = builder.create_builder_config()
    config.builder_optimization_level = 1
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, pool_size=1 << 20)
    if hasattr(trt.BuilderFlag, "FP16") and not hasattr(
        trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"
    ):
        config.set_flag(trt.BuilderFlag.FP16)
    if hasattr(config, "progress_monitor"):
        config.progress_monitor = _progress()
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RuntimeError("not built")
    return bytes(plan)


def _flags() -> int:
    kinds = trt.NetworkDefinitionCreationFlag
    typed = getattr(kinds, "STRONGLY_TYPED", None)
    return 1 << int(kinds.EXPLICIT_BATCH if typed is None else typed)


def _progress() -> Any:
    class Progress(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            self.last = f"{parent}/{name}: {steps}"

        def step_complete(self, name: str, step: int) -> bool:
            self.last = f"{name}: {step}"
            return True

        def phase_finish(self, name: str) -> None:
            self.last = name

    return Progress()


class Run:
    def __init__(self, plan: bytes) -> None:
        self._runtime = trt.Runtime(trt.Logger())
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        self._context = self._engine.create_execution_context()

    def tensors(self) -> dict[str, Any]:
        names = map(self._engine.get_tensor_name, range(self._engine.num_io_tensors))
        return {name: self._engine.get_tensor_dtype(name) for name in names}

    def start(self, addresses: dict[str, int], stream: int) -> None:
        for name, address in addresses.items():
            if not self._context.set_tensor_address(name, address):
                raise RuntimeError(name)
        if not self._context.execute_async_v3(stream_handle=stream):
            raise RuntimeError("not started")
