from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper, parser

from fuseg.errors import ArgumentError, ExportError
from fuseg_export.ort_session import open_cpu_session, run_once
from fuseg_export.passes.to_fp16 import to_fp16, to_opset
from fuseg_export.precision.fp16_simulation import simulate

FLOAT, HALF, INT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8


def net(text, constants=None, opset=17):
    """A graph in ONNX's own text syntax; constants by name."""
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> {text}')
    for name, values in (constants or {}).items():
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{i}"
    onnx.checker.check_model(model, full_check=True)
    return model


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def types(model):
    """Element type by value."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    known = {i.name: i.data_type for i in inferred.initializer}
    for v in (*inferred.value_info, *inferred.input, *inferred.output):
        known[v.name] = v.type.tensor_type.elem_type
    return known


def node_of(model, kind):
    return next(n for n in model.graph.node if n.op_type == kind)


def computes_in(model, kind):
    """Element type of the first input of the first node of a kind."""
    return types(model)[node_of(model, kind).input[0]]


def agrees(model, keep=(), tolerance=5e-3, **feed):
    """Convert, open, and compare every output with float32's; the float16 graph."""
    made = to_fp16(model, keep)
    onnx.checker.check_model(made, full_check=True)
    again = to_fp16(model, keep)
    assert made.SerializeToString() == again.SerializeToString()
    outputs = [(v.name, v.type.SerializeToString()) for v in model.graph.output]
    assert [(v.name, v.type.SerializeToString()) for v in made.graph.output] == outputs
    assert list(made.graph.input) == list(model.graph.input)
    expected = open_cpu_session(model).run(None, feed)
    for got, want in zip(open_cpu_session(made).run(None, feed), expected, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    return made


CONV = """agraph (float[1,3,8,8] x) => (float[1,4,16,16] y) {
    a = Conv<pads=[1,1,1,1]>(x, w, b)
    c = Relu(a)
    y = Resize<mode="linear">(c, , scales)
}"""
CONV_CONSTANTS = {
    "w": random(4, 3, 3, 3),
    "b": random(4),
    "scales": np.float32([1, 1, 2, 2]),
}


def test_scales_of_a_resize_stay_float32_and_its_picture_does_not():
    made = agrees(net(CONV, CONV_CONSTANTS), x=random(1, 3, 8, 8))
    resize = node_of(made, "Resize")
    assert types(made)[resize.input[0]] == HALF
    assert types(made)[resize.input[2]] == FLOAT
    assert computes_in(made, "Conv") == HALF


def test_scales_that_are_computed_are_brought_back_to_float32():
    model = net(
        """agraph (float[1,1,4,4] x, float[4] s) => (float[1,1,8,8] y) {
            a = Relu(x)
            scales = Relu(s)
            z = Resize<mode="nearest">(a, , scales)
            y = Reshape(z, shape)
        }""",
        {"shape": np.int64([1, 1, 8, 8])},
    )
    made = agrees(model, x=random(1, 1, 4, 4), s=np.float32([1, 1, 2, 2]))
    resize = node_of(made, "Resize")
    assert [types(made)[resize.input[i]] for i in (0, 2)] == [HALF, FLOAT]


def test_a_kept_node_reads_and_makes_float32():
    made = agrees(net(CONV, CONV_CONSTANTS), keep=["Relu_1"], x=random(1, 3, 8, 8))
    assert computes_in(made, "Relu") == FLOAT
    assert computes_in(made, "Conv") == HALF
    assert computes_in(made, "Resize") == HALF


def test_a_constant_with_readers_of_both_kinds_is_stored_twice():
    model = net(
        """agraph (float[2,3] x) => (float[2,3] y, float[2,3] z) {
            a = Add(x, c)
            y = Mul(a, c)
            z = Add(y, a)
        }""",
        {"c": random(3)},
    )
    made = agrees(model, keep=["Mul_1"], x=random(2, 3))
    stored = {i.name: i.data_type for i in made.graph.initializer}
    assert stored == {"c": FLOAT, "c_float16": HALF}


def test_a_concat_of_kept_and_converted_values():
    model = net("""agraph (float[2,3] x, float16[2,1] h) => (float[2,7] y, float[2] z) {
        a = Relu(x)
        b = Softmax(x)
        c = Cast<to=1>(h)
        y = Concat<axis=1>(a, b, c)
        z = ReduceMax<axes=[1], keepdims=0>(y)
    }""")
    feed = {"x": random(2, 3), "h": np.float16([[1], [2]])}
    made = agrees(model, keep=["Softmax_1"], **feed)
    assert {types(made)[v] for v in node_of(made, "Concat").input} == {HALF}


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3)])
def test_a_state_goes_in_and_out_of_a_recurrent_net(kind, gates):
    cell, cells = (", float[1,1,5] c", ", float[1,1,5] cn") if gates == 4 else ("", "")
    states = ("h, c", "yh, cn") if gates == 4 else ("h", "yh")
    model = net(
        f"""agraph (float[6,1,4] x, float[1,1,5] h{cell})
            => (float[6,1,1,5] y, float[1,1,5] hn{cells}) {{
            y, {states[1]} = {kind}<hidden_size=5>(x, w, r, b, , {states[0]})
            hn = Concat<axis=0>(yh)
        }}""",
        {
            "w": random(1, gates * 5, 4),
            "r": random(1, gates * 5, 5, seed=1),
            "b": random(1, gates * 10),
        },
    )
    feed = {"x": random(6, 1, 4), "h": random(1, 1, 5), "c": random(1, 1, 5)}
    made = agrees(model, **{v.name: feed[v.name] for v in model.graph.input})
    assert computes_in(made, kind) == HALF


