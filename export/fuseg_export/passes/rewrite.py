"""From protobuf messages to onnx-ir and back, and what its values do not say alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from ..weights_apart import hull, without_weights

__all__ = [
    "PAIR",
    "WEIGHTED",
    "bodies",
    "constant",
    "free",
    "names_in",
    "producer",
    "read",
    "rewrite",
    "static_shape",
    "store",
]

PAIR = ("QuantizeLinear", "DequantizeLinear")
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def read(model: onnx.ModelProto, *, strict: bool = False) -> ir.Model:
    """A model whose values have the types and shapes that onnx infers.

    Raises:
        InferenceError: onnx's, if ``strict`` and types contradict one another.
    """
    inferred = onnx.shape_inference.infer_shapes(
        without_weights(model), strict_mode=strict, data_prop=True
    ).graph
    known = {v.name: v for v in (*inferred.value_info, *inferred.output)}
    made = ir.from_proto(model)
    for node in made.graph:
        for value in node.outputs:
            if value.name in known:
                ir.serde.deserialize_value_info_proto(known[value.name], value)
    return made


def rewrite(
    model: onnx.ModelProto, *passes: ir.passes.InPlacePass, strict: bool = False
) -> onnx.ModelProto:
    """A copy of a model, rewritten by passes, and otherwise the same to the byte.

    Types of values between nodes are in it where the model had them, in its order; what
    was inferred for the passes is not.

    Args:
        strict: See `read`.
    """
    changed = read(model, strict=strict)
    values = {value.name: value for node in changed.graph for value in node.outputs}
    declared = [
        (values[info.name], info)
        for info in model.graph.value_info
        if info.name in values
    ]
    for each in passes:
        each(changed)
    made = hull(model)
    made.ClearField("graph")
    ir.serde.serialize_graph_into(made.graph, changed.graph)
    del made.graph.value_info[:]
    for value, info in declared:
        if value.graph is changed.graph:
            kept = made.graph.value_info.add()
            kept.CopyFrom(info)
            kept.name = value.name
    return made


def static_shape(value: ir.Value | None) -> tuple[int, ...] | None:
    """A value's shape; None if it is not known as a whole."""
    if value is None or value.shape is None or not value.shape.is_static():
        return None
    shape = value.shape.numpy()
    return shape if all(shape) else None


def producer(value: ir.Value | None) -> ir.Node | None:
    """The node that makes a value; None for an input or a stored tensor."""
    return None if value is None else value.producer()


def constant(value: ir.Value | None) -> NDArray[Any] | None:
    """A value that is stored in the graph; None if it is computed."""
    stored = None if value is None else value.const_value
    maker = producer(value)
    if maker is not None and maker.op_type == "Constant":
        for name, attribute in maker.attributes.items():
            if name == "value":
                stored = attribute.as_tensor()
            elif name in ("value_float", "value_floats"):
                return np.asarray(attribute.value, np.float32)
            elif name in ("value_int", "value_ints"):
                return np.asarray(attribute.value, np.int64)
    return None if stored is None else stored.numpy()


def store(graph: ir.Graph, array: NDArray[Any] | np.generic, name: str) -> ir.Value:
    """Put a tensor into a graph, under a name that is free."""
    tensor = ir.tensor(np.asarray(array), name=name)
    value = ir.val(name, tensor.dtype, array.shape, const_value=tensor)
    graph.register_initializer(value)
    return value


def bodies(node: ir.Node) -> Iterator[ir.Graph]:
    """The branches of an If, the body of a Loop or a Scan."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def names_in(model: ir.Model) -> set[str]:
    """All names of values in a model."""
    return set(ir.convenience.create_value_mapping(model.graph))


def free(taken: set[str], wanted: str) -> str:
    """``wanted``, with as many _ behind it as it takes; taken from now on."""
    while wanted in taken:
        wanted += "_"
    taken.add(wanted)
    return wanted
