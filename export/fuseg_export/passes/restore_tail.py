"""Put back on a graph what `cut_tail` cut, up to the labels: the peers run this."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from fuseg.manifest import Output

from ..reference import threshold

__all__ = ["with_tail"]


def with_tail(network: bytes, output: Output) -> onnx.ModelProto:
    """A bundle's graph that ends in labels, int64 or bool, at ``output.tail.size``.

    Resize and an activation come back if they were cut. ArgMax over the classes comes
    in any case, and of a single class the comparison with its threshold: somebody has
    to label.
    """
    model = onnx.load_from_string(network)
    graph, removed = model.graph, output.tail.removed
    value = output.tensor.name
    _, channels, _, _ = output.tensor.shape
    if "Resize" in removed:
        size = np.array([1, channels, *output.tail.size], np.int64)
        grid = "align_corners" if output.upsample.align_corners else "half_pixel"
        _store(model, "tail_size", size)
        value = _add(
            model,
            "Resize",
            [value, "", "", "tail_size"],
            mode="linear",
            coordinate_transformation_mode=grid,
        )
    for op in removed:
        if op in ("Softmax", "LogSoftmax"):
            value = _add(model, op, [value], axis=1)
        elif op == "Sigmoid":
            value = _add(model, op, [value])
    if channels == 1:
        limit = np.array(threshold(removed), np.float32)
        _store(model, "tail_threshold", limit)
        value = _add(model, "Greater", [value, "tail_threshold"])
        element = onnx.TensorProto.BOOL
    else:
        value = _add(model, "ArgMax", [value], axis=1, keepdims=1)
        element = onnx.TensorProto.INT64
    del graph.output[:]
    graph.output.append(
        onnx.helper.make_tensor_value_info(value, element, (1, 1, *output.tail.size))
    )
    return model


def _add(model: onnx.ModelProto, op: str, inputs: list[str], **attributes: Any) -> str:
    made = f"tail_{op}"
    node = onnx.helper.make_node(op, inputs, [made], name=made, **attributes)
    model.graph.node.append(node)
    return made


def _store(model: onnx.ModelProto, name: str, array: NDArray[Any]) -> None:
    model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
