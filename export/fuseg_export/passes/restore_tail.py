"""Put back on a graph what `cut_tail` cut, up to the labels: the peers run this."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir

from fuseg.manifest import SegmentationOutput

from ..reference import threshold
from .rewrite import rewrite, static_shape, store

__all__ = ["with_tail"]


def with_tail(network: bytes, output: SegmentationOutput) -> onnx.ModelProto:
    """A bundle's graph that ends in labels, int64 or bool, at ``output.tail.size``.

    Resize and an activation come back if they were cut. ArgMax over the classes comes
    in any case, and of a single class the comparison with its threshold: somebody has
    to label.
    """
    return rewrite(onnx.load_from_string(network), _RestoreTail(output))


class _RestoreTail(ir.passes.InPlacePass):
    def __init__(self, output: SegmentationOutput) -> None:
        self._output = output

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, output = model.graph, self._output
        (value,) = graph.outputs
        removed, channels = output.tail.removed, (static_shape(value) or ())[1]
        if "Resize" in removed:
            size = np.array([1, channels, *output.tail.size], np.int64)
            grid = "align_corners" if output.upsample.align_corners else "half_pixel"
            inputs = [value, None, None, store(graph, size, "tail_size")]
            settings = {"coordinate_transformation_mode": grid, "mode": "linear"}
            value = _append(graph, "Resize", inputs, settings)
        for op in removed:
            if op in ("Softmax", "LogSoftmax"):
                value = _append(graph, op, [value], {"axis": 1})
            elif op == "Sigmoid":
                value = _append(graph, op, [value], {})
        if channels == 1:
            least = np.array(threshold(removed), np.float32)
            inputs = [value, store(graph, least, "tail_threshold")]
            value = _append(graph, "Greater", inputs, {})
            value.dtype = ir.DataType.BOOL
        else:
            value = _append(graph, "ArgMax", [value], {"axis": 1, "keepdims": 1})
            value.dtype = ir.DataType.INT64
        value.shape = ir.Shape((1, 1, *output.tail.size))
        graph.outputs.clear()
        graph.outputs.append(value)
        return ir.passes.PassResult(model, modified=True)


def _append(
    graph: ir.Graph, op: str, inputs: list[ir.Value | None], attributes: dict[str, Any]
) -> ir.Value:
    name = f"tail_{op}"
    node = ir.node(op, inputs, attributes, outputs=[ir.Value(name=name)], name=name)
    graph.append(node)
    return node.outputs[0]
