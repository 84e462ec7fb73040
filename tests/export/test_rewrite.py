"""What a rewritten graph keeps, and what its values know."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, parser

from fuseg_export.passes.rewrite import (
    constant,
    free,
    names_in,
    read,
    rewrite,
    static_shape,
    store,
)

TEXT = """
<ir_version: 8, opset_import: ["" : 17], producer_name: "torch">
made (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y)
<float[3] bias = {1, 2, 3}, float[1, 3, 4, 4] b, float[1, 3, 4, 4] a>
{
  a = Relu(x)
  b = Neg(a)
  shape = Constant<value_ints = [1, 3, 1, 1]>()
  wide = Reshape(bias, shape)
  y = Add(b, wide)
}
"""


@pytest.fixture
def model():
    made = parser.parse_model(TEXT)
    for node in made.graph.node:
        node.ClearField("domain")  # the parser writes an empty one
    return made


class Nothing(ir.passes.InPlacePass):
    def call(self, model):
        return ir.passes.PassResult(model, modified=False)


class Rename(ir.passes.InPlacePass):
    """Calls what Relu makes ``c`` and takes Neg out."""

    def call(self, model):
        relu, neg, *_ = model.graph
        neg.outputs[0].replace_all_uses_with(relu.outputs[0])
        relu.outputs[0].name = "c"
        model.graph.remove(neg, safe=True)
        return ir.passes.PassResult(model, modified=True)


def test_a_pass_that_does_nothing_leaves_every_byte(model):
    assert rewrite(model, Nothing()) == model
    assert rewrite(model).SerializeToString() == model.SerializeToString()


def test_value_info_keeps_its_order_and_follows_names(model):
    order = [value.name for value in model.graph.value_info]
    assert order.index("b") < order.index("a")  # not the order of the nodes
    made = rewrite(model, Rename())
    assert [value.name for value in made.graph.value_info] == ["c"]
    assert [node.input[0] for node in made.graph.node if node.op_type == "Add"] == ["c"]


def test_the_given_model_is_not_changed(model):
    before = model.SerializeToString()
    rewrite(model, Rename())
    graph = read(model).graph
    for node in graph:
        for value in node.inputs:
            constant(value)
    assert model.SerializeToString() == before


def test_values_know_what_onnx_infers(model):
    values = ir.convenience.create_value_mapping(read(model).graph)
    assert static_shape(values["wide"]) == (1, 3, 1, 1)  # from the constant shape
    assert values["wide"].dtype == ir.DataType.FLOAT
    assert static_shape(None) is None


def test_a_shape_is_known_as_a_whole_or_not_at_all(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
    del model.graph.value_info[:]
    values = ir.convenience.create_value_mapping(read(model).graph)
    assert static_shape(values["a"]) is None


def test_types_that_contradict_are_refused_where_it_matters(model):
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    read(model)
    with pytest.raises(onnx.shape_inference.InferenceError):
        read(model, strict=True)


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ({"value_float": 0.5}, np.float32(0.5)),
        ({"value_floats": [0.5, 2.0]}, np.array([0.5, 2], np.float32)),
        ({"value_int": 7}, np.int64(7)),
        ({"value_ints": [7, 8]}, np.array([7, 8], np.int64)),
        (
            {"value": helper.make_tensor("t", TensorProto.INT8, [2], [1, -1])},
            np.array([1, -1], np.int8),
        ),
    ],
)
def test_every_form_of_a_constant_is_read(attribute, expected):
    node = helper.make_node("Constant", [], ["k"], **attribute)
    value = ir.from_proto(node).outputs[0]
    found = constant(value)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_what_is_computed_is_no_constant(model):
    values = ir.convenience.create_value_mapping(read(model).graph)
    np.testing.assert_array_equal(constant(values["bias"]), [1, 2, 3])
    assert constant(values["a"]) is None
    assert constant(values["x"]) is None
    assert constant(None) is None


def test_a_stored_tensor_comes_last_and_has_its_type(model):
    graph = read(model)
    value = store(graph.graph, np.zeros((2, 1), np.int8), "z")
    assert (value.dtype, static_shape(value)) == (ir.DataType.INT8, (2, 1))
    assert [*graph.graph.initializers] == ["bias", "z"]


def test_a_taken_name_gets_underscores(model):
    taken = names_in(read(model))
    assert taken == {"x", "y", "a", "b", "bias", "shape", "wide"}
    assert [free(taken, "a"), free(taken, "a"), free(taken, "z")] == ["a_", "a__", "z"]