def test_casts_to_and_from_other_types():
    model = net("""agraph (float[4] x, int64[4] n) => (float[4] y, int64[4] m) {
        a = Cast<to=1>(n)
        b = Add(a, x)
        c = Cast<to=11>(b)
        d = Cast<to=1>(c)
        e = Cast<to=9>(b)
        f = Cast<to=1>(e)
        y = Mul(d, f)
        m = Cast<to=7>(y)
    }""")
    made = agrees(model, x=np.float32([0.5, 0, 3, 8]), n=np.int64([1, 0, 2, 3]))
    assert computes_in(made, "Add") == HALF


def test_text_is_looked_up_in_a_float16_table():
    model = net(
        """agraph (int64[5] ids) => (float[5,3] y) {
            a = Gather(table, ids)
            y = Relu(a)
        }""",
        {"table": random(9, 3)},
    )
    made = agrees(model, ids=np.int64([0, 8, 3, 3, 1]))
    assert [i.data_type for i in made.graph.initializer] == [HALF]


def test_branches_and_loops_stay_float32_and_see_values_from_outside():
    model = net(
        """agraph (float[2] x, bool[1] which, int64 times) => (float[2] y, float[2] z) {
            a = Mul(x, c)
            y = If(which) <
                then_branch = g1 () => (float[2] t) { t = Add(a, c) },
                else_branch = g2 () => (float[2] e) { e = Sub(a, c) }>
            z = Loop(times, , a) <body = g3 (int64 i, bool ok, float[2] s)
                => (bool more, float[2] r) { more = Identity(ok)
                 r = Add(s, a) }>
        }""",
        {"c": np.float32([2, 3])},
    )
    feed = {"x": random(2), "times": np.array(3)}
    for which in (True, False):
        made = agrees(model, which=np.array([which]), **feed)
    assert computes_in(made, "Mul") == HALF
    assert computes_in(made, "Loop") == TensorProto.INT64
    assert types(made)[node_of(made, "Loop").input[2]] == FLOAT


def test_two_nodes_of_one_name():
    model = net("agraph (float[2] x) => (float[2] y) { a = Relu(x) y = Exp(a) }")
    model.graph.node[0].name = model.graph.node[1].name = "twin"
    made = to_fp16(model)
    assert [computes_in(made, op) for op in ("Relu", "Exp")] == [HALF, HALF]
    made = to_fp16(model, keep=["twin"])
    assert [computes_in(made, op) for op in ("Relu", "Exp")] == [FLOAT, FLOAT]
    open_cpu_session(made)  # refuses a name that two nodes have


def test_an_output_that_is_read_inside_and_one_that_is_an_input():
    model = net("agraph (float[2] x) => (float[2] a, float[2] y) {a=Relu(x) y=Exp(a)}")
    agrees(model, x=random(2))


@pytest.mark.parametrize("constant", [-1e9, 1e-12])
def test_a_constant_that_float16_would_lose_stays_float32(constant):
    model = net(
        "agraph (float[3] x) => (float[3] y) { a = Relu(x) b = Add(a, c) y = Relu(b) }",
        {"c": np.float32([0, 0, constant])},
    )
    assert computes_in(to_fp16(model), "Add") == FLOAT
    assert computes_in(to_fp16(model), "Relu") == HALF


def test_constant_nodes_and_operators_with_a_type_of_their_own():
    model = net("""agraph (float[2] x) => (float[2] y) {
        k = Constant<value_floats=[1.5, 2.5]>()
        shape = Constant<value_ints=[2]>()
        o = ConstantOfShape<value = float[1] {3}>(shape)
        a = Add(x, k)
        y = Mul(a, o)
    }""")
    made = agrees(model, x=random(2))
    assert computes_in(made, "Mul") == HALF


