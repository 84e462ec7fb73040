"""Where the pairs stand, what they hold, and that runtimes compute in integers."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from fuseg_export.ort_session import run_once
from fuseg_export.outputs.label_task import LabelTask
from fuseg_export.passes.to_fp16 import to_fp16
from fuseg_export.precision.calibrate import calibrate
from fuseg_export.precision.evaluate import network_function
from fuseg_export.precision.int8.ort_fusion_check import left_in_float
from fuseg_export.precision.int8.qdq_placement import CPU, TENSORRT
from fuseg_export.precision.int8.quantize import quantizable, quantize
from fuseg_export.precision.int8.tensorrt_rules import check_for_tensorrt


@pytest.fixture(scope="module", params=["fusing", "dense", "depthwise", "transformer"])
def known(request, exported, frames):
    model, tail = exported(request.param)
    given = list(frames(request.param, 6))
    return model, tail, given, calibrate(model, given)


def stored(model):
    return {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}


def of_type(model, op):
    return [n for n in model.graph.node if n.op_type == op]


def optimised(model, tmp_path):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return Counter(n.op_type for n in onnx.load(tmp_path / "optimised.onnx").graph.node)


@pytest.mark.parametrize("scheme", [CPU, TENSORRT], ids=["cpu", "tensorrt"])
def test_the_graph_is_valid_and_says_nearly_the_same(known, scheme):
    model, tail, given, ranges = known
    made = quantize(model, ranges, scheme)
    onnx.checker.check_model(made, full_check=True)
    assert [v.name for v in made.graph.input] == [v.name for v in model.graph.input]
    assert made.graph.output[0] == model.graph.output[0]
    full, few = network_function(model), network_function(made)
    if not any(
        n.name.startswith("/network/deep") for n in model.graph.node
    ):  # see test_evaluate
        for tensors in given:
            expected, got = full(tensors)["logits"], few(tensors)["logits"]
            error = np.sqrt(((expected - got) ** 2).mean() / (expected**2).mean())
            assert 0 < error < 0.06
            task = LabelTask((), 255, tail.size, tail.align_corners)
            assert task.agreement(task.result(expected), task.result(got)) > 0.95
    assert made.SerializeToString(deterministic=True) == quantize(
        model, ranges, scheme
    ).SerializeToString(deterministic=True)


def test_for_a_cpu_every_layer_becomes_an_integer_one(known, tmp_path):
    model, _, _, ranges = known
    counts = optimised(quantize(model, ranges, CPU), tmp_path)
    convolutions = len(of_type(model, "Conv"))
    assert counts["Conv"] + counts["FusedConv"] == 1, "the one that makes the scores"
    assert counts["QLinearConv"] == convolutions - 1


def test_what_runs_in_float_nevertheless_is_named(exported, frames):
    model, _ = exported("fusing")
    ranges = calibrate(model, frames("fusing", 2))
    assert left_in_float(quantize(model, ranges, CPU)) == []
    left = left_in_float(quantize(model, ranges, TENSORRT))
    quantized = quantizable(model, TENSORRT)
    assert left
    assert set(left) <= set(quantized)
    up = next(n.name for n in model.graph.node if n.op_type == "ConvTranspose")
    assert up in left, "ONNX Runtime has no integer one"
    assert left_in_float(model) == []


def test_for_tensorrt_activations_have_no_zero_point_and_bias_is_float(known):
    model, _, _, ranges = known
    made = quantize(model, ranges, TENSORRT)
    values = stored(made)
    for node in (*of_type(made, "QuantizeLinear"), *of_type(made, "DequantizeLinear")):
        assert (values[node.input[2]] == 0).all()
        assert values[node.input[2]].dtype == np.int8
        scale = values[node.input[1]]
        assert np.isfinite(scale).all()
        assert (scale > 0).all()
        normal = scale >= np.finfo(np.float16).smallest_normal
        np.testing.assert_array_equal(scale[normal], scale[normal].astype(np.float16))
    for node in (*of_type(made, "Conv"), *of_type(made, "Gemm")):
        if len(node.input) > 2:
            assert values[node.input[2]].dtype == np.float32


@pytest.mark.parametrize("both", [True, False])
def test_a_concat_has_pairs_before_all_of_its_inputs_or_none(both):
    """As a U-Net's: what is joined was read by a layer that is quantized, or not."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        joined (float[1,4,8,8] x, float[1,4,8,8] y, float[4,4,1,1] w, float[4,8,1,1] v)
            => (float[1,4,8,8] z) {
            a = Conv(x, w)
            b = Relu(a)
            d = Relu(y)
            c = Conv(OTHER, w)
            e = Concat<axis=1>(b, d)
            f = Conv(e, v)
            g = Add(c, f)
            h = Conv(b, w)
            z = Add(g, h)
        }""".replace("OTHER", "d" if both else "x")
    )
    rng = np.random.default_rng(0)
    for name in ("w", "v"):
        value = next(i for i in model.graph.input if i.name == name)
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        weights = rng.standard_normal(shape).astype(np.float32)
        model.graph.input.remove(value)
        model.graph.initializer.append(numpy_helper.from_array(weights, name))
    for node in model.graph.node:
        node.name = node.output[0]
    frames = [
        {n: rng.standard_normal((1, 4, 8, 8)).astype(np.float32) for n in "xy"}
        for _ in range(2)
    ]
    made = quantize(model, calibrate(model, frames), TENSORRT)
    makers = {n.output[0]: n.op_type for n in made.graph.node}
    (concat,) = of_type(made, "Concat")
    wanted = "DequantizeLinear" if both else "Relu"
    assert [makers[name] for name in concat.input] == [wanted] * 2
    assert check_for_tensorrt(to_fp16(made), version="10.3") == []


def test_an_addition_behind_a_layer_in_float_has_no_pair_of_the_layer_beside_it():
    """As a residual block's: what goes round it is read by one that is quantized."""
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        block (float[1,4,8,8] x, float[4,4,1,1] w) => (float[1,4,8,8] z) {
            a = Conv(x, w)
            b = Relu(a)
            c = Conv(b, w)
            d = Conv(c, w)
            e = Add(b, d)
            z = Conv(e, w)
        }"""
    )
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((4, 4, 1, 1)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    del model.graph.input[1]
    for node in model.graph.node:
        node.name = node.output[0]
    ranges = calibrate(
        model, [{"x": rng.standard_normal((1, 4, 8, 8)).astype(np.float32)}]
    )
    for kept, inputs in (((), 2), (("d",), 0)):
        made = quantize(model, ranges, TENSORRT, kept)
        (add,) = of_type(made, "Add")
        makers = {n.output[0]: n.op_type for n in made.graph.node}
        assert [makers[v] for v in add.input].count("DequantizeLinear") == inputs
        assert check_for_tensorrt(to_fp16(made), version="10.3") == []


@pytest.mark.parametrize("scheme", [CPU, TENSORRT], ids=["cpu", "tensorrt"])
def test_no_pair_stands_between_a_convolution_and_its_relu(known, scheme):
    model, _, _, ranges = known
    made = quantize(model, ranges, scheme)
    makers = {v: n for n in made.graph.node for v in n.output}
    relus = of_type(made, "Relu")
    assert relus or of_type(model, "Erf"), "the transformer has none"
    for relu in relus:
        assert makers[relu.input[0]].op_type != "DequantizeLinear"


def test_both_inputs_of_an_addition_behind_a_convolution_are_quantized(known):
    model, _, _, ranges = known
    made = quantize(model, ranges, TENSORRT)
    makers = {v: n for n in made.graph.node for v in n.output}
    before = {v: n for n in model.graph.node for v in n.output}
    for old, new in zip(of_type(model, "Add"), of_type(made, "Add"), strict=True):
        if any(v in before and before[v].op_type == "Conv" for v in old.input):
            assert [makers[v].op_type for v in new.input] == ["DequantizeLinear"] * 2


def test_weights_have_one_scale_for_each_output_channel(exported, frames):
    model, _ = exported("fusing")
    ranges = calibrate(model, frames("fusing", 2))
    made = quantize(model, ranges, TENSORRT)
    values, before = stored(made), stored(model)
    makers = {v: n for n in made.graph.node for v in n.output}
    axes = {"Conv": 0, "ConvTranspose": 1}
    pairs = [
        (a, b)
        for op in axes
        for a, b in zip(of_type(model, op), of_type(made, op), strict=True)
    ]
    checked = 0
    for old, new in pairs:
        maker = makers.get(new.input[1])
        if maker is None:  # the one that makes the scores
            continue
        whole, scale, _ = (values[name] for name in maker.input)
        axis = axes[old.op_type]
        assert scale.shape == (whole.shape[axis],)
        assert maker.attribute[0].i == axis
        weights = before[old.input[1]]
        shape = [1] * 4
        shape[axis] = -1
        error = np.abs(whole * scale.reshape(shape) - weights)
        assert (error <= scale.reshape(shape) * 0.5001).all()
        assert (
            np.abs(whole.astype(int)).max(axis=tuple({0, 1, 2, 3} - {axis})).min()
            == 127
        )
        checked += 1
    added = {n.name for n in of_type(model, "Add")}
    assert checked == len({*quantizable(model, TENSORRT)} - added) == 6


def as_bytes(model):
    return model.SerializeToString(deterministic=True)


@pytest.mark.parametrize("scheme", [CPU, TENSORRT], ids=["cpu", "tensorrt"])
def test_with_every_layer_in_float_it_is_the_float32_graph(known, scheme):
    """No addition, product or pool keeps a pair that serves no layer in INT8."""
    model, _, _, ranges = known
    everything = quantize(model, ranges, scheme, quantizable(model, scheme))
    assert as_bytes(everything) == as_bytes(model)
    assert as_bytes(quantize(model, ranges, scheme)) != as_bytes(model)


def test_what_is_kept_stays_in_float(exported, frames):
    model, _ = exported("fusing")
    ranges = calibrate(model, frames("fusing", 2))
    for scheme in (CPU, TENSORRT):
        nodes = quantizable(model, scheme)
        one = quantize(model, ranges, scheme, nodes[:1])
        kept = next(n for n in one.graph.node if n.name == nodes[0])
        assert (
            kept.input[1]
            == next(n for n in model.graph.node if n.name == nodes[0]).input[1]
        )


def test_a_value_that_is_always_zero_and_a_bias_too_large_for_its_scale(
    exported, frames
):
    model, _ = exported("fusing")
    for stored_tensor in model.graph.initializer:
        if stored_tensor.name == of_type(model, "Conv")[0].input[2]:
            bias = numpy_helper.to_array(stored_tensor).copy()
            bias[0] = 1e6
            stored_tensor.CopyFrom(numpy_helper.from_array(bias, stored_tensor.name))
    silent = [{n: np.zeros_like(a) for n, a in f.items()} for f in frames("fusing", 1)]
    ranges = calibrate(model, silent)
    made = quantize(model, ranges, CPU)
    onnx.checker.check_model(made, full_check=True)
    got, expected = (run_once(m, silent[0]) for m in (made, model))
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, expected, atol=0.05 * np.abs(expected).max())


def test_a_value_called_like_a_new_tensor_keeps_its_name(known):
    """The scale of the input x would be x_scale, but a value is called so already."""
    model, _, given, ranges = known
    first = model.graph.input[0].name
    clash = onnx.ModelProto()
    clash.CopyFrom(model)
    node = clash.graph.node[0]
    old, node.output[0] = node.output[0], f"{first}_scale"
    for other in clash.graph.node:
        for i, value in enumerate(other.input):
            if value == old:
                other.input[i] = node.output[0]
    for info in clash.graph.value_info:
        if info.name == old:
            info.name = node.output[0]
    made = quantize(clash, calibrate(clash, given), CPU)
    onnx.checker.check_model(made, full_check=True)
    np.testing.assert_array_equal(
        run_once(made, given[0]),
        run_once(quantize(model, ranges, CPU), given[0]),
    )
