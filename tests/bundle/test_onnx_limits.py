"""What a network in a bundle may be made of, checked before any backend reads it."""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnx.defs
import pytest
from onnx import TensorProto, helper, numpy_helper

from fuseg.bundle import require_network
from fuseg.bundle.operators import OPERATORS
from fuseg.errors import BundleError
from fuseg.manifest import Tensor
from fuseg.onnx import protobuf

# By the issue that every list answers: what never ends, what answers differently each
# time, what is no tensor, and what only a training needs.
REFUSED = [
    *(
        "If",
        "Loop",
        "Scan",
        "SequenceMap",
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
        "Dropout",
        "ImageDecoder",
        "RegexFullMatch",
        "StringConcat",
        "StringNormalizer",
        "StringSplit",
        "TfIdfVectorizer",
        "ConcatFromSequence",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SplitToSequence",
        "NegativeLogLikelihoodLoss",
        "SoftmaxCrossEntropyLoss",
    ),
]


def require(model, opset=17, ir_version=8, **ends):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    require_network(memoryview(data), opset, ir_version, **ends)


def one_node(node, **parts):
    """A model of one node; ``parts``: what else the graph holds, by field."""
    graph = onnx.GraphProto(name="g", node=[node])
    for part, value in parts.items():
        getattr(graph, part).append(value)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


def test_every_operator_of_onnx_is_decided_on():
    """As far as they were known when the list was made."""
    known = {
        s.name
        for s in onnx.defs.get_all_schemas_with_history()
        if s.domain == "" and s.since_version <= 26
    }
    assert not OPERATORS & {*REFUSED}
    assert known <= OPERATORS | {*REFUSED}


@pytest.mark.parametrize("operator", REFUSED)
def test_other_operators_are_refused_by_node_and_operator(operator):
    node = helper.make_node(operator, ["x"], ["y"], "/deep/node_7")
    with pytest.raises(
        BundleError, match=f"'/deep/node_7' has the operator '{operator}'"
    ):
        require(one_node(node))
    node.ClearField("name")
    with pytest.raises(
        BundleError, match=f"its node 'y' has the operator '{operator}'"
    ):
        require(one_node(node))


@pytest.mark.parametrize("operator", ["Relu", "FusedConv", "PyOp"])
def test_operators_of_other_domains_are_refused(operator):
    node = helper.make_node(operator, ["x"], ["y"], "n", domain="com.microsoft")
    with pytest.raises(BundleError, match=f"the operator 'com.microsoft::{operator}'"):
        require(one_node(node))
    require(one_node(helper.make_node("Relu", ["x"], ["y"], "n", domain="ai.onnx")))


def test_an_operator_named_twice_or_not_at_all_is_refused():
    """Protobuf takes the last one; a reader that took the first would be misled."""
    node = helper.make_node("Relu", ["x"], ["y"], "n")
    loop = onnx.NodeProto(op_type="Loop").SerializeToString()
    twice = onnx.NodeProto.FromString(node.SerializeToString() + loop)
    assert twice.op_type == "Loop"
    inside = node.SerializeToString() + loop
    graph = b"\x0a" + bytes([len(inside)]) + inside
    whole = one_node(node)
    whole.ClearField("graph")
    data = whole.SerializeToString() + b"\x3a" + bytes([len(graph)]) + graph
    with pytest.raises(BundleError, match="'Relu::Loop'"):
        require(data)
    with pytest.raises(BundleError, match="has the operator ''"):
        require(one_node(onnx.NodeProto(output=["y"])))


def test_a_graph_inside_a_node_is_refused_whatever_the_operator():
    for attribute in ({"body": onnx.GraphProto()}, {"all": [onnx.GraphProto()]}):
        node = helper.make_node("Relu", ["x"], ["y"], "n", **attribute)
        with pytest.raises(BundleError, match="its node 'n' holds a graph of its own"):
            require(one_node(node))


def test_functions_and_training_graphs_are_refused():
    relu = helper.make_node("Relu", ["x"], ["y"], "n")
    function = one_node(relu)
    function.functions.append(onnx.FunctionProto(name="f", node=[relu]))
    with pytest.raises(BundleError, match="functions of its own"):
        require(function)
    trained = one_node(relu)
    trained.training_info.append(onnx.TrainingInfoProto())
    with pytest.raises(BundleError, match="a graph for training"):
        require(trained)


