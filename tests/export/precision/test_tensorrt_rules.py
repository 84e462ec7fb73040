"""Each rule: a graph that breaks it and no other, and graphs that break none."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from fuseg_export.ort_session import run_once
from fuseg_export.passes.float_weights import with_float_weights
from fuseg_export.passes.to_fp16 import to_fp16
from fuseg_export.precision.int8.tensorrt_rules import check_for_tensorrt

GOOD = {
    "scale": np.float32(0.03),
    "other": np.float32(0.05),
    "zero": np.int8(0),
    "kernel": np.linspace(-1, 1, 36, dtype=np.float32).reshape(4, 1, 3, 3),
    "whole": np.linspace(-127, 127, 36).astype(np.int8).reshape(4, 1, 3, 3),
    "scales": np.float32([0.01, 0.02, 0.03, 0.04]),
    "zeros": np.zeros(4, np.int8),
    "bias": np.float32([1, 2, 3, 4]),
}
BODY = """
    xq = QuantizeLinear(x, scale, zero)
    xd = DequantizeLinear(xq, scale, zero)
    wq = QuantizeLinear<axis=0>(kernel, scales, zeros)
    wd = DequantizeLinear<axis=0>(wq, scales, zeros)
    c = Conv<pads=[1,1,1,1]>(xd, wd, bias)
    r = Relu(c)
    rq = QuantizeLinear(r, scale, zero)
    rd = DequantizeLinear(rq, scale, zero)
    a = Add(rd, rd)
    b = Relu(a)
    bq = QuantizeLinear(b, scale, zero)
    bd = DequantizeLinear(bq, scale, zero)
    k = Concat<axis=1>(rd, bd)
    y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(k)
