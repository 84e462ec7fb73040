"""A defect planted in the shipped network is refused with the name of its node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from backends.tensorrt.networks import PRECISIONS
from onnx import numpy_helper

from fuseg.errors import BuildError
from fuseg_export.precision.int8.tensorrt_rules import check_for_tensorrt


def zero_point(model: onnx.ModelProto) -> onnx.NodeProto:
    node = first(model, "QuantizeLinear")
    store(model, node, 2, np.int8(3))
    return node


def bias(model: onnx.ModelProto) -> onnx.NodeProto:
    node = first(model, "Conv", inputs=3)
    store(model, node, 2, stored(model, node.input[2]).astype(np.float32))
    return node


def axis(model: onnx.ModelProto) -> onnx.NodeProto:
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "axis" and node.op_type == "DequantizeLinear":
                attribute.i = 1
                return node
    raise AssertionError("no DequantizeLinear has an axis")


def opset(model: onnx.ModelProto) -> onnx.NodeProto:
    (used,) = model.opset_import
    assert used.version == 19
    used.version = 17
    return first(model, "QuantizeLinear")


def first(model: onnx.ModelProto, kind: str, inputs: int = 0) -> onnx.NodeProto:
    nodes = (n for n in model.graph.node if n.op_type == kind)
    return next(node for node in nodes if len(node.input) >= inputs)


def stored(model: onnx.ModelProto, name: str) -> np.ndarray:
    (found,) = (t for t in model.graph.initializer if t.name == name)
    return numpy_helper.to_array(found)


def store(model: onnx.ModelProto, node: onnx.NodeProto, at: int, value) -> None:
    node.input[at] = "planted"
    made = numpy_helper.from_array(np.asarray(value), "planted")
    model.graph.initializer.append(made)


@pytest.mark.parametrize("plant", [zero_point, bias, axis, opset])
def test_our_rules_name_it(plant: Callable[..., onnx.NodeProto], shipped):
    model = onnx.load_model_from_string(shipped["int8-trt"])
    node = plant(model)
    broken = check_for_tensorrt(model, version="10.3")
    assert node.name in broken[0], broken


@pytest.mark.parametrize("plant", [zero_point, bias])
def test_the_real_parser_names_it(
    plant: Callable[..., onnx.NodeProto], shipped, check_network
):
    """The other two it takes: one runs in float then, one only TensorRT 10 refuses."""
    model = onnx.load_model_from_string(shipped["int8-trt"])
    node = plant(model)
    with pytest.raises(BuildError, match=f"{node.op_type} node {node.name}: "):
        check_network(model.SerializeToString(), PRECISIONS["int8-trt"][1])
