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

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fuseg.errors import ExportError

from ..errors import cause
from ..passes.tidy import all_nodes, free, names_in, tidy

__all__ = ["rounded", "simulate"]

_FLOAT, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16

Scores = Callable[[Mapping[str, NDArray[np.float32]]], NDArray[np.float32]]


def simulate(model: onnx.ModelProto) -> Scores:
    """A float16 network as a function of its input tensors, rounded at every node.

    Sums inside one node (a convolution's, a pool's) are float32, as on tensor cores
    with float32 accumulators; every node's result is rounded to the nearest float16,
    beyond 65,504 to infinity. A GPU that fuses nodes rounds less often than this.

    Args:
        model: From `to_fp16`: one output, inputs and output float32.

    Raises:
        ExportError: See `rounded`, or ONNX Runtime refuses the graph.
    """
    options = onnxruntime.SessionOptions()
    # Optimised, it is no faster, and sums of convolutions come in another order.
    disabled = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = disabled
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # as in `open_session`
    graph = rounded(model).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
    except Exception as err:  # its exceptions share no narrower base
        raise ExportError(f"ONNX Runtime refuses the graph: {cause(err)}.") from err

    def scores(tensors: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        (found,) = session.run(None, dict(tensors))
        return np.asarray(found, np.float32)

    return scores


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The float32 graph that rounds to float16 wherever ``model`` does.

    Raises:
        ExportError: An input or output of ``model`` is float16, or a node in a branch
            or a loop body is.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    inferred = onnx.shape_inference.infer_shapes(made, strict_mode=True).graph
    halves = {
        v.name
        for v in (*inferred.value_info, *inferred.input, *inferred.output)
        if v.type.tensor_type.elem_type == _HALF
    }
    for value in (*made.graph.input, *made.graph.output):
        if value.name in halves:
            raise ExportError(
                f"{value.name} must be float32 at the end of the graph, got float16."
            )
    taken, nodes = names_in(made), list(made.graph.node)
    del made.graph.node[:], made.graph.value_info[:]
    for stored in made.graph.initializer:
        stored.CopyFrom(_widened(stored))
    for node in nodes:
        _require_float32_bodies(node)
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.CopyFrom(_widened(attribute.t))
            elif attribute.name == "dtype" and attribute.i == _HALF:
                attribute.i = _FLOAT
        casts = []
        for i, value in enumerate(node.output):
            if value not in halves:
                continue
            plain, half = (free(taken, f"{value}_{w}") for w in ("plain", "rounded"))
            node.output[i] = plain
            casts.append(helper.make_node("Cast", [plain], [half], to=_HALF))
            casts.append(helper.make_node("Cast", [half], [value], to=_FLOAT))
            if node.op_type == "Cast":
                next(a for a in node.attribute if a.name == "to").i = _FLOAT
        made.graph.node.extend([node, *casts])
    tidy(made)
    return made


def _widened(stored: onnx.TensorProto) -> onnx.TensorProto:
    if stored.data_type != _HALF:
        return stored
    values = numpy_helper.to_array(stored).astype(np.float32)
    return numpy_helper.from_array(values, stored.name)


def _require_float32_bodies(node: onnx.NodeProto) -> None:
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            for inner in all_nodes(body):
                to = next((a.i for a in inner.attribute if a.name == "to"), 0)
                if to == _HALF:
                    raise ExportError(
                        f"node {node.name} has a body that computes in float16, which "
                        "cannot be simulated: keep it in float32."
                    )