@pytest.mark.parametrize(
    ("opset", "ir_version", "sentence"),
    [
        (17, 8, None),
        (18, 8, "its opset must be the manifest's 18, got 17."),
        (17, 9, "its IR version must be the manifest's 9, got 8."),
    ],
)
def test_opset_and_ir_version_are_those_of_the_manifest(opset, ir_version, sentence):
    model = one_node(helper.make_node("Relu", ["x"], ["y"]))
    if sentence is None:
        return require(model, opset, ir_version)
    with pytest.raises(BundleError, match=re.escape(sentence)):
        require(model, opset, ir_version)
    return None


def test_a_second_opset_of_onnx_is_refused():
    model = one_node(helper.make_node("Relu", ["x"], ["y"]))
    model.opset_import.append(helper.make_opsetid("ai.onnx", 25))
    with pytest.raises(BundleError, match="must be the manifest's 17, got 17, 25"):
        require(model)
    del model.opset_import[:]
    with pytest.raises(BundleError, match="must be the manifest's 17, got none"):
        require(model)


def stored(values, dims=None, kind=None, name="w"):
    tensor = numpy_helper.from_array(np.asarray(values), name)
    if dims is not None:
        del tensor.dims[:]
        tensor.dims.extend(dims)
    if kind is not None:
        tensor.data_type = kind
    return tensor


RELU = helper.make_node("Relu", ["w"], ["y"])
SPARSE = onnx.SparseTensorProto(dims=[1 << 40])
TENSORS = {
    "more than it holds": (stored(np.zeros(4, np.float32), [1 << 30]), "holds fewer"),
    "more than 64 bits": (stored(np.zeros(4, np.float32), [1 << 40] * 3), "at most"),
    "less than nothing": (stored(np.zeros(4, np.float32), [-4]), "at most"),
    "axes": (stored(np.zeros(1, np.float32), [1] * 100_000), "has 100000 axes, 16"),
    "texts": (stored(np.zeros(4, np.float32), kind=8), "got type 8 of ONNX"),
    "complex": (stored(np.zeros(4, np.complex64)), "got type 14 of ONNX"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_stored_tensor_holds_what_it_states(name):
    tensor, sentence = TENSORS[name]
    with pytest.raises(BundleError, match=sentence):
        require(one_node(RELU, initializer=tensor))
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    with pytest.raises(BundleError, match=sentence):
        require(one_node(constant))


@pytest.mark.parametrize("kind", [np.float32, np.uint8, np.int64, np.float16, np.bool_])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (1,) * 16])
def test_stored_tensors_as_they_should_be_are_taken(kind, shape):
    tensor = stored(np.zeros(shape, kind))
    require(one_node(RELU, initializer=tensor))
    listed = helper.make_tensor("w", 1, (5,), [0.0] * 5)  # float_data, not raw_data
    require(one_node(RELU, initializer=listed))


def test_sparse_tensors_are_refused():
    with pytest.raises(BundleError, match="sparse tensor"):
        require(one_node(RELU, sparse_initializer=SPARSE))
    with pytest.raises(BundleError, match="sparse tensor"):
        require(one_node(helper.make_node("Constant", [], ["w"], sparse_value=SPARSE)))


ENDS = [
    (
        ("image", 1, (1, 3, 6, 8)),
        "must be rgb FLOAT (1, 3, 6, 8), as the manifest says",
    ),
    (
        ("rgb", 10, (1, 3, 6, 8)),
        "got rgb FLOAT16 (1, 3, 6, 8): export the bundle again",
    ),
    (("rgb", 1, ("n", 3, 6, 8)), "got rgb FLOAT (?, 3, 6, 8)"),
    (("rgb", 1, (3, 1, 6, 8)), "got rgb FLOAT (3, 1, 6, 8)"),
    (("rgb", 1, (1, 3, 6)), "got rgb FLOAT (1, 3, 6)"),
]


@pytest.mark.parametrize(("end", "sentence"), ENDS)
@pytest.mark.parametrize("what", ["input", "output"])
def test_inputs_and_outputs_are_the_manifests(what, end, sentence):
    wanted = {f"{what}s": {"rgb": Tensor((1, 3, 6, 8))}}
    right = helper.make_tensor_value_info("rgb", 1, (1, 3, 6, 8))
    require(one_node(RELU, **{what: right}), **wanted)
    wrong = one_node(RELU, **{what: helper.make_tensor_value_info(*end)})
    with pytest.raises(BundleError, match=re.escape(sentence)) as refused:
        require(wrong, **wanted)
    assert str(refused.value).startswith(f"its {what} tensors must be ")
    more = one_node(RELU, **{what: right})
    getattr(more.graph, what).append(helper.make_tensor_value_info(*end))
    with pytest.raises(BundleError, match=f"its {what} tensors must be "):
        require(more, **wanted)
    with pytest.raises(BundleError, match="got none: export"):
        require(one_node(RELU), **wanted)