"""
STORED = ("wq = QuantizeLinear<axis=0>(kernel, scales, zeros)", "")
READ_STORED = ("<axis=0>(wq,", "<axis=0>(whole,")


def net(changes=(), constants=None, opset=17, body=BODY, signature=None):
    """The good graph with changes: (old, new) of its text, constants by name."""
    for old, new in changes:
        assert old in body
        body = body.replace(old, new)
    signature = signature or "(float[1,1,8,8] x) => (float[1,8,4,4] y)"
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": {opset}]> agraph {signature} {{ {body} }}'
    )
    for name, values in {**GOOD, **(constants or {})}.items():
        if any(name in node.input for node in model.graph.node):
            model.graph.initializer.append(numpy_helper.from_array(values, name))
    for node in model.graph.node:
        node.name = node.output[0]
    onnx.checker.check_model(model, full_check=True)
    return model


def half(changes=(), constants=None, **options):
    """The same with stored int8 weights, brought to float16."""
    return to_fp16(net([STORED, READ_STORED, *changes], constants, **options))


def broken(model, version="8.6", **options):
    sentences = check_for_tensorrt(model, version=version, **options)
    assert all(s.endswith(".") and "\n" not in s for s in sentences)
    return sentences


def assert_breaks(model, text, version="8.6", count=1):
    sentences = broken(model, version)
    assert len(sentences) == count, sentences
    assert all(text in sentence for sentence in sentences), sentences


def test_the_good_graphs_break_no_rule():
    assert broken(net(), "8.6") == []
    assert broken(half(), "10.3") == []
    assert broken(to_fp16(net()), "10.3") == []


def test_zero_points_are_zero():
    model = net(constants={"zero": np.int8(3)})
    assert_breaks(model, "must be 0 and int8, got int8 up to 3", count=6)


def test_zero_points_are_int8():
    sentences = broken(net(constants={"zero": np.uint8(0)}))
    assert sentences[:6] == [
        f"the zero point of {name} must be 0 and int8, got uint8 up to 0."
        for name in ("xq", "xd", "rq", "rd", "bq", "bd")
    ]


def test_zero_points_are_there():
    changes = [("r, scale, zero", "r, scale"), ("rq, scale, zero", "rq, scale")]
    sentences = broken(net(changes))
    assert sentences[0] == "the zero point of rq must be 0 and int8, got none."


@pytest.mark.parametrize("scale", [0, -0.5, np.inf, np.nan])
def test_scales_are_finite_and_positive(scale):
    model = net(constants={"scale": np.float32(scale)})
    sentences = broken(model)
    assert len(sentences) >= 6
    assert sentences[0] == (
        "the scale of xq must be stored in the graph, finite and positive."
    )


def test_scales_are_float32_before_opset_19():
    model = half()
    assert broken(model, "10.3") == []
    model.opset_import[0].version = 17
    assert broken(model, "10.3")[0] == (
        "the scale of xq must be float32 before opset 19, got float16."
    )


def test_a_weight_scale_of_zero_is_found():
    model = net(constants={"scales": np.float32([1, 0, 1, 1])})
    assert_breaks(model, "finite and positive", count=2)


WEIGHTED = {
    "Conv": ("Conv(xd, wd)", (4, 1, 3, 3), "float[1,4,6,6]", 0),
    "ConvTranspose": ("ConvTranspose(xd, wd)", (1, 4, 3, 3), "float[1,4,10,10]", 1),
    "MatMul": ("MatMul(xd, wd)", (8, 4), "float[1,1,8,4]", 1),
}


@pytest.mark.parametrize("kind", WEIGHTED)
@pytest.mark.parametrize("axis", [0, 1])
def test_scales_lie_on_the_output_channels(kind, axis):
    call, shape, made, right = WEIGHTED[kind]
    body = f"""
        xq = QuantizeLinear(x, scale, zero)
        xd = DequantizeLinear(xq, scale, zero)
        wq = QuantizeLinear<axis={axis}>(kernel, scales, zeros)
        wd = DequantizeLinear<axis={axis}>(wq, scales, zeros)
        y = {call}
    """
    size = shape[axis]
    constants = {
        "kernel": np.linspace(-1, 1, np.prod(shape), dtype=np.float32).reshape(shape),
        "scales": np.full(size, 0.01, np.float32),
        "zeros": np.zeros(size, np.int8),
    }
    signature = f"(float[1,1,8,8] x) => ({made} y)"
    model = net(body=body, constants=constants, signature=signature)
    if axis == right or size == 1:
        assert broken(model) == []
    else:
        assert_breaks(model, f"must be {right}, the output channels of {kind}", count=2)


@pytest.mark.parametrize(("transposed", "right"), [(0, 1), (1, 0)])
def test_scales_of_a_gemm_follow_its_flag(transposed, right):
    body = f"""
        xq = QuantizeLinear(x, scale, zero)
        xd = DequantizeLinear(xq, scale, zero)
        wd = DequantizeLinear<axis=0>(whole, scales, zeros)
        y = Gemm<transB={transposed}>(xd, wd)
    """
    constants = {"whole": np.ones((4, 4), np.int8)}
    model = to_fp16(
        net(
            body=body, constants=constants, signature="(float[2,4] x) => (float[2,4] y)"
        )
    )
    sentences = broken(model, "10.3")
    assert len(sentences) == (right != 0)
    assert all(f"must be {right}, the output" in s for s in sentences)


def test_a_wrong_axis_is_told_of_float16_too():
    model = half([("wd = DequantizeLinear<axis=0>", "wd = DequantizeLinear<axis=2>")])
    assert broken(model, "10.3")[0] == (
        "the scale of wd must have 3 values, one for each index of axis 2, got 4."
    )


def test_there_is_a_scale_for_each_channel():
    constants = {"scales": np.float32([1, 1]), "zeros": np.zeros(2, np.int8)}
    assert_breaks(net(constants=constants), "must have 4 values", count=2)


def test_values_have_one_scale():
    """TensorRT has per-channel scales for weights only."""
    model = net(
        [("r, scale, zero", "r, many, nulls"), ("rq, scale, zero", "rq, many, nulls")],
        {"many": np.full(4, 0.03, np.float32), "nulls": np.zeros(4, np.int8)},
    )
    sentences = broken(model)
    assert [s for s in sentences if "must be one number" in s] == sentences[:2]


def test_stored_weights_are_symmetric():
    weights = GOOD["whole"].copy()
    weights[0, 0, 0, 0] = -128
    assert_breaks(half(constants={"whole": weights}), "-128 is among them", "10.3")


def test_stored_int8_is_refused_by_8_6_only():
    model = net([STORED, READ_STORED])
    assert_breaks(model, "which refuses stored int8", "8.6")
    assert broken(half(), "10.3") == []


@pytest.mark.parametrize("scales", [GOOD["scales"], np.float32(0.01)])
def test_weights_are_brought_to_what_8_6_takes(scales):
    zeros = np.zeros(scales.shape, np.int8)
    # A scale that is no power of two, and every int8 there is.
    whole = np.arange(-127, 128).astype(np.int8)[:252].reshape(4, 7, 3, 3)
    body = """
        xq = QuantizeLinear(x, scale, zero)
        xd = DequantizeLinear(xq, scale, zero)
        wd = DequantizeLinear<axis=0>(whole, scales, zeros)
        y = Conv(xd, wd, bias)
    """
    constants = {"scales": scales, "zeros": zeros, "whole": whole}
    signature = "(float[1,7,8,8] x) => (float[1,4,6,6] y)"
    model = net(body=body, constants=constants, signature=signature)
    made = with_float_weights(model)
    onnx.checker.check_model(made, full_check=True)
    assert broken(made, "8.6") == []
    feed = {"x": np.random.default_rng(0).standard_normal((1, 7, 8, 8), np.float32)}
    np.testing.assert_array_equal(run_once(made, feed), run_once(model, feed))


def test_a_bias_is_float():
    bias = "c = Conv<pads=[1,1,1,1]>(xd, wd, bd0)"
    pair = "bd0 = DequantizeLinear(whole_bias, scale, zero)"
    model = net(
        [("c = Conv<pads=[1,1,1,1]>(xd, wd, bias)", f"{pair} {bias}")],
        {"whole_bias": np.int8([1, 2, 3, 4])},
    )
    sentences = broken(to_fp16(model), "10.3")
    assert sentences == ["the bias of Conv c must not be quantized."]


def test_an_int32_bias_is_found_as_such():
    pair = "bd0 = DequantizeLinear(whole_bias, scale, null)"
    conv = "c = Conv<pads=[1,1,1,1]>(xd, wd, "
    model = net(
        [(f"{conv}bias)", f"{pair} {conv}bd0)")],
        {"whole_bias": np.int32([1, 2, 3, 4]), "null": np.int32(0)},
    )
    assert "what bd0 reads must be int8." in broken(model)


def test_nothing_is_quantized_between_a_convolution_and_its_relu():
    pair = "cq = QuantizeLinear(c, scale, zero) cd = DequantizeLinear(cq, scale, zero)"
    model = net([("r = Relu(c)", f"{pair} r = Relu(cd)")])
    assert_breaks(model, "cq must not stand between Conv c and its Relu r")


PREACTIVATED = """
    xq = QuantizeLinear(x, scale, zero)
    xd = DequantizeLinear(xq, scale, zero)
    wq = QuantizeLinear<axis=0>(kernel, scales, zeros)
    wd = DequantizeLinear<axis=0>(wq, scales, zeros)
    c = Conv<pads=[1,1,1,1]>(xd, wd, bias)
    r = Relu(c)
    q = QuantizeLinear(c, scale, zero)
    d = DequantizeLinear(q, scale, zero)
    m = MaxPool<kernel_shape=[1,1]>(d)
    y = Mul(m, r)
