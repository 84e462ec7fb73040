"""What a float16 network computes, on a CPU.

ONNX Runtime has next to no float16 kernels for CPUs: it computes such graphs in float32
and, at every optimisation level, drops the casts between two nodes, so that 70,000
stays 70,000. Its optimiser even makes something else of float16 pairs of INT8 (1.31,
WeightBiasQuantization: scores off by 3.9 of 8, by 0.4 without it). Here the graph
itself is float32, and each value passes through a Cast to float16 and one back, a pair
that ONNX Runtime keeps (the tests prove both).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray

from fuseg.errors import ExportError

from ..errors import first_sentence
from ..passes.rewrite import bodies, free, names_in, rewrite
from ..passes.tidy import tidy

__all__ = ["rounded", "simulate"]

_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16

Function = Callable[[Mapping[str, NDArray[np.float32]]], dict[str, NDArray[Any]]]


def simulate(model: onnx.ModelProto) -> Function:
    """A float16 network as a function of its input tensors, rounded at every node.

    Sums inside one node (a convolution's, a pool's) are float32, as on tensor cores
    with float32 accumulators; every node's result is rounded to the nearest float16,
    beyond 65,504 to infinity. A GPU that fuses nodes rounds less often than this.

    Args:
        model: From `to_fp16`: inputs and outputs float32.

    Returns:
        Its outputs by name.

    Raises:
        ExportError: See `rounded`, or ONNX Runtime refuses the graph.
    """
    options = onnxruntime.SessionOptions()
    # Optimised, it is no faster, and sums of convolutions come in another order.
    disabled = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = disabled
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # as in `open_cpu_session`
    graph = rounded(model).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:  # its exceptions share no narrower base
        raise ExportError(
            f"ONNX Runtime refuses the graph: {first_sentence(err)}."
        ) from err

    names = [value.name for value in model.graph.output]

    def function(tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
        found = session.run(None, dict(tensors))
        return {n: np.asarray(a) for n, a in zip(names, found, strict=True)}

    return function


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The float32 graph that rounds to float16 wherever ``model`` does.

    Raises:
        ExportError: An input or output of ``model`` is float16, or a node in a branch
            or a loop body is.
    """
    made = rewrite(model, _Round(), strict=True)
    del made.graph.value_info[:]  # its types are the float16 network's
    tidy(made)
    return made


class _Round(ir.passes.InPlacePass):
    """Makes a float16 graph float32, and rounds every float16 value of it.

    1. Stored float16 tensors are float32.
    2. A float16 result of a node passes through a Cast to float16 and one back.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, taken = model.graph, names_in(model)
        for value in (*graph.inputs, *graph.outputs):
            if value.dtype == _HALF:
                raise ExportError(
                    f"{value.name} must be float32 at the end of the graph, got "
                    "float16."
                )
        for value in graph.initializers.values():
            value.const_value = value.const_value and _widened(value.const_value)
        for node in tuple(graph):
            _require_float32_bodies(node)
            _widen_attributes(node)
            casts: list[ir.Node] = []
            for value in node.outputs:
                if value.dtype == _HALF:
                    casts += _rounding(value, taken)
            node.append(casts)
        return ir.passes.PassResult(model, modified=True)


def _rounding(value: ir.Value, taken: set[str]) -> list[ir.Node]:
    """Casts that round a value; whoever read it reads what they make of it."""
    plain, rounded = (free(taken, f"{value.name}_{w}") for w in ("plain", "rounded"))
    half, again = ir.Value(name=rounded), ir.Value(name=value.name)
    value.replace_all_uses_with(again)
    value.name = plain
    return [
        ir.node("Cast", [value], {"to": _HALF}, outputs=[half], name=""),
        ir.node("Cast", [half], {"to": _FLOAT}, outputs=[again], name=""),
    ]


def _widen_attributes(node: ir.Node) -> None:
    for name, attribute in tuple(node.attributes.items()):
        if attribute.type == ir.AttributeType.TENSOR:
            node.attributes[name] = ir.AttrTensor(name, _widened(attribute.as_tensor()))
        elif attribute.value == _HALF and (
            name == "dtype" or (name == "to" and node.op_type == "Cast")
        ):
            node.attributes[name] = ir.AttrInt64(name, _FLOAT)


def _widened(stored: ir.TensorProtocol) -> ir.TensorProtocol:
    if stored.dtype != _HALF:
        return stored
    return ir.tensor(stored.numpy().astype(np.float32), name=stored.name)


def _require_float32_bodies(node: ir.Node) -> None:
    for body in bodies(node):
        for inner in body.all_nodes():
            if inner.attributes.get_int("to", 0) == _HALF:
                raise ExportError(
                    f"node {node.name} has a body that computes in float16, which "
                    "cannot be simulated: keep it in float32."
                )