def test_a_dimension_has_no_size_in_the_onnx_and_words_are_int64():
    words = helper.make_tensor_value_info("words", 7, ("prompts", 32))
    model = one_node(RELU, input=words)
    require(model, inputs={"words": Tensor(("prompts", 32), dtype="int64")})
    for wanted, sentence in (
        (Tensor((1, 32), dtype="int64"), "must be words INT64 (1, 32), as the mani"),
        (Tensor(("prompts", 32)), "must be words FLOAT (?, 32), as the manifest says"),
    ):
        with pytest.raises(BundleError, match=re.escape(sentence)):
            require(model, inputs={"words": wanted})


def test_a_stored_value_that_is_listed_as_an_input_is_none():
    """As IR versions before 4 wanted it."""
    listed = helper.make_tensor_value_info("w", 1, (4,))
    tensor = stored(np.zeros(4, np.float32))
    require(one_node(RELU, input=listed, initializer=tensor), inputs={})


@pytest.mark.parametrize("part", ["input", "output", "value_info"])
def test_a_declared_value_has_a_size_that_can_be(part):
    fine = helper.make_tensor_value_info("v", TensorProto.FLOAT, (1, 64, 480, 640, "n"))
    require(one_node(RELU, **{part: fine}))
    for shape, sentence in (
        ((1,) * 17, "its tensor 'v' has 17 axes, 16 are the most"),
        ((1 << 20, 1 << 20), "its tensor 'v' must state at most"),
        ((-5,), "its tensor 'v' must state at most"),
    ):
        value = helper.make_tensor_value_info("v", TensorProto.FLOAT, shape)
        with pytest.raises(BundleError, match=sentence):
            require(one_node(RELU, **{part: value}))


@pytest.mark.parametrize(
    ("operator", "inputs"),
    [
        ("Reshape", ["x", "w"]),
        ("Expand", ["x", "w"]),
        ("Tile", ["x", "w"]),
        ("Unsqueeze", ["x", "w"]),
        ("ConstantOfShape", ["w"]),
    ],
)
def test_a_constant_shape_of_too_many_axes_is_refused(operator, inputs):
    node = helper.make_node(operator, inputs, ["y"], "n")
    require(one_node(node, initializer=stored(np.ones(16, np.int64))))
    long = np.ones(17, np.int64)
    with pytest.raises(BundleError, match="its node 'n' makes a tensor of 17 axes"):
        require(one_node(node, initializer=stored(long)))
    for constant in ({"value": stored(long)}, {"value_ints": long.tolist()}):
        maker = helper.make_node("Constant", [], ["w"], **constant)
        whole = one_node(maker)
        whole.graph.node.append(node)
        with pytest.raises(BundleError, match="its node 'n' makes a tensor of 17 axes"):
            require(whole)


@pytest.mark.parametrize("more", [b"\x08\x08" * 6_000, b"\x3a\x00" * 6_000])
def test_a_file_of_nothing_but_small_fields_is_not_read_to_its_end(more, monkeypatch):
    """Such a file of 4 GiB would keep Python busy for an hour."""
    monkeypatch.setattr(protobuf, "MOST_FIELDS", 5000)
    model = one_node(helper.make_node("Relu", ["x"], ["y"]))
    with pytest.raises(BundleError, match="must have at most 5000 fields"):
        require(model.SerializeToString() + more)


def test_dims_packed_into_many_bytes_count_as_well(monkeypatch):
    monkeypatch.setattr(protobuf, "MOST_FIELDS", 5000)
    packed = b"\x0a" + spelled(6000) + b"\x01" * 6000
    tensor = TensorProto(name="w", data_type=1).SerializeToString() + packed
    graph = b"\x2a" + spelled(len(tensor)) + tensor
    with pytest.raises(BundleError, match="must have at most 5000 fields"):
        require(b"\x3a" + spelled(len(graph)) + graph)


def spelled(number):
    """A whole number as protobuf has it: seven bits a byte, the lowest first."""
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    return bytes([*out, number])


def test_names_in_the_file_cannot_steer_a_terminal():
    node = helper.make_node("Loop\x1b[2J", ["x"], ["y"], "\x1b]0;" + "x" * 500)
    with pytest.raises(BundleError) as refused:
        require(one_node(node))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 300
