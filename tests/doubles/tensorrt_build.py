"""The building half of the TensorRT doubles: an ONNX becomes a plan.

What a real build would refuse is refused here too: precision flags on a strongly typed
network, Q and DQ or float16 without their flags on a weakly typed one, formats that an
element type cannot have, a network that ONNX Runtime cannot type. The environment says
how it goes: see `tensorrt_faults`.
"""

from __future__ import annotations

import json
from typing import Any

from . import tensorrt_faults as faults
from . import tensorrt_plan as plans
from .tensorrt_api import State, dims, expect, since, versioned
from .tensorrt_network import ios, layout_of


class ITimingCache:
    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found

    def serialize(self) -> Any:
        return self._state.host_memory(json.dumps(self._found).encode())

    def combine(self, input_cache: Any, ignore_mismatch: bool) -> bool:
        other = expect(input_cache, self._state.module.ITimingCache, "combine")._found
        if not ignore_mismatch and other["gpu"] != self._found["gpu"]:
            return False
        self._found["timed"] = sorted({*self._found["timed"], *other["timed"]})
        return True


class IOptimizationProfile:
    def __init__(self) -> None:
        self._shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        # Nothing but the number of axes is looked at before the build.
        shapes = tuple(dims(self._state, shape) for shape in (min, opt, max))
        if len({*map(len, shapes)}) > 1:
            raise ValueError("Shape provided for opt is inconsistent with other shapes")
        self._shapes[expect(input, str, "set_shape")] = shapes


class IBuilderConfig:
    def __init__(self, logger: Any) -> None:
        self._logger = logger
        self._flags: set[str] = {"TF32"}  # as the real one begins
        self._pools: dict[str, int] = {}
        self._level, self._cache, self._monitor = 3, None, None
        self._profiles: list[dict[str, Any]] = []
        self._aux_streams = -1  # TensorRT decides
        module = self._state.module
        self._compatibility = module.HardwareCompatibilityLevel.NONE
        self._verbosity = module.ProfilingVerbosity.LAYER_NAMES_ONLY

    def set_flag(self, flag: Any) -> None:
        self._flags.add(expect(flag, self._state.module.BuilderFlag, "set_flag").name)

    def clear_flag(self, flag: Any) -> None:
        kind = self._state.module.BuilderFlag
        self._flags.discard(expect(flag, kind, "clear_flag").name)

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        kind = self._state.module.MemoryPoolType
        size = expect(pool_size, int, "set_memory_pool_limit")
        self._pools[expect(pool, kind, "set_memory_pool_limit").name] = size

    def add_optimization_profile(self, profile: Any) -> int:
        kind = self._state.module.IOptimizationProfile
        shapes = expect(profile, kind, "add_optimization_profile")._shapes
        for name, (least, typical, most) in shapes.items():
            sides = zip(least, typical, most, strict=True)
            if not all(0 <= low <= middle <= high for low, middle, high in sides):
                state, logger = self._state, self._logger
                state.error(
                    logger,
                    "IOptimizationProfile::isValid: Error Code 4: Invalid optimization "
                    f"profiles for input tensors {name}, please ensure that the "
                    "optimization profiles satisfy MIN<=OPT<=MAX.",
                )
                return -1
        self._profiles.append(shapes)
        return len(self._profiles) - 1

    @property
    def builder_optimization_level(self) -> int:
        return self._level

    @builder_optimization_level.setter
    def builder_optimization_level(self, level: int) -> None:
        self._level = expect(level, int, "builder_optimization_level")

    @property
    def max_aux_streams(self) -> int:
        return self._aux_streams

    @max_aux_streams.setter
    def max_aux_streams(self, streams: int) -> None:
        if expect(streams, int, "max_aux_streams") >= 0:  # or nothing happens
            self._aux_streams = streams

    @property
    def profiling_verbosity(self) -> Any:
        return self._verbosity

    @profiling_verbosity.setter
    def profiling_verbosity(self, verbosity: Any) -> None:
        kind = self._state.module.ProfilingVerbosity
        self._verbosity = expect(verbosity, kind, "profiling_verbosity")

    def create_timing_cache(self, serialized_timing_cache: Any) -> Any:
        data, gpu = bytes(memoryview(serialized_timing_cache)), faults.gpu()
        found = {"version": self._state.version, "gpu": gpu, "timed": []}
        if data:
            try:
                found = json.loads(data)
            except ValueError:
                return None
        return self._state.module.ITimingCache(found)

    def set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        found = expect(
            cache, self._state.module.ITimingCache, "set_timing_cache"
        )._found
        here = (self._state.version, faults.gpu())
        if not ignore_mismatch and (found["version"], found["gpu"]) != here:
            return False
        self._cache = cache
        return True

    @property
    def hardware_compatibility_level(self) -> Any:
        return self._compatibility

    @hardware_compatibility_level.setter
    def hardware_compatibility_level(self, level: Any) -> None:
        kind = self._state.module.HardwareCompatibilityLevel
        self._compatibility = expect(level, kind, "hardware_compatibility_level")

    @property
    @since(10)
    def progress_monitor(self) -> Any:
        return self._monitor

    @progress_monitor.setter
    def progress_monitor(self, monitor: Any) -> None:
        kind = self._state.module.IProgressMonitor
        self._monitor = expect(monitor, kind, "progress_monitor")


@since(10)
class IProgressMonitor:
    def __init__(self) -> None:
        self._made = True

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
        raise RuntimeError(f"phase_start({phase_name}, {parent_phase}, {num_steps})")

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise RuntimeError(f"step_complete({phase_name}, {step})")

    def phase_finish(self, phase_name: str) -> None:
        raise RuntimeError(f"phase_finish({phase_name})")


