"""Casts at the ends of a network move out; it computes the same numbers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from backends.tensorrt.networks import PRECISIONS, network
from onnx import TensorProto, helper, numpy_helper

from fuseg.backends.tensorrt.io_formats import IoFormat, move_casts_out
from fuseg.errors import BundleError
from fuseg.onnx.graph import read_graph

HALF, SINGLE = TensorProto.FLOAT16, TensorProto.FLOAT
FP16 = {"kind": "fp16"}
INT8 = {"kind": "int8"}


def model(nodes, stored=(), *, inputs=("x",), outputs=("y",), opset=19, **graph):
    """One of images of 3 x 4 x 4, float32 in and out."""
    info = helper.make_tensor_value_info
    made = helper.make_graph(
        [helper.make_node(*node, **how) for *node, how in nodes],
        "model",
        [info(name, SINGLE, (1, 3, 4, 4)) for name in inputs],
        [info(name, SINGLE, (1, 3, 4, 4)) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in dict(stored).items()],
        **graph,
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(made, opset_imports=imports, ir_version=9)


def cast(given, made, to):
    return ("Cast", [given], [made], {"to": to})


def quantized(given, scale="s", zero="z"):
    return [
        ("QuantizeLinear", [given, scale, zero], ["q"], {}),
        ("DequantizeLinear", ["q", scale, zero], ["d"], {}),
    ]


TAIL = [cast("d", "h", HALF), cast("h", "y", SINGLE)]
SCALE = {"s": np.float32(0.5), "z": np.int8(0)}


def edited(made, precision):
    """The new model, its inputs and outputs, valid and typed."""
    data = made if isinstance(made, bytes) else made.SerializeToString()
    found, wanted = move_casts_out(data, precision)
    onnx.checker.check_model(onnx.load_from_string(found), full_check=True)
    return found, wanted


def run(data, feeds):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options)
    types = {i.name: i.type for i in session.get_inputs()}
    assert all(
        feeds[n].dtype.name in t.replace("(float)", "(float32)")
        for n, t in types.items()
    )
    return session.run(None, feeds)[0]


@pytest.mark.parametrize("name", ["fp16", "int8-trt", "int8-trt8"])
def test_the_network_computes_the_same(name):
    data = network(name)
    found, wanted = edited(data, {"kind": name[:4]})
    rng = np.random.default_rng(1)
    feeds = {
        tensor: rng.integers(-100, 100, (1, c, 6, 8)).astype(np.float32) * scale
        for tensor, c, scale in (("rgb", 3, 0.03125), ("depth", 1, 0.0234375))
    }
    given = {
        tensor: (v / (wanted[tensor].scale or 1)).astype(wanted[tensor].dtype)
        for tensor, v in feeds.items()
    }
    new, old = run(found, given), run(data, feeds)
    assert new.dtype == wanted["scores"].dtype
    np.testing.assert_array_equal(new, old.astype(new.dtype))


def test_what_is_not_at_the_ends_stays_byte_for_byte():
    """All but types of inputs and outputs, a Cast's target, nodes that went."""
    data = network("int8-trt")
    old = onnx.load_from_string(data)
    new = onnx.load_from_string(edited(data, INT8)[0])
    gone = {"Cast", "QuantizeLinear"}
    kept = [n for n in old.graph.node if n.op_type not in gone] + [old.graph.node[-1]]
    assert [n.op_type for n in new.graph.node] == [n.op_type for n in kept]
    assert list(new.graph.initializer) == list(old.graph.initializer)
    assert new.opset_import == old.opset_import
    assert [i.name for i in new.graph.input] == [i.name for i in old.graph.input]


def test_float32_variants_stay_as_they_are():
    data = network("fp32")
    found, wanted = move_casts_out(data, {"kind": "fp32"})
    assert found is data
    assert {w.dtype for w in wanted.values()} == {"float32"}
    assert {w.why for w in wanted.values()} == {"the variant is float32"}


