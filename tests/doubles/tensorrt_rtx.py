"""What TensorRT for RTX has beside TensorRT: it compiles where an engine is loaded.

A context compiles them, which counts as "compile" on the machine, unless a runtime
cache of the same GPU, driver and version has them.
"""

from __future__ import annotations

import json
from typing import Any

from . import tensorrt_context, tensorrt_run
from . import tensorrt_plan as plans
from .tensorrt_api import State, expect


class Runtime:
    @property
    def engine_header_size(self) -> int:
        return plans.HEADER_SIZE

    def get_engine_validity(self, buffer: Any) -> tuple[Any, int]:
        module, state = self._state.module, self._state
        bits, invalid = (
            module.EngineInvalidityDiagnostics,
            module.EngineValidity.INVALID,
        )
        version = plans.version_of(bytes(memoryview(buffer)))
        if version is None:
            return invalid, int(bits.MALFORMED_ENGINE)
        if version != state.version:
            return invalid, int(bits.VERSION_MISMATCH)
        if state.machine.capability < (8, 6):
            return invalid, int(bits.UNSUPPORTED_CC)
        return module.EngineValidity.VALID, 0


class ICudaEngine:
    def create_runtime_config(self) -> Any:
        return self._state.module.IRuntimeConfig(self)

    def create_execution_context(self, runtime_config: Any = None) -> Any:
        state, cache = self._state, None
        if runtime_config is not None:
            kind = state.module.IRuntimeConfig
            cache = expect(runtime_config, kind, "create_execution_context")._cache
        managed = state.module.ExecutionContextAllocationStrategy.USER_MANAGED
        strategy = None if runtime_config is None else runtime_config._strategy
        context = self._context(has_memory=strategy != managed)
        if context is not None and runtime_config is not None:
            context._specializes = runtime_config._specializes
        kernels = self._header["layers"]
        if context is not None and (cache is None or cache._kernels != kernels):
            state.machine.maybe_fail("compile")
            if cache is not None:
                cache._kernels = kernels
        return context


class IExecutionContext:
    _specializes = None

    def _specialize(self) -> None:
        kinds = self._state.module.DynamicShapesKernelSpecializationStrategy
        if (self._specializes or kinds.LAZY) != kinds.NONE:
            self._state.machine.maybe_fail("compile")  # kernels for it alone

    def is_stream_capturable(self, stream: int) -> bool:
        expect(stream, int, "is_stream_capturable")
        return "REQUIRE_USER_ALLOCATION" in self._engine._header["flags"]


class IRuntimeConfig:
    def __init__(self, engine: Any) -> None:
        self._engine, self._cache = engine, None
        module = self._state.module
        self._strategy = module.ExecutionContextAllocationStrategy.STATIC
        self._specializes = module.DynamicShapesKernelSpecializationStrategy.LAZY

    @property
    def dynamic_shapes_kernel_specialization_strategy(self) -> Any:
        return self._specializes

    @dynamic_shapes_kernel_specialization_strategy.setter
    def dynamic_shapes_kernel_specialization_strategy(self, strategy: Any) -> None:
        kind = self._state.module.DynamicShapesKernelSpecializationStrategy
        self._specializes = expect(strategy, kind, "dynamic_shapes_kernel")

    def set_execution_context_allocation_strategy(self, strategy: Any = None) -> None:
        kind = self._state.module.ExecutionContextAllocationStrategy
        self._strategy = expect(strategy or kind.STATIC, kind, "set_execution_context")

    def create_runtime_cache(self) -> Any:
        return self._state.module.IRuntimeCache()

    def set_runtime_cache(self, cache: Any = None) -> bool:
        kind = self._state.module.IRuntimeCache
        self._cache = expect(cache, kind, "set_runtime_cache")
        return True


class IRuntimeCache:
    def __init__(self) -> None:
        machine = self._state.machine
        self._made_on = [self._state.version, machine.name, machine.driver_version]
        self._kernels: list[str] = []

    def serialize(self) -> Any:
        text = json.dumps([self._made_on, self._kernels])
        return self._state.host_memory(text.encode())

    def deserialize(self, blob: Any) -> bool:
        try:
            made_on, kernels = json.loads(bytes(memoryview(blob)))
        except ValueError:
            return False
        if made_on != self._made_on:
            return False
        self._kernels = kernels
        return True


def extended(state: State) -> dict[str, type]:
    """Templates by name: the running half's, with these members where it is for RTX."""
    made = {
        template.__name__: template
        for template in (*tensorrt_run.TEMPLATES, tensorrt_context.IExecutionContext)
    }
    others = (Runtime, ICudaEngine, IExecutionContext) if state.is_rtx else ()
    if state.number < (10,):
        others = (tensorrt_run.ICudaEngine8,)
    for more in others:
        name = more.__name__.removesuffix("8")
        made[name] = type(name, (), {**vars(made[name]), **vars(more)})
    if state.is_rtx:
        made |= {kind.__name__: kind for kind in (IRuntimeConfig, IRuntimeCache)}
    return made
