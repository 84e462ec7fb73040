"""What TensorRT's log says of an engine: on a machine without a GPU nothing else does.

An engine can be inspected only where it can be loaded. A builder whose profiling
verbosity is DETAILED and whose logger takes VERBOSE lists all of it while it builds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .formats import LAYOUTS

__all__ = ["EngineLog", "read_engine_log"]

_DTYPES = {"Float": "float32", "Half": "float16", "Int8": "int8", "Int64": "int64"}
_NO_KERNELS = ("signal", "wait")  # of one stream for another
_LAYER = re.compile(r"Name: .*?, LayerType: (\w+), Inputs: \[")
_TENSOR = re.compile(
    r"Name: (\S+), IOMode: \w+, DataType: (\w+),.*Format: .*\(k(\w+)\)"
)
_ACTIVATIONS = re.compile(r"Total Activation Memory: (\d+) bytes")


@dataclass(frozen=True)
class EngineLog:
    """An engine as the log of its build describes it.

    Attributes:
        io_formats: Data type and layout of each input and output by name.
        kernels: Layers that compute; what only synchronises streams is not counted.
        activation_bytes: GPU memory of the tensors between the layers.
    """

    io_formats: dict[str, tuple[str, str]]
    kernels: int
    activation_bytes: int


def read_engine_log(messages: Iterable[str]) -> EngineLog:
    """Read what the build of one engine logged.

    Raises:
        ValueError: It describes no engine: the build failed, or it was not verbose.
    """
    io_formats: dict[str, tuple[str, str]] = {}
    kernels, activation_bytes = 0, None
    for line in (line for message in messages for line in message.splitlines()):
        if layer := _LAYER.search(line):
            kernels += layer[1] not in _NO_KERNELS
        elif tensor := _TENSOR.search(line):
            name, dtype, layout = tensor.groups()
            io_formats[name] = _DTYPES.get(dtype, dtype), LAYOUTS.get(layout, layout)
        elif total := _ACTIVATIONS.search(line):
            activation_bytes = int(total[1])
    if activation_bytes is None or not kernels or not io_formats:
        raise ValueError(
            "the log must describe an engine: its layers, its inputs and outputs and "
            "its memory, as with ProfilingVerbosity.DETAILED and a VERBOSE logger"
        )
    return EngineLog(io_formats, kernels, activation_bytes)