X_CASES = {
    "a float32 reader beside the cast": (
        [cast("x", "h", HALF), cast("h", "g", SINGLE), ("Add", ["x", "g"], ["y"], {})],
        {},
    ),
    "only a float32 reader": ([("Relu", ["x"], ["y"], {})], {}),
    "no reader": ([("Identity", ["k"], ["y"], {})], {"k": np.zeros((1, 3, 4, 4), "f")}),
    "a scale for each channel": (
        quantized("x") + TAIL,
        {"s": np.full(3, 0.5, "f"), "z": np.zeros(3, np.int8)},
    ),
    "a zero point that is not zero": (
        quantized("x") + TAIL,
        {"s": np.float32(0.5), "z": np.int8(3)},
    ),
    "unsigned": (quantized("x") + TAIL, {"s": np.float32(0.5), "z": np.uint8(0)}),
    "a scale that is computed": (
        [("Identity", ["s0"], ["s"], {}), *quantized("x"), *TAIL],
        {"s0": np.float32(0.5), "z": np.int8(0)},
    ),
    "a scale of zero": (
        quantized("x") + TAIL,
        {"s": np.float32(0), "z": np.int8(0)},
    ),
    "quantized and read as well": (
        [*quantized("x"), ("Add", ["x", "d"], ["y"], {})],
        SCALE,
    ),
}


@pytest.mark.parametrize("case", X_CASES)
def test_an_input_stays_float32(case):
    nodes, stored = X_CASES[case]
    _, wanted = edited(model(nodes, stored), INT8)
    assert wanted["x"].dtype == "float32"
    assert wanted["x"].why == "the network reads it as float32"


def test_an_input_that_is_quantized_twice_is_not_int8():
    nodes = [
        *quantized("x"),
        ("QuantizeLinear", ["x", "t", "z"], ["q2"], {}),
        ("DequantizeLinear", ["q2", "t", "z"], ["d2"], {}),
        ("Add", ["d", "d2"], ["y"], {}),
    ]
    _, wanted = edited(model(nodes, {**SCALE, "t": np.float32(0.25)}), INT8)
    assert wanted["x"].dtype == "float32"


def test_a_cast_that_others_read_is_no_part_of_the_pair():
    half = {"s": np.float16(0.5), "z": np.int8(0)}
    nodes = [
        cast("x", "h", HALF),
        *quantized("h"),
        ("Add", ["h", "d"], ["sum"], {}),
        cast("sum", "y", SINGLE),
    ]
    _, wanted = edited(model(nodes, half), INT8)
    assert wanted["x"] == IoFormat("float16", ("linear", "chw4"))


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_float16_inputs_of_three_and_four_channels_may_be_padded_to_four(channels):
    shape = (1, channels, 4, 4)
    made = model([cast("x", "h", HALF), cast("h", "y", SINGLE)])
    for end in (made.graph.input[0], made.graph.output[0]):
        end.CopyFrom(helper.make_tensor_value_info(end.name, SINGLE, shape))
    _, wanted = edited(made, FP16)
    padded = channels in (3, 4)
    assert wanted["x"].layouts == (("linear", "chw4") if padded else ("linear",))


def test_a_cast_that_is_an_output_too_is_no_part_of_the_pair():
    half = {"s": np.float16(0.5), "z": np.int8(0)}
    nodes = [
        cast("x", "f", SINGLE),
        cast("f", "h", HALF),
        *quantized("h"),
        cast("d", "y", SINGLE),
    ]
    _, wanted = edited(model(nodes, half, outputs=("y", "f")), INT8)
    assert wanted["x"].dtype == "float32"


@pytest.mark.parametrize("form", ["raw_data", "float_data", "int32_data"])
def test_a_scale_is_read_however_it_is_stored(form):
    nodes = [*quantized("x"), ("Relu", ["d"], ["y"], {})]
    made = model(nodes, SCALE)
    scale = made.graph.initializer[0]
    if form == "float_data":
        scale.ClearField("raw_data")
        scale.float_data.append(0.375)
    elif form == "int32_data":
        bits = int(np.float16(0.375).view(np.uint16))
        made = model([cast("x", "h", HALF), *quantized("h"), *TAIL[1:]], SCALE)
        made.graph.node.insert(3, helper.make_node("Relu", ["d"], ["h2"]))
        made.graph.node[-1].input[0] = "h2"
        scale = made.graph.initializer[0]
        scale.ClearField("raw_data")
        scale.data_type = HALF
        scale.int32_data.append(bits)
    else:
        scale.raw_data = np.float32(0.375).tobytes()
    _, wanted = edited(made, INT8)
    assert wanted["x"] == IoFormat("int8", ("chw4",), 0.375)


