"""A double of the ``tensorrt`` module of one version, without a GPU.

`make` gives a module with the names and keywords of that version and no others, as far
as fuseg uses them; versions of TensorRT for RTX begin with "rtx-". A plan is a header
and the ONNX; its engine is ONNX Runtime on the CPU, put on the streams of a `Machine`.
``module.uses`` lists every use.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from . import tensorrt_build, tensorrt_enums, tensorrt_network, tensorrt_rtx
from .memory import Misuse
from .tensorrt_api import State, expect, versioned

__all__ = ["VERSIONS", "make", "plan_of"]

VERSIONS = tensorrt_enums.VERSIONS


class ILogger:
    def __init__(self) -> None:
        self._made = True

    def log(self, severity: Any, msg: str) -> None:
        raise RuntimeError(f"pure virtual ILogger::log({severity}, {msg})")


class Logger:
    def __init__(self, min_severity: Any = None) -> None:
        kind = self._state.module.Logger.Severity
        self._least = kind.__members__["WARNING"]
        if min_severity is not None:
            self._least = expect(min_severity, kind, "Logger")
        self._made = True

    def log(self, severity: Any, msg: str) -> None:
        if int(severity) <= int(self._least):
            print(f"[TRT] [{severity.name}] {msg}", file=sys.stderr)


class _Module(types.ModuleType):
    """Notes which of its names are used."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if not name.startswith("_") and name != "uses":
            super().__getattribute__("uses").append(("trt", name, "get", ()))
        return value


def make(machine: Any, version: str) -> Any:
    """A module like ``tensorrt`` of one of `VERSIONS`.

    Args:
        machine: What the engines run on; None where nothing is run, as in the process
            that only builds.
    """
    if version not in VERSIONS:
        raise ValueError(f"version must be one of {VERSIONS}, got {version!r}.")
    module = _Module("tensorrt", f"A double of TensorRT {version}.")
    names = types.SimpleNamespace()  # the double's own uses are not noted
    state = State(machine, version, names)
    state.misuse = Misuse
    severity = tensorrt_enums.severity(state)
    words = {"Severity": severity, **severity.__members__}
    base = versioned(ILogger, state)
    members = {
        **tensorrt_enums.enums(state),
        "ILogger": base,
        "Logger": versioned(Logger, state, base),
        **{
            name: versioned(template, state)
            for name, template in tensorrt_rtx.extended(state).items()
        },
        **tensorrt_network.classes(state),
        **tensorrt_build.classes(state),
    }
    for kind in (base, members["Logger"]):
        for name, word in words.items():
            setattr(kind, name, word)
    host_memory = type("IHostMemory", (bytes,), {"nbytes": property(len)})
    state.host_memory = members["IHostMemory"] = host_memory
    vars(names).update(members)
    number = version.removeprefix("rtx-")
    vars(module).update(members, __version__=number, uses=state.uses)
    return module


def plan_of(
    trt: Any,
    onnx: bytes,
    formats: dict[str, str] | None = None,
    profile: Any = None,
) -> bytes:
    """A plan of a network, for tests that only run one.

    Args:
        trt: From `make`.
        onnx: Its inputs and outputs have the element types that the engine's will have.
        formats: A tensor's `TensorFormat` by name, such as "HWC8"; the others: LINEAR.
        profile: By input with a dimension its smallest, typical and largest shape.
    """
    logger = trt.Logger()
    kind = trt.NetworkDefinitionCreationFlag
    typed = hasattr(kind, "STRONGLY_TYPED")
    flag = kind.STRONGLY_TYPED if typed else kind.EXPLICIT_BATCH
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(flag))
    config = builder.create_builder_config()
    if not trt.OnnxParser(network, logger).parse(onnx):
        raise ValueError("the double cannot parse this ONNX")
    ends = [network.get_input(i) for i in range(network.num_inputs)]
    ends += [network.get_output(i) for i in range(network.num_outputs)]
    for tensor in ends:
        if tensor.name in (formats or {}):
            number = int(getattr(trt.TensorFormat, (formats or {})[tensor.name]))
            tensor.allowed_formats = 1 << number
    if profile:
        sizes = builder.create_optimization_profile()
        for name, shapes in profile.items():
            sizes.set_shape(name, *shapes)
        config.add_optimization_profile(sizes)
    for flag in () if typed else ("FP16", "INT8"):
        config.set_flag(getattr(trt.BuilderFlag, flag))
    return bytes(builder.build_serialized_network(network, config))
