"""The rules of TensorRT that a graph must follow, checked without a GPU.

A parser that finds one broken says so minutes into a build, on the device; or it says
nothing, and what was meant to be INT8 runs in float.

1. The opset, the operators, their attributes, ranks and stored inputs are the parser's
   (`tensorrt_operators`).
2. Zero points are stored, 0, int8 and as many as the scales; scales are stored, finite,
   positive and, before opset 19, float32.
3. Only stored weights have a scale for each channel, along the axis of their reader's
   output channels.
4. Stored weights are float32 with a QuantizeLinear behind them for 8.6, int8 from -127
   for 10.3.
5. Nothing but a DequantizeLinear reads int8, nothing but a Cast uint8.
6. A bias is not quantized; nothing is between a node and its activation.
7. Both inputs of an addition are quantized or none; those of a Concat with one scale.
8. A strongly typed build (10.3): the inputs of a node have one float type, and what has
   weights is float16 unless it was kept in float32.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import get_args

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from fuseg.cli.printing import plural

from ...errors import first_sentence
from ...passes.rewrite import PAIR, WEIGHTED, constant, producer, read, static_shape
from .qdq_placement import output_axis
from .tensorrt_operators import Version, unsupported

__all__ = ["check_for_tensorrt", "refused_by_tensorrt"]

_ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Sigmoid", "Tanh")
_HALF_SCALES = 19  # the first opset that has them
_FLOATS = {
    ir.DataType.FLOAT: "float32",
    ir.DataType.FLOAT16: "float16",
    ir.DataType.DOUBLE: "float64",
}


def check_for_tensorrt(
    model: onnx.ModelProto, *, version: Version, keep: Collection[str] = ()
) -> list[str]:
    """One sentence for each rule of TensorRT that a graph breaks; none if it is fine.

    Args:
        version: ``8.6`` builds with flags, INT8 beside float32; ``10.3`` is strongly
            typed (also 11), INT8 beside float16.
        keep: Names of the nodes that were left in float32 on purpose.
    """
    try:
        graph = read(model, strict=True).graph
    except onnx.shape_inference.InferenceError as err:
        return [f"the graph's types must be consistent, but {first_sentence(err)}."]
    broken = [
        *unsupported(graph, version),
        *_zero_points(graph),
        *_scales(graph),
        *_axes(graph),
        *_weights(graph, version),
        *_integers(graph, version),
        *_biases(graph),
        *_activations(graph),
        *_additions(graph),
        *_concats(graph),
    ]
    if version == "10.3":
        broken += _types(graph, keep)
    return broken


def refused_by_tensorrt(network: onnx.ModelProto) -> tuple[str, ...]:
    """What TensorRT's parsers do not take of a float32 network, a sentence each.

    Of nodes that break one rule the first is named, and the others are counted.
    """
    graph = read(network).graph
    names = {node.name for node in graph.all_nodes()}
    rules: dict[str, list[str]] = {}
    versions: tuple[Version, ...] = get_args(Version)
    for version in versions:
        for sentence in unsupported(graph, version):
            words = sentence.removesuffix(".").split()
            rule = " ".join(word for word in words if word not in names)
            rules.setdefault(rule, []).append(" ".join(words))
    return tuple(
        found[0] + f" ({plural(len(found), 'node')} like it)" * (len(found) > 1)
        for found in rules.values()
    )


def _zero_points(graph: ir.Graph) -> Iterator[str]:
    for node in _pairs(graph):
        zero = constant(node.inputs[2]) if len(node.inputs) > 2 else None
        scale = constant(node.inputs[1])
        if zero is None or zero.dtype != np.int8 or zero.any():
            got = "none" if zero is None else f"{zero.dtype} up to {np.abs(zero).max()}"
            yield f"the zero point of {node.name} must be 0 and int8, got {got}."
        elif scale is not None and scale.size != zero.size:
            yield (
                f"the zero point of {node.name} must have as many values as its scale, "
                f"{scale.size}, got {zero.size}."
            )


def _scales(graph: ir.Graph) -> Iterator[str]:
    for node in _pairs(graph):
        scale = constant(node.inputs[1])
        if scale is None or not np.all(np.isfinite(scale) & (scale > 0)):
            yield (
                f"the scale of {node.name} must be stored in the graph, finite and "
                "positive."
            )
        elif scale.dtype != np.float32 and graph.opset_imports[""] < _HALF_SCALES:
            yield (
                f"the scale of {node.name} must be float32 before opset "
                f"{_HALF_SCALES}, got {scale.dtype}."
            )


def _axes(graph: ir.Graph) -> Iterator[str]:
    for node in _pairs(graph):
        scale, shape = constant(node.inputs[1]), static_shape(node.inputs[0])
        if scale is None or scale.size == 1 or shape is None:
            continue
        if _weights_behind(node) is None:
            yield (
                f"the scale of {node.name} must be one number: only stored weights may "
                "have one for each channel."
            )
            continue
        axis = node.attributes.get_int("axis", 1) % len(shape)
        if shape[axis] != scale.size:
            yield (
                f"the scale of {node.name} must have {shape[axis]} values, one for "
                f"each index of axis {axis}, got {scale.size}."
            )
        for reader in _users(node):
            wanted = output_axis(reader, len(shape))
            if wanted is not None and wanted != axis:
                yield (
                    f"the axis of {node.name} must be {wanted}, the output channels of "
                    f"{reader.op_type} {reader.name}, got {axis}."
                )


def _weights(graph: ir.Graph, version: Version) -> Iterator[str]:
    for node in _pairs(graph):
        stored = constant(node.inputs[0])
        if stored is None:
            continue
        if version == "8.6" and stored.dtype == np.int8:
            yield (
                f"the weights that {node.name} reads must be float32 with a "
                "QuantizeLinear behind them for TensorRT 8.6, which refuses stored "
                "int8."
            )
        elif stored.dtype == np.int8 and stored.min() == -128:
            yield (
                f"the weights that {node.name} reads must be symmetric, from -127 to "
                "127, but -128 is among them."
            )


def _integers(graph: ir.Graph, version: Version) -> Iterator[str]:
    for node in graph:
        if node.op_type == "DequantizeLinear":
            if node.inputs[0] and node.inputs[0].dtype != ir.DataType.INT8:
                yield f"what {node.name} reads must be int8."
        elif node.op_type != "QuantizeLinear":
            eight_bits = [ir.DataType.INT8]
            if node.op_type != "Cast":
                eight_bits.append(ir.DataType.UINT8)
            for value in node.inputs:
                if value and value.dtype in eight_bits:
                    yield (
                        f"{node.op_type} {node.name} must read float, but {value.name} "
                        f"is in 8 bits: TensorRT {version} computes in INT8 only "
                        "behind a DequantizeLinear."
                    )


def _biases(graph: ir.Graph) -> Iterator[str]:
    for node in graph:
        if node.op_type not in WEIGHTED or len(node.inputs) < 3:
            continue
        if _dequantizer(node.inputs[2]) is not None:
            yield f"the bias of {node.op_type} {node.name} must not be quantized."


def _activations(graph: ir.Graph) -> Iterator[str]:
    """Nothing is quantized between a node and its activation: both are one kernel."""
    for node in graph:
        if node.op_type == "QuantizeLinear":
            maker = producer(node.inputs[0])
            if maker is None or maker.op_type not in WEIGHTED:
                continue
            others = [n for n in maker.outputs[0].consumers() if n.op_type not in PAIR]
            users = list(_users(node))
            early = bool(others) and all(n.op_type in _ACTIVATIONS for n in others)
            if early and not any(user.op_type == "Add" for user in users):
                yield (
                    f"{node.name} must quantize what {others[0].name} makes of "
                    f"{maker.op_type} {maker.name}, not what it reads."
                )
            for user in users:
                if user.op_type in _ACTIVATIONS:
                    yield (
                        f"{node.name} must not stand between {maker.op_type} "
                        f"{maker.name} and its {user.op_type} {user.name}: quantize "
                        "behind that."
                    )


def _additions(graph: ir.Graph) -> Iterator[str]:
    for node in graph:
        if node.op_type == "Add":
            plain = [v for v in node.inputs if v and _dequantizer(v) is None]
            if 0 < len(plain) < len(node.inputs):
                yield (
                    f"both inputs of Add {node.name} must be quantized or none, but "
                    f"{plain[0].name} is not."
                )


def _concats(graph: ir.Graph) -> Iterator[str]:
    for node in graph:
        if node.op_type != "Concat":
            continue
        found = [_dequantizer(value) for value in node.inputs]
        scales = [None if p is None else constant(p.inputs[1]) for p in found]
        first = scales[0]
        same = first is not None and all(
            scale is not None and np.array_equal(scale, first) for scale in scales
        )
        if any(found) and not same:
            yield f"all inputs of Concat {node.name} must be quantized with one scale."


def _types(graph: ir.Graph, keep: Collection[str]) -> Iterator[str]:
    """What a strongly typed build needs: it converts nothing by itself."""
    for node in graph:
        floats = _float_inputs(node, graph.opset_imports[""])
        if len(set(floats.values())) > 1:
            spelled = ", ".join(" ".join(pair) for pair in floats.items())
            yield (
                f"the inputs of {node.op_type} {node.name} must have one float type, "
                f"got {spelled}."
            )
            continue
        kept = node.op_type not in WEIGHTED or node.name in keep
        if "float32" in floats.values() and not kept:
            yield (
                f"{node.op_type} {node.name} must compute in float16 or be kept in "
                "float32 by name: a strongly typed build takes its types as they "
                "are."
            )


def _pairs(graph: ir.Graph) -> Iterator[ir.Node]:
    return (node for node in graph if node.op_type in PAIR)


def _dequantizer(value: ir.Value | None) -> ir.Node | None:
    """The DequantizeLinear that makes a value, past casts; None if none does."""
    node = producer(value)
    while node is not None and node.op_type == "Cast":
        node = producer(node.inputs[0])
    found = node is not None and node.op_type == "DequantizeLinear"
    return node if found else None


def _users(node: ir.Node) -> Iterator[ir.Node]:
    """The nodes that compute with a node's result, past casts and pairs."""
    for reader in node.outputs[0].consumers():
        if reader.op_type in ("Cast", *PAIR):
            yield from _users(reader)
        else:
            yield reader


def _weights_behind(pair: ir.Node) -> NDArray[np.generic] | None:
    """The stored tensor that one of a pair reads, past the other one."""
    maker = producer(pair.inputs[0])
    if maker is not None and maker.op_type in PAIR:
        return constant(maker.inputs[0])
    return constant(pair.inputs[0])


def _float_inputs(node: ir.Node, opset: int) -> dict[str, str]:
    """A node's float inputs whose type is the graph's to choose, with the type."""
    if node.op_type in ("Cast", "CastLike"):
        return {}
    schema = onnx.defs.get_schema(node.op_type, opset, "")
    open_types = {c.type_param_str for c in schema.type_constraints}
    found = {}
    for i, value in enumerate(node.inputs):
        formal = schema.inputs[min(i, len(schema.inputs) - 1)]
        # The region of a Resize may have another type than its picture.
        fixed = formal.type_str not in open_types or formal.name == "roi"
        if value and value.name and value.dtype in _FLOATS and not fixed:
            found[value.name] = _FLOATS[value.dtype]
    return found
