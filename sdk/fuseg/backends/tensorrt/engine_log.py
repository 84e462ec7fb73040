"""What TensorRT's log says of an engine: on a machine without a GPU nothing else does.

An engine can be inspected only where it can be loaded. A builder whose profiling
verbosity is DETAILED and whose logger takes VERBOSE lists all of it while it builds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .formats import LAYOUTS

__all__ = ["EngineLayer", "EngineLog", "TensorUse", "read_engine_log"]

_DTYPES = {"Float": "float32", "Half": "float16", "Int8": "int8"}
_NO_KERNELS = ("signal", "wait")  # of one stream for another
_LAYER = re.compile(
    r"Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[(?P<inputs>.*?)\], "
    r"Constants: .*?, Outputs: \[(?P<outputs>.*?)\], TacticName: "
)
_USE = re.compile(r"Name: ([^,{}]+), .*?Datatype: (\w+), Format: \((\w+)\)")
_TENSOR = re.compile(
    r"Name: (\S+), IOMode: \w+, DataType: (\w+),.*Format: .*\(k(\w+)\)"
)
_ACTIVATIONS = re.compile(r"Total Activation Memory: (\d+) bytes")


@dataclass(frozen=True)
class TensorUse:
    """A tensor as one layer reads or writes it; ``layout`` is TensorRT's word."""

    name: str
    dtype: str
    layout: str


@dataclass(frozen=True)
class EngineLayer:
    """What runs at once: a kernel as a rule; ``kind`` is TensorRT's word."""

    name: str
    kind: str
    inputs: tuple[TensorUse, ...]
    outputs: tuple[TensorUse, ...]


@dataclass(frozen=True)
class EngineLog:
    """An engine as the log of its build describes it.

    Attributes:
        io_formats: Data type and layout of each input and output by name.
        layers: In the order in which they run, without what only synchronises.
        activation_bytes: GPU memory of the tensors between the layers.
    """

    io_formats: dict[str, tuple[str, str]]
    layers: tuple[EngineLayer, ...]
    activation_bytes: int


def read_engine_log(messages: Iterable[str]) -> EngineLog:
    """Read what the build of one engine logged.

    Raises:
        ValueError: It describes no engine: the build failed, or it was not verbose.
    """
    io_formats: dict[str, tuple[str, str]] = {}
    layers: list[EngineLayer] = []
    activation_bytes = None
    for line in (line for message in messages for line in message.splitlines()):
        if layer := _LAYER.search(line):
            if layer["kind"] not in _NO_KERNELS:
                inputs, outputs = map(_uses, (layer["inputs"], layer["outputs"]))
                layers.append(
                    EngineLayer(layer["name"], layer["kind"], inputs, outputs)
                )
        elif tensor := _TENSOR.search(line):
            name, dtype, layout = tensor.groups()
            io_formats[name] = _DTYPES.get(dtype, dtype), LAYOUTS.get(layout, layout)
        elif total := _ACTIVATIONS.search(line):
            activation_bytes = int(total[1])
    if activation_bytes is None or not layers or not io_formats:
        raise ValueError(
            "the log must describe an engine: its layers, its inputs and outputs and "
            "its memory, as with ProfilingVerbosity.DETAILED and a VERBOSE logger"
        )
    return EngineLog(io_formats, tuple(layers), activation_bytes)


def _uses(text: str) -> tuple[TensorUse, ...]:
    return tuple(
        TensorUse(name, _DTYPES.get(dtype, dtype), layout)
        for name, dtype, layout in _USE.findall(text)
    )
