"""Weights for TensorRT 8.6: float32 in the graph, with a QuantizeLinear behind them.

TensorRT 8 refuses constants of int8 ("invalid weights type of Int8",
microsoft/onnxruntime #11535); it quantizes weights itself, by the scale that it finds.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from .rewrite import constant, free, names_in, rewrite, store

__all__ = ["with_float_weights"]


def with_float_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a network whose stored int8 weights are float32 and a pair.

    The numbers are those that a DequantizeLinear made of them: quantized by the same
    scale they are the same int8 again.
    """
    return rewrite(model, _FloatWeights(), RemoveUnusedNodesPass())


class _FloatWeights(ir.passes.InPlacePass):
    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, taken = model.graph, names_in(model)
        for node in tuple(graph):
            if node.op_type != "DequantizeLinear":
                continue
            whole, scale = (constant(value) for value in node.inputs[:2])
            if whole is None or scale is None or whole.dtype != np.int8:
                continue
            axis = node.attributes.get_int("axis", 1)
            if scale.ndim:
                sides = [1] * whole.ndim
                sides[axis] = -1
                scale = scale.reshape(sides)
            assert node.inputs[0] is not None, "it is stored"
            name = free(taken, f"{node.inputs[0].name}_float32")
            weights = store(graph, whole.astype(np.float32) * scale, name)
            quantized = ir.Value(name=free(taken, f"{name}_quantized"))
            node.prepend(
                ir.node(
                    "QuantizeLinear",
                    [weights, *node.inputs[1:]],
                    {"axis": axis},
                    outputs=[quantized],
                    name=f"{name}/QuantizeLinear",
                )
            )
            node.replace_input_with(0, quantized)
        return ir.passes.PassResult(model, modified=True)
