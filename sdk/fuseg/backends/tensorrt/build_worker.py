"""The child process that builds one engine, run as
``python -m fuseg.backends.tensorrt.build_worker``.

TensorRT takes minutes and gigabytes, and may crash or be killed; whoever wants an
engine shall survive that. Stdin: one line of JSON, then the ONNX. Stdout: lines of
JSON, each an event; after the event "engine" the plan. Stderr: TensorRT's log.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

from ...errors import BundleError
from ...host.child_process import die_with_parent
from .build_progress import ProgressTracker
from .build_protocol import BuildFailed, BuildLog, GpuFailed, Reporter
from .build_timings import keep_timings, with_timings
from .engine_log import read_engine_log
from .fingerprint import more_workspace
from .formats import LAYOUTS, TYPES, make_logger, word_of
from .io_formats import IoFormat, move_casts_out
from .libraries import RTX, TENSORRT
from .record import plain

# What TensorRT says where a layer's workspace does not do.
_WORKSPACE = re.compile(
    r"within workspace limit|insufficient workspace|OutOfMemory \(Requested size was"
)


def main() -> int:
    """Do what stdin asks for; the exit code is 0 if that was done."""
    die_with_parent()
    with os.fdopen(os.dup(1), "wb") as stream:
        os.dup2(2, 1)  # what a library prints is no event
        reporter = Reporter(stream)
        request = json.loads(sys.stdin.buffer.readline())
        try:
            trt = _import(request["library"])
            typed = hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
            about = {"tensorrt": trt.__version__, "strongly_typed": typed}
            if request["do"] == "about":
                reporter.say("about", **about)
                return 0
            if request["about"] not in (None, about):
                raise BuildFailed(
                    f"TensorRT must be {request['about']['tensorrt']}, as when the "
                    f"build began, got {trt.__version__}"
                )
            onnx = sys.stdin.buffer.read(request["bytes"])
            plan, facts = _build(trt, onnx, request, reporter)
        except (BuildFailed, BundleError) as err:
            reporter.say("failed", sentence=str(err))
            return 1
        reporter.say("engine", plan, bytes=len(plan), tensorrt=trt.__version__, **facts)
    return 0


def _import(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except Exception as err:  # an OSError, say, of a library that it loads
        title = RTX.title if library == RTX.module else TENSORRT.title
        raise BuildFailed(f"{title} cannot be imported: {plain(str(err))}") from err


def _build(
    trt: Any, onnx: bytes, request: dict[str, Any], reporter: Reporter
) -> tuple[bytes, dict[str, Any]]:
    """The plan and what is known of it."""
    said, began, fallback = BuildLog(), time.monotonic(), None
    said.keeps_all = request["inspect"] == "log"
    logger = make_logger(trt, said.add)
    tries = [(onnx, dict[str, IoFormat]())]
    if request["options"]["io_formats"] == "auto":
        tries.insert(0, move_casts_out(onnx, request["precision"], request["plain"]))
    for number, (model, wanted) in enumerate(tries):
        try:
            said.everything.clear()
            plan = _build_once(trt, logger, said, model, wanted, request, reporter)
            facts = _described(trt, logger, said, plan, wanted, request)
            break
        except GpuFailed:
            raise
        except BuildFailed as err:
            if number + 1 == len(tries) or model is onnx:
                raise
            fallback = f"it could not be built otherwise: {err}"
            said.add("WARNING", f"all inputs and outputs are float32: {err}")
    seconds = round(time.monotonic() - began, 3)
    facts |= {"seconds": seconds, "fallback": fallback, "warnings": said.warnings}
    return plan, facts


def _build_once(
    trt: Any,
    logger: Any,
    said: BuildLog,
    model: bytes,
    wanted: dict[str, IoFormat],
    request: dict[str, Any],
    reporter: Reporter,
) -> bytes:
    try:
        builder = trt.Builder(logger)
    except TypeError as err:  # pybind11's word for a null pointer
        raise GpuFailed(
            f"TensorRT cannot use the GPU: {said.reason(str(err))}"
        ) from err
    kind = trt.NetworkDefinitionCreationFlag
    typed = hasattr(kind, "STRONGLY_TYPED")
    flag = kind.STRONGLY_TYPED if typed else kind.EXPLICIT_BATCH
    network = builder.create_network(1 << int(flag))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        raise BuildFailed(
            f"TensorRT cannot read the network: {said.reason_of_parser(errors)}"
        )
    for index in range(network.num_inputs):
        _allow(trt, network.get_input(index), wanted)
    for index in range(network.num_outputs):
        _allow(trt, network.get_output(index), wanted)
    config = builder.create_builder_config()
    _configure(trt, config, request, typed)
    if request["profile"]:
        profile = builder.create_optimization_profile()
        for name, shapes in request["profile"].items():
            profile.set_shape(name, *map(tuple, shapes))
        config.add_optimization_profile(profile)
    if hasattr(trt, "IProgressMonitor"):
        monitor = _monitor(trt, reporter)  # must live as long as the build
        config.progress_monitor = monitor
    path = Path(request["timing_cache"]) if request["timing_cache"] else None
    cache = path and with_timings(trt.BuilderFlag, config, said, path)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        reason = said.reason("TensorRT gives no reason")
        if _WORKSPACE.search(reason):
            larger = more_workspace(request["options"]["workspace_mb"])
            reason += f". A layer needs more GPU memory: --workspace {larger}"
        raise BuildFailed(f"TensorRT cannot build the network: {reason}")
    if path is not None:
        keep_timings(config, cache, said, path)
    return bytes(memoryview(plan))


def _allow(trt: Any, tensor: Any, wanted: dict[str, IoFormat]) -> None:
    layouts = wanted.get(tensor.name, IoFormat()).layouts
    names = [name for name, layout in LAYOUTS.items() if layout in layouts]
    bits = (1 << int(getattr(trt.TensorFormat, name)) for name in names)
    tensor.allowed_formats = sum(bits)


def _configure(trt: Any, config: Any, request: dict[str, Any], typed: bool) -> None:
    options, flags = request["options"], trt.BuilderFlag
    workspace = options["workspace_mb"] << 20
    config.clear_flag(flags.TF32)  # where the network says float32, it is float32
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    config.max_aux_streams = options["aux_streams"]
    if request["inspect"] == "log":
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        config.set_flag(flags.REQUIRE_USER_ALLOCATION)  # or no CUDA graph may take it
    if options["optimization_level"] is not None:
        config.builder_optimization_level = options["optimization_level"]
    if options["version_compatible"]:
        config.set_flag(flags.VERSION_COMPATIBLE)
    if options["hardware_compatible"]:
        level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        config.hardware_compatibility_level = level
    if not typed and request["precision"]["kind"] != "fp32":
        config.set_flag(flags.FP16)
        if request["precision"]["kind"] == "int8":
            config.set_flag(flags.INT8)


def _described(
    trt: Any,
    logger: Any,
    said: BuildLog,
    plan: bytes,
    wanted: dict[str, IoFormat],
    request: dict[str, Any],
) -> dict[str, Any]:
    """The engine's I/O formats, the layers that only convert, and its size."""
    if request["inspect"] == "log":  # it cannot be loaded without a GPU
        try:
            log = read_engine_log(said.everything)
        except ValueError as err:
            raise BuildFailed(str(err)) from err
        return {
            "io_formats": _as_wanted(log.io_formats, wanted),
            "reformats": [],
            "kernels": log.kernels,
            "activation_bytes": log.activation_bytes,
        }
    runtime = trt.Runtime(logger)
    if request["options"]["version_compatible"]:
        runtime.engine_host_code_allowed = True  # of an engine that was made just now
    engine = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        reason = said.reason("TensorRT gives no reason")
        raise GpuFailed(f"TensorRT cannot load the engine that it built: {reason}")
    found: dict[str, tuple[str, str]] = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        dtype = word_of(trt.DataType, TYPES, engine.get_tensor_dtype(name))
        layout = word_of(trt.TensorFormat, LAYOUTS, engine.get_tensor_format(name))
        found[name] = dtype, layout
    return {
        "io_formats": _as_wanted(found, wanted),
        "reformats": _reformats(trt, engine),
    }