"""
FOUR = "(float[1,1,8,8] x) => (float[1,4,8,8] y)"


def test_what_a_relu_makes_is_quantized_not_what_it_reads():
    model = net(body=PREACTIVATED, signature=FOUR)
    assert_breaks(model, "q must quantize what r makes of Conv c, not what it reads")


def test_an_addition_may_read_what_a_relu_reads_too():
    changes = [("m = MaxPool<kernel_shape=[1,1]>(d)", "m = Add(d, d)")]
    assert broken(net(changes, body=PREACTIVATED, signature=FOUR)) == []


def test_both_inputs_of_an_addition_are_quantized_or_none():
    assert_breaks(net([("Add(rd, rd)", "Add(rd, r)")]), "both inputs of Add a")
    assert broken(net([("Add(rd, rd)", "Add(r, r)")])) == []


def test_inputs_of_a_concat_have_one_scale():
    changes = [("b, scale, zero", "b, other, zero"), ("bq, scale", "bq, other")]
    assert_breaks(
        net(changes), "all inputs of Concat k must be quantized with one scale"
    )
    assert_breaks(net([("(rd, bd)", "(rd, b)")]), "all inputs of Concat k")
    assert broken(net([("(rd, bd)", "(r, b)")])) == []


def test_eight_bits_are_read_by_a_dequantizer_only():
    body = """
        xq = QuantizeLinear(x, scale, zero)
        m = MaxPool<kernel_shape=[2,2]>(xq)
        y = DequantizeLinear(m, scale, zero)
    """
    signature = "(float[1,1,8,8] x) => (float[1,1,7,7] y)"
    assert_breaks(
        net(body=body, signature=signature), "MaxPool m must read float, but xq is in 8"
    )


def test_opsets_of_both_versions():
    newer = onnx.version_converter.convert_version(net(), 18)
    assert_breaks(newer, "the opset must be 7 to 17 for TensorRT 8.6, got 18")
    newer = half()
    newer.opset_import[0].version = 21
    assert_breaks(newer, "the opset must be 9 to 20 for TensorRT 10.3, got 21", "10.3")


@pytest.mark.parametrize(
    ("text", "sentence", "versions"),
    [
        ("y = HardSwish(x)", None, ("8.6", "10.3")),
        (
            "y = Hardmax<axis=0>(x)",
            "Hardmax, which TensorRT 8.6 does not have",
            ("8.6",),
        ),
        ("y = Det(x)", "Det, which", ("8.6", "10.3")),
        ('y = Resize<mode="cubic">(x, , , sizes)', None, ("8.6", "10.3")),
        (
            (
                'y = Resize<coordinate_transformation_mode="tf_crop_and_resize">'
                "(x, roi, , sizes)"
            ),
            "coordinate_transformation_mode of Resize",
            ("8.6", "10.3"),
        ),
        ("y, i = MaxPool<kernel_shape=[1,1]>(x)", "first output", ("8.6", "10.3")),
        (
            "y = MaxPool<kernel_shape=[3,3], dilations=[2,1], pads=[2,1,2,1]>(x)",
            "dilations of MaxPool y must be 1",
            ("10.3",),
        ),
        (
            (
                "f = Reshape(x, flat) g = AveragePool<kernel_shape=[1]>(f) "
                "y = Reshape(g, back)"
            ),
            None,
            ("8.6", "10.3"),
        ),
        (
            (
                "f = Reshape(x, deep) g = AveragePool<kernel_shape=[1,1,1,1]>(f) "
                "y = Reshape(g, back)"
            ),
            "AveragePool g must be of 3 or 4 or 5 axes",
            ("8.6", "10.3"),
        ),
    ],
)
def test_operators_and_their_limits(text, sentence, versions):
    constants = {
        "sizes": np.int64([1, 4, 8, 8]),
        "roi": np.float32([0, 0, 0, 0, 1, 1, 1, 1]),
        "flat": np.int64([1, 4, 64]),
        "deep": np.int64([1, 4, 2, 4, 2, 4]),
        "back": np.int64([1, 4, 8, 8]),
    }
    signature = "(float[1,4,8,8] x) => (float[1,4,8,8] y)"
    if "Det" in text:
        signature = "(float[1,4,8,8] x) => (float[1,4] y)"
    model = net(body=text, signature=signature, constants=constants)
    for version in ("8.6", "10.3"):
        if sentence is not None and version in versions:
            assert_breaks(model, sentence.replace("8.6", version), version)
        else:
            assert broken(model, version) == []


def test_axes_are_stored():
    signature = "(float[1,4,8,8] x, int64[1] axes) => (float[4,8,8] y)"
    model = net(body="y = Squeeze(x, axes)", signature=signature)
    assert_breaks(model, "input 1 of Squeeze y must be stored in the graph")
    stored = net(
        body="y = Squeeze(x, o)", signature=signature, constants={"o": np.int64([0])}
    )
    assert broken(stored) == []


def test_types_are_one_for_a_strongly_typed_build():
    model = half()
    node = next(n for n in model.graph.node if n.op_type == "Conv")
    wide = helper.make_node("Cast", [node.input[2]], ["wide"], to=TensorProto.FLOAT)
    node.input[2] = "wide"
    model.graph.node.insert(0, wide)
    assert_breaks(model, "the inputs of Conv c must have one float type", "10.3")


def test_a_scale_has_the_type_of_its_value():
    model = half()
    node = next(n for n in model.graph.node if n.name == "rq")
    model.graph.initializer.append(numpy_helper.from_array(np.float32(0.03), "wide"))
    node.input[1] = "wide"
    assert_breaks(model, "the inputs of QuantizeLinear rq must have one float", "10.3")


def test_types_that_contradict_are_one_sentence():
    model = half()
    del model.graph.value_info[:]
    model.graph.value_info.append(
        helper.make_tensor_value_info("r", TensorProto.FLOAT, [1, 4, 8, 8])
    )
    assert_breaks(model, "the graph's types must be consistent", "10.3")


def test_what_stays_float32_is_named():
    model = to_fp16(net([STORED, READ_STORED]), keep=["c"])
    assert_breaks(model, "Conv c must compute in float16 or be kept", "10.3")
    assert broken(model, "10.3", keep=["c"]) == []
    assert broken(net(), "8.6") == []
