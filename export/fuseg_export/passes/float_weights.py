"""Weights for TensorRT 8.6: float32 in the graph, with a QuantizeLinear behind them.

TensorRT 8 refuses constants of int8 ("invalid weights type of Int8",
microsoft/onnxruntime #11535); it quantizes weights itself, by the scale that it finds.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .tidy import attributes, free, names_in, prune

__all__ = ["with_float_weights"]


def with_float_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a network whose stored int8 weights are float32 and a pair.

    The numbers are those that a DequantizeLinear made of them: quantized by the same
    scale they are the same int8 again.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    taken = names_in(made)
    stored = {i.name: i for i in made.graph.initializer}
    nodes = list(made.graph.node)
    del made.graph.node[:]
    for node in nodes:
        whole = stored.get(node.input[0]) if node.input else None
        if (
            node.op_type == "DequantizeLinear"
            and whole is not None
            and whole.data_type == TensorProto.INT8
        ):
            weights = free(taken, f"{node.input[0]}_float32")
            quantized = free(taken, f"{weights}_quantized")
            values, scale = (numpy_helper.to_array(stored[v]) for v in node.input[:2])
            axis = attributes(node).get("axis", 1)
            if scale.ndim:
                sides = [
                    -1 if i == axis % values.ndim else 1 for i in range(values.ndim)
                ]
                scale = scale.reshape(sides)
            plain = numpy_helper.from_array(values.astype(np.float32) * scale, weights)
            made.graph.initializer.append(plain)
            made.graph.node.append(
                helper.make_node(
                    "QuantizeLinear",
                    [weights, *node.input[1:]],
                    [quantized],
                    f"{weights}/QuantizeLinear",
                    axis=axis,
                )
            )
            node.input[0] = quantized
        made.graph.node.append(node)
    prune(made)
    return made