def test_a_layer_with_a_tiny_bias_is_converted():
    constants = {**CONV_CONSTANTS, "b": np.float32([0, 0, 0, 1e-6])}
    made = agrees(net(CONV, constants), x=random(1, 3, 8, 8))
    assert computes_in(made, "Conv") == HALF


def test_an_operator_that_takes_the_type_of_its_input():
    model = net("""agraph (float[3,3] x) => (float[3,3] y) {
        a = Relu(x)
        b = EyeLike(a)
        y = Add(b, a)
    }""")
    assert computes_in(agrees(model, x=random(3, 3)), "Add") == HALF
    made = agrees(model, keep=["Add_2"], x=random(3, 3))
    assert computes_in(made, "Add") == FLOAT


def test_sequences_stay_float32():
    model = net("""agraph (float[4] x) => (float[4] y) {
        a = Relu(x)
        b = SequenceConstruct(a, a)
        c = SequenceInsert(b, a)
        d = ConcatFromSequence<axis=0>(c)
        m = ReduceMax<keepdims=1>(d)
        y = Add(m, x)
    }""")
    made = agrees(model, x=random(4))
    assert computes_in(made, "SequenceConstruct") == FLOAT
    assert computes_in(made, "ReduceMax") == HALF


def test_a_scatter_that_adds_stays_float32():
    model = net(
        """agraph (float[1,2,4,4] x) => (float[1,2,4,4] y) {
            a = Relu(x)
            b = ScatterND<reduction="add">(a, where, what)
            y = Relu(b)
        }""",
        {"where": np.int64([[0, 1, 2, 3]]), "what": random(1)},
    )
    made = agrees(model, x=random(1, 2, 4, 4))
    assert computes_in(made, "ScatterND") == FLOAT
    assert computes_in(made, "Relu") == HALF


def test_a_name_to_keep_that_is_no_node_is_refused():
    with pytest.raises(ArgumentError, match="keep must name nodes of the graph"):
        to_fp16(net(CONV, CONV_CONSTANTS), ["elsewhere"])


# What opsets 18 and 19 changed, and what pipelines like ours have.
CHANGED = """agraph (float[1,4,6,6] x)
    => (float[1,4] y, float[1,2,12,12] z, float[1,2,9,8] p) {
    a, b = Split<axis=1>(x, halves)
    m = ReduceMean<axes=[2,3], keepdims=0>(x)
    mx = ReduceMax<axes=[2,3], keepdims=0>(x)
    y = Add(m, mx)
    z = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(a, , scales)
    q = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(b)
    p = Pad<mode="reflect">(q, pads)
}"""
CHANGED_CONSTANTS = {
    "halves": np.int64([2, 2]),
    "scales": np.float32([1, 1, 2, 2]),
    "pads": np.int64([0, 0, 1, 1, 0, 0, 2, 1]),
}


@pytest.mark.parametrize("opset", [13, 17])
def test_a_newer_opset_computes_the_same(opset):
    model = net(CHANGED, CHANGED_CONSTANTS, opset)
    made = to_opset(model, 19)
    assert made.opset_import[0].version == 19
    names = [n.name for n in model.graph.node]
    assert [n.name for n in made.graph.node if n.op_type != "Constant"] == names
    feed = {"x": random(1, 4, 6, 6)}
    results = (open_cpu_session(m).run(None, feed) for m in (made, model))
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


QDQ = """agraph (float[1,3,8,8] x) => (float[1,4,8,8] y) {
    q = QuantizeLinear(x, s, z)
    d = DequantizeLinear(q, s, z)
    w = DequantizeLinear<axis=0>(wq, ws, wz)
    c = Conv<pads=[1,1,1,1]>(d, w, b)
    y = Relu(c)
}"""


def quantized(scale=0.03, weight_scales=(0.01, 0.02, 0.03, 0.04), dead=None):
    weights = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3), np.int8)
    if dead is not None:
        weights[dead] = 0
    return net(
        QDQ,
        {
            "s": np.float32(scale),
            "z": np.int8(0),
            "wq": weights,
            "ws": np.float32(weight_scales),
            "wz": np.zeros(4, np.int8),
            "b": random(4),
        },
    )


def test_pairs_of_int8_get_float16_scales_in_opset_19():
    made = agrees(quantized(), x=random(1, 3, 8, 8), tolerance=0.06)
    assert made.opset_import[0].version == 19
    assert computes_in(made, "QuantizeLinear") == HALF
    known = types(made)
    for node in made.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert known[node.input[1]] == HALF
    assert {known[v] for v in node_of(made, "Conv").input} == {HALF}


