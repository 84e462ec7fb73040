"""The rules of TensorRT that a graph must follow, checked without a GPU.

A parser that finds one broken says so minutes into a build, on the device; or it says
nothing, and what was meant to be INT8 runs in float.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from ..errors import cause
from ..passes.tidy import all_nodes, attributes
from . import tensorrt_operators as tables
from .tensorrt_operators import Version
from .wiring import ACTIVATIONS, PAIR, WEIGHTED, Wiring

__all__ = ["check_for_tensorrt"]

_FLOAT, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16


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
        wiring = Wiring(model)
    except onnx.shape_inference.InferenceError as err:
        return [f"the graph's types must be consistent, but {cause(err)}."]
    rules: list[Callable[[Wiring, Version], Iterator[str]]] = [
        *(_opset, _operators, _zero_points, _scales, _axes, _weights, _integers),
        *(_biases, _activations, _additions, _concats),
    ]
    broken = [sentence for rule in rules for sentence in rule(wiring, version)]
    if version == "10.3":
        broken += _types(wiring, keep)
    return broken


def _opset(wiring: Wiring, version: Version) -> Iterator[str]:
    oldest, newest = tables.OPSETS[version]
    if not oldest <= wiring.opset <= newest:
        yield (
            f"the opset must be {oldest} to {newest} for TensorRT {version}, got "
            f"{wiring.opset}."
        )


def _operators(wiring: Wiring, version: Version) -> Iterator[str]:
    for node in all_nodes(wiring.graph):
        if node.op_type not in tables.OPERATORS[version]:
            yield (
                f"node {node.name} is a {node.op_type}, which TensorRT {version} does "
                "not have."
            )
        found = attributes(node)
        limits = tables.ATTRIBUTES[version].get(node.op_type, {})
        for name, allowed in limits.items():
            values = found.get(name, allowed[0])
            values = values if isinstance(values, list) else [values]
            if any(value not in allowed for value in values):
                yield (
                    f"{name} of {node.op_type} {node.name} must be "
                    f"{' or '.join(map(str, allowed))} for TensorRT {version}, got "
                    f"{found[name]}."
                )
        index = tables.STORED[version].get(node.op_type, len(node.input))
        value = node.input[index] if index < len(node.input) else ""
        if value and wiring.constant(value) is None:
            yield (
                f"input {index} of {node.op_type} {node.name} must be stored in the "
                f"graph for TensorRT {version}, but {value} is computed."
            )
        ranks = tables.RANKS[version].get(node.op_type)
        shape = wiring.shape(node.input[0]) if ranks else None
        if ranks and shape is not None and len(shape) not in ranks:
            yield (
                f"{node.op_type} {node.name} must be of {' or '.join(map(str, ranks))} "
                f"axes for TensorRT {version}, got {len(shape)}."
            )
        if node.op_type in tables.SINGLE_OUTPUT[version] and any(node.output[1:]):
            yield (
                f"{node.op_type} {node.name} must make only its first output for "
                f"TensorRT {version}."
            )


def _zero_points(wiring: Wiring, version: Version) -> Iterator[str]:
    del version
    for node in wiring.pairs:
        zero = wiring.constant(node.input[2]) if len(node.input) > 2 else None
        scale = wiring.constant(node.input[1])
        if zero is None or zero.dtype != np.int8 or zero.any():
            got = "none" if zero is None else f"{zero.dtype} up to {np.abs(zero).max()}"
            yield f"the zero point of {node.name} must be 0 and int8, got {got}."
        elif scale is not None and scale.size != zero.size:
            yield (
                f"the zero point of {node.name} must have as many values as its scale, "
                f"{scale.size}, got {zero.size}."
            )


def _scales(wiring: Wiring, version: Version) -> Iterator[str]:
    del version
    for node in wiring.pairs:
        scale = wiring.constant(node.input[1])
        if scale is None or not np.all(np.isfinite(scale) & (scale > 0)):
            yield (
                f"the scale of {node.name} must be stored in the graph, finite and "
                "positive."
            )


def _axes(wiring: Wiring, version: Version) -> Iterator[str]:
    del version
    for node in wiring.pairs:
        scale, shape = wiring.constant(node.input[1]), wiring.shape(node.input[0])
        if scale is None or scale.size == 1 or shape is None:
            continue
        if wiring.weights_behind(node) is None:
            yield (
                f"the scale of {node.name} must be one number: only stored weights may "
                "have one for each channel."
            )
            continue
        axis = attributes(node).get("axis", 1) % len(shape)
        if shape[axis] != scale.size:
            yield (
                f"the scale of {node.name} must have {shape[axis]} values, one for "
                f"each index of axis {axis}, got {scale.size}."
            )
        for reader in wiring.consumers(node):
            wanted = _output_axis(reader, len(shape))
            if wanted is not None and wanted != axis:
                yield (
                    f"the axis of {node.name} must be {wanted}, the output channels of "
                    f"{reader.op_type} {reader.name}, got {axis}."
                )


def _weights(wiring: Wiring, version: Version) -> Iterator[str]:
    for node in wiring.pairs:
        stored = wiring.constant(node.input[0])
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


def _integers(wiring: Wiring, version: Version) -> Iterator[str]:
    for node in wiring.graph.node:
        for value in node.input:
            element = wiring.element(value)
            if node.op_type == "DequantizeLinear" and value == node.input[0]:
                if element != TensorProto.INT8:
                    yield f"what {node.name} reads must be int8."
            elif node.op_type not in PAIR and element in (
                TensorProto.INT8,
                TensorProto.UINT8,
            ):
                yield (
                    f"{node.op_type} {node.name} must read float, but {value} is in 8 "
                    f"bits: TensorRT {version} computes in INT8 only behind a "
                    "DequantizeLinear."
                )


def _biases(wiring: Wiring, version: Version) -> Iterator[str]:
    del version
    for node in wiring.graph.node:
        if node.op_type not in WEIGHTED or len(node.input) < 3:
            continue
        if wiring.dequantizer(node.input[2]) is not None:
            yield f"the bias of {node.op_type} {node.name} must not be quantized."


def _activations(wiring: Wiring, version: Version) -> Iterator[str]:
    """Nothing is quantized between a node and its activation: both are one kernel."""
    del version
    for node in wiring.graph.node:
        if node.op_type == "QuantizeLinear":
            maker = wiring.producer(node.input[0])
            if maker is None or maker.op_type not in WEIGHTED:
                continue
            others = [n for n in wiring.readers(node.input[0]) if n.op_type not in PAIR]
            users = [
                c for d in wiring.readers(node.output[0]) for c in wiring.consumers(d)
            ]
            early = bool(others) and all(n.op_type in ACTIVATIONS for n in others)
            if early and not any(user.op_type == "Add" for user in users):
                yield (
                    f"{node.name} must quantize what {others[0].name} makes of "
                    f"{maker.op_type} {maker.name}, not what it reads."
                )
            for user in users:
                if user.op_type in ACTIVATIONS:
                    yield (
                        f"{node.name} must not stand between {maker.op_type} "
                        f"{maker.name} and its {user.op_type} {user.name}: quantize "
                        "behind that."
                    )


def _additions(wiring: Wiring, version: Version) -> Iterator[str]:
    del version
    for node in wiring.graph.node:
        if node.op_type == "Add":
            quantized = [wiring.dequantizer(value) is not None for value in node.input]
            if any(quantized) and not all(quantized):
                value = node.input[quantized.index(False)]
                yield (
                    f"both inputs of Add {node.name} must be quantized or none, but "
                    f"{value} is not."
                )


def _concats(wiring: Wiring, version: Version) -> Iterator[str]:
    del version
    for node in wiring.graph.node:
        if node.op_type != "Concat":
            continue
        found = [wiring.dequantizer(value) for value in node.input]
        if not any(pair is not None for pair in found):
            continue
        scales = [None if p is None else wiring.constant(p.input[1]) for p in found]
        first = scales[0]
        if first is None or any(not _equal(scale, first) for scale in scales):
            yield f"all inputs of Concat {node.name} must be quantized with one scale."


def _types(wiring: Wiring, keep: Collection[str]) -> Iterator[str]:
    """What a strongly typed build needs: it converts nothing by itself."""
    for node in wiring.graph.node:
        floats = dict(wiring.float_inputs(node))
        if len(set(floats.values())) > 1:
            spelled = ", ".join(f"{v} {_NAMES[t]}" for v, t in floats.items())
            yield (
                f"the inputs of {node.op_type} {node.name} must have one float type, "
                f"got {spelled}."
            )
            continue
        kept = node.op_type not in WEIGHTED or node.name in keep
        if _FLOAT in floats.values() and not kept:
            yield (
                f"{node.op_type} {node.name} must compute in float16 or be kept in "
                "float32 by name: a strongly typed build takes its types as they "
                "are."
            )


_NAMES: dict[int, str] = {
    _FLOAT: "float32",
    _HALF: "float16",
    TensorProto.DOUBLE: "float64",
}


def _equal(scale: NDArray[np.generic] | None, other: NDArray[np.generic]) -> bool:
    return scale is not None and np.array_equal(scale, other)


def _output_axis(node: onnx.NodeProto, axes: int) -> int | None:
    if node.op_type == "Gemm":
        return 0 if attributes(node).get("transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": axes - 1}.get(node.op_type)