class Builder:
    def __init__(self, logger: Any) -> None:
        self._logger = expect(logger, self._state.module.ILogger, "Builder")
        if faults.is_on("no gpu"):
            sentence = "createInferBuilder: CUDA initialization failure with error: 35"
            self._state.error(logger, sentence)
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags: int = 0) -> Any:
        flags = expect(flags, int, "create_network")
        return self._state.module.INetworkDefinition(flags)

    def create_builder_config(self) -> Any:
        return self._state.module.IBuilderConfig(self._logger)

    def create_optimization_profile(self) -> Any:
        return self._state.module.IOptimizationProfile()

    def build_serialized_network(self, network: Any, config: Any) -> Any:
        state, module = self._state, self._state.module
        expect(network, module.INetworkDefinition, "build_serialized_network")
        expect(config, module.IBuilderConfig, "build_serialized_network")
        workspace = config._pools.get("WORKSPACE", 8 << 30)
        refused = _refusal(network, config) or faults.strike(
            network, workspace, self._logger
        )
        if refused:
            state.error(self._logger, f"IBuilder::buildSerializedNetwork: {refused}")
            return None
        if not faults.work(config._monitor):
            state.error(self._logger, "IBuilder::buildSerializedNetwork: cancelled")
            return None
        if config._cache is not None:
            timed = [n.op_type for n in network._model.graph.node]
            found = config._cache._found
            found["timed"] = sorted({*found["timed"], *timed})
        header = _header(network, config)
        if config._verbosity == module.ProfilingVerbosity.DETAILED:
            verbose = module.Logger.Severity.VERBOSE
            self._logger.log(verbose, plans.describe(header))
        return state.host_memory(plans.pack(header, network._onnx))


def _refusal(network: Any, config: Any) -> str | None:
    """Why TensorRT would not build this; None if it would."""
    if network._model is None:
        return "Error Code 4: Network must have at least one output"
    if not 0 <= config._level <= 5:
        return f"Error Code 3: optimization level {config._level}"
    operators = {n.op_type for n in network._model.graph.node}
    elements = {i.data_type for i in network._model.graph.initializer}
    precisions = config._flags & {"FP16", "INT8", "BF16", "FP8"}
    if network._typed() and precisions:
        return f"Error Code 3: {precisions} on a strongly typed network"
    if not network._typed():
        quantized = operators & {"QuantizeLinear", "DequantizeLinear"}
        if quantized and "INT8" not in config._flags:
            return "Error Code 4: layers are INT8, INT8 is not configured"
        if 10 in elements and "FP16" not in config._flags:
            return "Error Code 4: tensors are FP16, FP16 is not configured"
    try:
        for io in ios(network):
            layout_of(network, io)
    except ValueError as err:
        return str(err)
    inputs = (io for io in ios(network) if io.mode == "INPUT")
    refused = (_refused_sizes(io, config._profiles) for io in inputs if -1 in io.shape)
    return next(filter(None, refused), None)


def _refused_sizes(io: Any, profiles: list[dict[str, Any]]) -> str | None:
    """Why the builder does not know for which sizes of this input it builds."""
    if not profiles:
        return (
            "Error Code 4: Network has dynamic or shape inputs, but no optimization "
            "profile has been defined."
        )
    shapes = profiles[0].get(io.name)
    if shapes is None:
        return (
            f"Error Code 4: Dynamic input tensor {io.name} is missing dimensions in "
            "profile 0."
        )
    if len(shapes[0]) != len(io.shape):
        return (
            f"Error Code 4: Dynamic-shaped input tensor {io.name} has {len(io.shape)} "
            f"dimensions but profile 0 has {len(shapes[0])} dimensions."
        )
    for axis, side in enumerate(io.shape):
        sizes = [shape[axis] for shape in shapes]
        if side != -1 and {*sizes} != {side}:
            return (
                f"Error Code 4: Dimension mismatch for tensor {io.name} and profile 0. "
                f"At dimension axis {axis}, profile has {sizes} but tensor has {side}."
            )
    return None


def _header(network: Any, config: Any) -> dict[str, Any]:
    tensors = [
        {
            "name": io.name,
            "mode": io.mode,
            "dtype": io.dtype,
            "shape": io.shape,
            "format": layout_of(network, io),
        }
        for io in ios(network)
    ]
    layers = [n.name or n.op_type for n in network._model.graph.node]
    for i, tensor in enumerate(tensors):
        if tensor["format"] == "LINEAR" and tensor["dtype"] != "FLOAT":
            layers.append(
                f"Reformatting CopyNode for {tensor['mode'].title()} Tensor {i}"
            )
    return {
        "version": network._state.version,
        "gpu": faults.gpu(),
        "tensors": tensors,
        "layers": layers,
        "typed": network._typed(),
        "flags": sorted(config._flags),
        "pools": config._pools,
        "profile": config._profiles[0] if config._profiles else {},
        "level": config._level,
        "aux_streams": config._aux_streams,
        "version_compatible": "VERSION_COMPATIBLE" in config._flags,
        "hardware_compatibility": config._compatibility.name,
    }


def classes(state: State) -> dict[str, type]:
    made = (
        *(ITimingCache, IOptimizationProfile, IBuilderConfig),
        *(IProgressMonitor, Builder),
    )
    return {
        template.__name__: versioned(template, state)
        for template in made
        if state.has(template)
    }
