from __future__ import annotations

import onnx
import pytest
from onnx import parser

from fuseg.errors import ExportError
from fuseg_export.precision.fp16_overflow import overflow_risks


def net(text):
    """A graph in ONNX's own text syntax."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {text}')
    for i, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{i}"
    onnx.checker.check_model(model, full_check=True)
    return model


RISKY = """agraph (float[1,2,8,8] x) => (float[1,2,1,1] y) {
    a = Relu(x)
    b = Sigmoid(a)
    c = Mul(a, b)
    d = Softmax(c)
    e = Add(d, c)
    y = GlobalAveragePool(e)
}"""
IN_RANGE = dict.fromkeys("xabcdey", (-1.0, 1.0))


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, ["Softmax_3"]),
        ({"b": (0, 8188)}, ["Sigmoid_1", "Mul_2", "Softmax_3"]),
        ({"b": (-8187, 8187)}, ["Softmax_3"]),
        ({"b": (-8188, 0)}, ["Sigmoid_1", "Mul_2", "Softmax_3"]),
        ({"b": (0, 1e-5)}, ["Sigmoid_1", "Mul_2", "Softmax_3"]),
        ({"b": (0, 0)}, ["Softmax_3"]),
        ({"y": (0, 1023)}, ["Softmax_3"]),
        ({"y": (0, 1024)}, ["Softmax_3", "GlobalAveragePool_5"]),
    ],
)
def test_risks_follow_the_ranges(changed, names):
    assert overflow_risks({**IN_RANGE, **changed}, net(RISKY)) == names


def test_a_value_of_unknown_range_is_a_risk():
    known = {k: v for k, v in IN_RANGE.items() if k != "b"}
    overflowing = overflow_risks(known, net(RISKY))
    assert overflowing == ["Sigmoid_1", "Mul_2", "Softmax_3"]


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ((1e-12, 3), ["Relu_0", "Div_2"]),
        ((-3, -1e-12), ["Relu_0", "Div_2"]),
        ((0.01, 3), []),
        ((-3, -0.01), []),
    ],
)
def test_a_divisor_near_zero_is_a_risk(limits, names):
    model = net(
        "agraph (float[1] x) => (float[1] y) { a = Relu(x) b = Neg(x) y = Div(b, a) }"
    )
    assert overflow_risks({**IN_RANGE, "a": limits}, model) == names


def test_a_square_is_a_risk_and_a_product_is_not():
    model = net("agraph (float[1] x) => (float[1] y) { a = Mul(x, x) y = Mul(a, x) }")
    assert overflow_risks(IN_RANGE, model) == ["Mul_0"]


def test_a_risk_without_a_name_is_refused():
    model = net(RISKY)
    model.graph.node[3].name = ""
    with pytest.raises(ExportError, match="Softmax that makes d must stay float32"):
        overflow_risks(IN_RANGE, model)