def test_a_scale_of_one_element_is_a_scalar_too():
    stored = {"s": np.array([0.5], "f"), "z": np.array([0], np.int8)}
    made = model([*quantized("x"), ("Relu", ["d"], ["y"], {})], stored, opset=17)
    data = made.SerializeToString()
    assert move_casts_out(data, INT8)[1]["x"].scale == 0.5


Y_CASES = {
    "made as float32": ([("Relu", ["x"], ["y"], {})], "makes it as float32"),
    "cast from what is not float16": (
        [cast("x", "i", TensorProto.INT32), cast("i", "y", SINGLE)],
        "does not make it as float16",
    ),
    "read again": (
        [
            cast("x", "h", HALF),
            cast("h", "y", SINGLE),
            ("Relu", ["y"], ["z"], {}),
        ],
        "reads it again",
    ),
}


@pytest.mark.parametrize("case", Y_CASES)
def test_an_output_stays_float32(case):
    nodes, why = Y_CASES[case]
    outputs = ("y", "z") if "read" in case else ("y",)
    _, wanted = edited(model(nodes, outputs=outputs), FP16)
    assert wanted["y"].dtype == "float32"
    assert why in wanted["y"].why


def test_float16_may_be_told_by_the_graphs_own_types():
    nodes = [
        cast("x", "h", HALF),
        ("Relu", ["h"], ["g"], {}),
        cast("g", "y", SINGLE),
    ]
    known = [helper.make_tensor_value_info("g", HALF, (1, 3, 4, 4))]
    _, wanted = edited(model(nodes, value_info=known), FP16)
    assert wanted["y"] == IoFormat("float16", ("linear", "hwc8"))
    _, wanted = edited(model(nodes), FP16)
    assert wanted["y"].dtype == "float32"


def test_a_network_with_branches_is_left_alone():
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["inner"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner", SINGLE, (1, 3, 4, 4))],
    )
    nodes = [
        cast("x", "h", HALF),
        ("If", ["c"], ["y"], {"then_branch": inner, "else_branch": inner}),
    ]
    found, wanted = edited(model(nodes, {"c": np.array(True)}), FP16)
    assert {w.why for w in wanted.values()} == {"the network has branches or loops"}
    assert onnx.load_from_string(found).graph.input[0].type.tensor_type.elem_type == 1


def test_graphs_read_alike_here_and_by_the_onnx_package():
    for name in PRECISIONS:
        data = network(name)
        graph, known = read_graph(data), onnx.load_from_string(data).graph
        assert [n.op for n in graph.nodes] == [n.op_type for n in known.node]
        assert [list(n.outputs) for n in graph.nodes] == [
            list(n.output) for n in known.node
        ]
        assert graph.outputs["scores"].shape == (1, 6, 6, 8)
        stored = {i.name: numpy_helper.to_array(i) for i in known.initializer}
        assert graph.constants.keys() == stored.keys()
        for key, constant in graph.constants.items():
            assert constant.size == stored[key].size
            if stored[key].size == 1:
                assert constant.value == stored[key].item()


@pytest.mark.parametrize("cut", [0, 1, 7, 60, 200])
def test_a_file_that_is_cut_off_is_refused(cut):
    data = network("fp16")
    with pytest.raises(BundleError, match="network"):
        move_casts_out(data[:cut] if cut else b"\xff" * 20, FP16)


@pytest.mark.parametrize("precision", [{"kind": "fp32"}, FP16, INT8])
@pytest.mark.parametrize("plain", [(), ("words", "same")])
def test_words_stay_int64(precision, plain):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["words"], ["same"])],
        "words",
        [info("words", TensorProto.INT64, (1, 4))],
        [info("same", TensorProto.INT64, (1, 4))],
    )
    imports = [helper.make_opsetid("", 17)]
    data = helper.make_model(graph, opset_imports=imports, ir_version=8)
    found, wanted = move_casts_out(data.SerializeToString(), precision, plain)
    assert found == data.SerializeToString()
    assert {(t.dtype, t.layouts) for t in wanted.values()} == {("int64", ("linear",))}
