"""Means over whole planes, written so that TensorRT computes each in one kernel.

For a GlobalAveragePool it first lays its input out as planes, which channels-last
convolutions do not make; for an AveragePool it does not.
"""

from __future__ import annotations

import math

import onnx
import onnx_ir as ir

from .rewrite import rewrite, static_shape

__all__ = ["POOL_WINDOW", "with_average_pools"]

POOL_WINDOW = 100_000  # samples; TensorRT refuses pools over h x w of as many


def with_average_pools(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a network with an AveragePool over h x w for each GlobalAveragePool.

    Both are the same mean by definition, and bit by bit in ONNX Runtime, which on a CPU
    is up to twice as slow at it. Where h and w are not known, or TensorRT would refuse
    so large a window, it stays as it is.
    """
    return rewrite(model, _AveragePools())


class _AveragePools(ir.passes.InPlacePass):
    def call(self, model: ir.Model) -> ir.passes.PassResult:
        for node in model.graph:
            shape = static_shape(node.inputs[0]) if node.inputs else None
            if node.op_type != "GlobalAveragePool" or shape is None or len(shape) != 4:
                continue
            if math.prod(shape[2:]) < POOL_WINDOW:
                node.op_type = "AveragePool"
                node.attributes.add(ir.AttrInt64s("kernel_shape", shape[2:]))
        return ir.passes.PassResult(model, modified=True)