def _as_wanted(
    found: dict[str, tuple[str, str]], wanted: dict[str, IoFormat]
) -> dict[str, dict[str, Any]]:
    """The formats of an engine's inputs and outputs, if they are those asked for.

    Args:
        found: As TensorRT has them; int32 in the place of an int64 that it has not.
    """
    io_formats: dict[str, dict[str, Any]] = {}
    for name, (dtype, layout) in found.items():
        # Where nothing was asked for, int64 is what the ONNX says.
        meant = "int64" if dtype == "int32" else dtype
        plain = IoFormat("int64" if meant == "int64" else "float32")
        spec = wanted.get(name, plain)
        if meant != spec.dtype or layout not in spec.layouts:
            raise BuildFailed(
                f"tensor {name} must be {spec.dtype} {' or '.join(spec.layouts)}, "
                f"got {dtype} {layout}"
            )
        io_formats[name] = {"dtype": dtype, "layout": layout}
        if spec.scale is not None:
            io_formats[name]["scale"] = spec.scale
    return io_formats


def _reformats(trt: Any, engine: Any) -> list[str]:
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    try:
        layers = json.loads(text)["Layers"]
    except (ValueError, KeyError, TypeError):
        return []
    names = [str(x.get("Name")) if isinstance(x, dict) else str(x) for x in layers]
    return [plain(name) for name in names if "reformat" in name.lower()]


def _monitor(trt: Any, reporter: Reporter) -> Any:
    tracker = ProgressTracker()

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(
            self, phase_name: str, parent_phase: Any, num_steps: int
        ) -> None:
            tracker.start(phase_name, parent_phase, num_steps)
            reporter.progress(tracker)

        def step_complete(self, phase_name: str, step: int) -> bool:
            tracker.step(phase_name, step)
            reporter.progress(tracker)
            return True

        def phase_finish(self, phase_name: str) -> None:
            tracker.finish(phase_name)
            reporter.progress(tracker)

    return Monitor()


if __name__ == "__main__":
    sys.exit(main())
