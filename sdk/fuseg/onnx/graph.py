"""Reading and changing an ONNX graph on a device that has no onnx package.

An ONNX file is a protobuf message; the numbers of its fields are those of onnx.proto3.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import BundleError
from .protobuf import Field, edited, fields, mapped, written

__all__ = [
    "FLOAT",
    "FLOAT16",
    "INT8",
    "INT64",
    "Constant",
    "Graph",
    "Node",
    "read_graph",
    "rewrite",
]

FLOAT, INT8, INT64, FLOAT16 = 1, 3, 7, 10

_GRAPH = 7  # of ModelProto
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # of GraphProto
_ATTRIBUTE = 5  # of NodeProto
_SMALL = 16  # bytes of a field that may hold one number


class Constant(NamedTuple):
    """A stored tensor; ``value`` if it is one number of float32, float16 or int8."""

    data_type: int
    size: int
    value: float | None


@dataclass(frozen=True)
class ValueInfo:
    """An input or output of the graph; a dimension that is not fixed is -1."""

    data_type: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One node. ``to`` is a Cast's; ``nested``: it has graphs of its own."""

    index: int
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    to: int
    nested: bool


@dataclass(frozen=True)
class Graph:
    """Nodes in order, and by name: stored tensors, inputs, outputs, values between."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Constant]
    inputs: Mapping[str, ValueInfo]
    outputs: Mapping[str, ValueInfo]
    values: Mapping[str, ValueInfo]

    def readers(self, value: str) -> list[Node]:
        """The nodes that have it among their inputs."""
        return [node for node in self.nodes if value in node.inputs]

    def maker(self, value: str) -> Node | None:
        """The node it is an output of."""
        return next((node for node in self.nodes if value in node.outputs), None)


def read_graph(model: bytes) -> Graph:
    """Read the nodes, inputs and outputs of an ONNX model.

    Raises:
        BundleError: It is not an ONNX file.
    """
    nodes: list[Node] = []
    constants: dict[str, Constant] = {}
    infos: dict[int, dict[str, ValueInfo]] = {_INPUT: {}, _OUTPUT: {}, _VALUE_INFO: {}}
    for field in fields(_graph_of(model)):
        if field.number == _NODE:
            nodes.append(_read_node(len(nodes), field.message))
        elif field.number == _INITIALIZER:
            name, constant = _read_tensor(field.message)
            constants[name] = constant
        elif field.number in infos:
            name, info = _read_value_info(field.message)
            infos[field.number][name] = info
    inputs = {name: i for name, i in infos[_INPUT].items() if name not in constants}
    return Graph(tuple(nodes), constants, inputs, infos[_OUTPUT], infos[_VALUE_INFO])


def rewrite(
    model: bytes,
    *,
    types: Mapping[str, int],
    casts: Mapping[int, int],
    dropped: frozenset[int],
    renamed: Mapping[str, str],
) -> bytes:
    """A copy of a model with other inputs and outputs.

    Args:
        types: New element type of graph inputs and outputs, by name.
        casts: New target of Cast nodes, by their index.
        dropped: Nodes to leave out, by index.
        renamed: Values that nodes read by another name from now on.
    """
    index = -1

    def edit(field: Field) -> bytes:
        nonlocal index
        if field.number == _NODE:
            index += 1
            if index in dropped:
                return b""
            return written(
                _NODE, _edited_node(field.message, casts.get(index), renamed)
            )
        if field.number in (_INPUT, _OUTPUT):
            name, _ = _read_value_info(field.message)
            if name in types:
                return written(field.number, _edited_end(field.message, types[name]))
        elif field.number == _VALUE_INFO:
            name, _ = _read_value_info(field.message)
            if name in renamed or name in types:
                return b""
        return bytes(field.raw)

    return edited(memoryview(model), _GRAPH, lambda graph: mapped(graph.message, edit))


def _edited_node(
    message: memoryview, to: int | None, renamed: Mapping[str, str]
) -> bytes:
    def edit(field: Field) -> bytes:
        if field.number == 1 and field.text in renamed:
            return written(1, renamed[field.text].encode())
        recast = field.number == _ATTRIBUTE and to is not None
        if recast and _attribute_name(field) == "to":
            return written(_ATTRIBUTE, edited(field.message, 3, lambda _: to or 0))
        return bytes(field.raw)

    return mapped(message, edit)


def _edited_end(message: memoryview, data_type: int) -> bytes:
    """A ValueInfoProto: type (2), in it tensor_type (1), in it elem_type (1)."""
    return edited(
        message,
        2,
        lambda kind: edited(
            kind.message,
            1,
            lambda tensor: edited(tensor.message, 1, lambda _: data_type),
        ),
    )


def _read_node(index: int, message: memoryview) -> Node:
    names: dict[int, list[str]] = {1: [], 2: [], 4: []}
    to, nested = 0, False
    for field in fields(message):
        if field.number in names:
            names[field.number].append(field.text)
        elif field.number == _ATTRIBUTE:
            parts = list(fields(field.message))
            nested |= any(part.number in (6, 11) for part in parts)
            if _attribute_name(field) == "to":
                to = next((part.whole for part in parts if part.number == 3), 0)
    op = "".join(names[4][:1])
    return Node(index, op, tuple(names[1]), tuple(names[2]), to, nested)


def _attribute_name(field: Field) -> str:
    return next((part.text for part in fields(field.message) if part.number == 1), "")


def _read_tensor(message: memoryview) -> tuple[str, Constant]:
    name, data_type, size = "", 0, 1
    data: Field | None = None
    for field in fields(message):
        if field.number == 1:
            for dim in field.numbers():
                size *= dim
        elif field.number == 2:
            data_type = field.whole
        elif field.number == 8:
            name = field.text
        elif field.number in (4, 5, 9) and len(field.raw) <= _SMALL:
            data = field
    value = None if size != 1 or data is None else _read_scalar(data, data_type)
    return name, Constant(data_type, size, value)


def _read_scalar(field: Field, data_type: int) -> float | None:
    """One number: raw data (9), float_data (4) or int32_data (5)."""
    code = {FLOAT: "<f", FLOAT16: "<e", INT8: "<b"}.get(data_type)
    if code is None:
        return None
    width = struct.calcsize(code)
    if field.number == 5:
        bits = next(iter(field.numbers()), 0) & (1 << 8 * width) - 1
        content = bits.to_bytes(width, "little")
    elif isinstance(field.value, int):  # float_data that is not packed
        content = field.value.to_bytes(width, "little")
    else:
        content = bytes(field.value)
    if len(content) != width:
        return None
    return float(struct.unpack(code, content)[0])


def _read_value_info(message: memoryview) -> tuple[str, ValueInfo]:
    name, info = "", ValueInfo(0, ())
    for field in fields(message):
        if field.number == 1:
            name = field.text
        elif field.number == 2:
            for kind in fields(field.message):
                if kind.number == 1:
                    info = _read_tensor_type(kind.message)
    return name, info


def _read_tensor_type(message: memoryview) -> ValueInfo:
    data_type = 0
    shape: list[int] = []
    for field in fields(message):
        if field.number == 1:
            data_type = field.whole
        elif field.number == 2:
            for dim in fields(field.message):
                fixed = [f.whole for f in fields(dim.message) if f.number == 1]
                shape.append(fixed[0] if fixed else -1)
    return ValueInfo(data_type, tuple(shape))


def _graph_of(model: bytes) -> memoryview:
    for field in fields(memoryview(model)):
        if field.number == _GRAPH:
            return field.message
    raise BundleError("it holds no graph.")