@pytest.mark.parametrize("scale", [1e-6, 3e4])
def test_a_scale_that_float16_cannot_hold_keeps_its_pair_float32(scale):
    made = agrees(quantized(scale=scale), x=random(1, 3, 8, 8), tolerance=0.06)
    assert computes_in(made, "QuantizeLinear") == FLOAT
    assert computes_in(made, "Conv") == HALF


def test_a_weight_scale_that_float16_cannot_hold_keeps_the_weights_float32():
    model = quantized(weight_scales=(0.01, 0.02, 0.03, 1e-7))
    made = agrees(model, x=random(1, 3, 8, 8), tolerance=0.06)
    (pair,) = (n for n in made.graph.node if n.input[0] == "wq")
    assert types(made)[pair.input[1]] == FLOAT


def test_the_scale_of_a_channel_without_weights_is_mended():
    model = quantized(weight_scales=(0.01, 0.02, 1e-8, 0.04), dead=2)
    made = agrees(model, x=random(1, 3, 8, 8), tolerance=0.06)
    (pair,) = (n for n in made.graph.node if n.input[0] == "wq")
    assert types(made)[pair.input[1]] == HALF


def test_the_scale_of_weights_around_another_zero_is_not_mended():
    model = quantized(weight_scales=(0.01, 0.02, 1e-8, 0.04), dead=2)
    zeros = next(i for i in model.graph.initializer if i.name == "wz")
    zeros.CopyFrom(numpy_helper.from_array(np.int8([0, 0, 9, 0]), "wz"))
    made = agrees(model, x=random(1, 3, 8, 8), tolerance=0.06)
    (pair,) = (n for n in made.graph.node if n.input[0] == "wq")
    assert types(made)[pair.input[1]] == FLOAT


def test_a_scale_of_zero_is_refused():
    with pytest.raises(ExportError, match="the scale s must be finite and positive"):
        to_fp16(quantized(scale=0))


def test_simulation_overflows_and_rounds_as_float16_does():
    model = net("agraph (float[5] x) => (float[5] y) { a = Relu(x) y = Neg(a) }")
    run = simulate(to_fp16(model))
    given = np.float32([70_000, 65_504, 1 + 2**-11, 1 + 3 * 2**-11, 2**-26])
    # 1 + 2**-11 is half way, and goes to the even one; so does 1 + 3 * 2**-11.
    np.testing.assert_array_equal(
        -run({"x": given})["y"], np.float32([np.inf, 65_504, 1, 1 + 2**-9, 0])
    )


def test_simulation_rounds_after_every_node():
    model = net(
        """agraph (float[64] x) => (float[64] y) {
            a = Mul(x, c)
            b = Add(a, x)
            d = Mul(b, b)
            e = Sub(d, c)
            f, g = Split<axis=0>(e)
            h = Concat<axis=0>(g, f)
            y = Div(h, x)
        }""",
        {"c": random(64, seed=1)},
    )
    given = random(64) * 30
    x, c = given.astype(np.float16), random(64, seed=1).astype(np.float16)
    b = x * c + x
    e = b * b - c
    with np.errstate(over="ignore"):
        expected = np.concatenate([e[32:], e[:32]]) / x
    got = simulate(to_fp16(model))({"x": given})["y"]
    np.testing.assert_array_equal(got, expected.astype(np.float32))


def test_onnx_runtime_itself_hides_an_overflow_which_is_why_it_is_simulated():
    made = to_fp16(
        net(
            "agraph (float[1] x) => (float[1] y) { a = Add(x, x) y = Mul(a, c) }",
            {"c": np.float32([0.5])},
        )
    )
    given = {"x": np.float32([40_000])}
    assert run_once(made, given) == 40_000
    assert simulate(made)(given)["y"] == np.inf


def test_a_kept_node_is_not_rounded():
    model = net("agraph (float[1] x) => (float[1] y) { a = Relu(x) y = Neg(a) }")
    run = simulate(to_fp16(model, ["Relu_0", "Neg_1"]))
    assert run({"x": np.float32([70_000])})["y"] == -70_000


def test_pairs_are_simulated():
    model = quantized(scale=2**-5)
    exact = random(1, 3, 8, 8).astype(np.float16).astype(np.float32)
    (got,) = simulate(to_fp16(model))({"x": exact}).values()
    expected = run_once(model, {"x": exact})
    np.testing.assert_allclose(got, expected, rtol=2e-3, atol=1e-2)
