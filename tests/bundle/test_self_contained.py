"""ONNX members that would make a library open other files."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from fuseg.errors import BundleError
from fuseg.onnx.self_contained import CHILDREN, require_self_contained


def external(name="outside"):
    tensor = numpy_helper.from_array(np.zeros(3, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def sparse(where):
    tensor = onnx.SparseTensorProto(dims=[3])
    getattr(tensor, where).CopyFrom(external())
    return tensor


def graph(*nodes, **parts):
    made = onnx.GraphProto(name="g")
    made.node.extend(nodes)
    for part, value in parts.items():
        getattr(made, part).append(value)
    return made


def node(**attributes):
    """A node with attributes as onnx.helper makes them of tensors and graphs."""
    return helper.make_node("Some", [], [], **attributes)


def model(main=None, **parts):
    made = onnx.ModelProto(ir_version=8)
    made.graph.CopyFrom(main or graph())
    for part, value in parts.items():
        getattr(made, part).append(value)
    return made


HIDDEN = {
    "initializer": model(graph(initializer=external())),
    "sparse initializer, values": model(graph(sparse_initializer=sparse("values"))),
    "sparse initializer, indices": model(graph(sparse_initializer=sparse("indices"))),
    "Constant": model(graph(helper.make_node("Constant", [], ["c"], value=external()))),
    "list of tensors": model(graph(node(many=[external()]))),
    "sparse attribute": model(graph(node(value=sparse("values")))),
    "list of sparse attributes": model(graph(node(many=[sparse("indices")]))),
    "subgraph of an If": model(
        graph(node(then_branch=graph(initializer=external()), else_branch=graph()))
    ),
    "list of subgraphs": model(graph(node(all=[graph(), graph(node(v=external()))]))),
    "subgraph of a subgraph": model(
        graph(node(body=graph(node(body=graph(node(v=external()))))))
    ),
    "function": model(
        functions=onnx.FunctionProto(name="f", node=[node(v=external())])
    ),
    "default of a function": model(
        functions=onnx.FunctionProto(
            name="f", attribute_proto=[helper.make_attribute("v", external())]
        )
    ),
    "training graph": model(
        training_info=onnx.TrainingInfoProto(algorithm=graph(initializer=external()))
    ),
    "initialization graph": model(
        training_info=onnx.TrainingInfoProto(
            initialization=graph(initializer=external())
        )
    ),
}


def refused_in_bundle(good, refusal, data):
    members = good.members | {"f.onnx": data}
    return refusal(good.forge(good.entries(members, good.listing(members))))


@pytest.mark.parametrize("place", HIDDEN)
def test_external_data_is_refused_wherever_a_tensor_may_be(good, refusal, place):
    assert refused_in_bundle(good, refusal, HIDDEN[place].SerializeToString()) == (
        "member 'f.onnx': its tensor 'outside' has its data in another file: a bundle "
        "holds all data itself."
    )


def test_a_location_without_external_data_and_the_reverse_are_refused():
    for drop in ("external_data", "data_location"):
        tensor = external()
        tensor.ClearField(drop)
        with pytest.raises(BundleError, match="has its data in another file"):
            scan(model(graph(initializer=tensor)).SerializeToString())


def test_a_model_that_onnx_saved_with_external_data_is_refused(good, tmp_path):
    whole = onnx.load_from_string(good.members["f.onnx"])
    path = tmp_path / "m.onnx"
    onnx.save_model(whole, path, save_as_external_data=True, size_threshold=0)
    with pytest.raises(BundleError, match="tensor 'w' has its data in another file"):
        scan(path.read_bytes())


def test_a_node_that_names_an_engine_is_refused(good, refusal):
    engine = helper.make_node("EPContext", [], [], domain="com.microsoft", embed_mode=0)
    for whole in (model(graph(engine)), model(graph(node(body=graph(engine))))):
        assert refused_in_bundle(good, refusal, whole.SerializeToString()) == (
            "member 'f.onnx': it has an EPContext node, which holds or names an engine."
        )


def test_data_inside_the_file_is_accepted(good):
    inside = numpy_helper.from_array(np.zeros(3, np.float32), "w")
    inside.data_location = TensorProto.DEFAULT
    scan(good.members["f.onnx"])
    scan(model(graph(node(value=inside), initializer=inside)).SerializeToString())


def test_a_number_where_the_schema_has_a_message_is_stepped_over(good):
    scan(b"\x38\x7f" + good.members["f.onnx"])


def test_a_tag_spelled_with_needless_bytes_is_understood():
    hidden = graph(initializer=external()).SerializeToString()
    assert len(hidden) < 128
    with pytest.raises(BundleError, match="has its data in another file"):
        scan(b"\xba\x80\x00" + bytes([len(hidden)]) + hidden)


def test_epcontext_is_refused_as_a_node_only():
    scan(onnx.ModelProto(domain="EPContext").SerializeToString())


def test_names_of_external_tensors_cannot_steer_a_terminal():
    with pytest.raises(BundleError) as refused:
        scan(
            model(
                graph(initializer=external("\x1b[2J" + "x" * 500))
            ).SerializeToString()
        )
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"\x80\x04\x95",
        b"\x00\x00",
        b"\x3a\x05ab",
        b"\x08",
        b"\x08" + b"\xff" * 11,
        b"\x0d\x00\x00",
        b"\x09" + bytes(7),
        b"\x3b\x3c",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a\x06abORTM",
    ],
)
def test_what_is_no_protobuf_message_is_refused(data):
    with pytest.raises(BundleError, match="it is not an ONNX file, or is cut off"):
        scan(data)


def test_a_tag_longer_than_32_bits_cannot_hide_a_graph(good):
    """ONNX Runtime cuts such a tag to 32 bits and finds the graph behind it."""
    whole = onnx.load_from_string(good.members["f.onnx"])
    inside = whole.graph.SerializeToString()
    whole.ClearField("graph")
    tag = bytes([0x80 | 0x3A, 0x80, 0x80, 0x80, 0x10])  # field 7, bytes; and bit 32
    length = bytes([0x80 | len(inside) & 0x7F, len(inside) >> 7])
    hidden = whole.SerializeToString() + tag + length + inside
    session = onnxruntime.InferenceSession(hidden)
    assert [output.name for output in session.get_outputs()] == ["scores"]
    with pytest.raises(BundleError, match="not an ONNX file"):
        scan(hidden)


def reach():
    """The messages of onnx.proto that lead to a tensor or node, by its own schema."""
    found, todo = {}, [onnx.ModelProto.DESCRIPTOR]
    while todo:
        message = todo.pop()
        if message.name not in found:
            inside = {
                f.number: f.message_type for f in message.fields if f.message_type
            }
            found[message.name] = {number: kind.name for number, kind in inside.items()}
            todo += inside.values()
    useful = {"TensorProto", "NodeProto"}
    while more := {m for m in found if useful & {*found[m].values()}} - useful:
        useful |= more
    table = {
        message: {
            number: kind for number, kind in found[message].items() if kind in useful
        }
        for message in useful
    }
    return {message: inside for message, inside in table.items() if inside}


def test_every_way_to_a_tensor_in_the_schema_of_onnx_is_walked():
    assert reach() == CHILDREN
    numbers = {field.name: field.number for field in TensorProto.DESCRIPTOR.fields}
    assert (numbers["name"], numbers["external_data"], numbers["data_location"]) == (
        8,
        13,
        14,
    )
    assert onnx.NodeProto.DESCRIPTOR.fields_by_name["op_type"].number == 4


def scan(data):
    require_self_contained(memoryview(data))


def points_outside(message):
    """The definition: any tensor, anywhere in the parsed message, that is external."""
    if isinstance(message, TensorProto) and (
        message.external_data or message.data_location
    ):
        return True
    for field, value in message.ListFields():
        if field.message_type is not None:
            many = [value] if hasattr(value, "ListFields") else value
            if any(points_outside(entry) for entry in many):
                return True
    return False


@settings(max_examples=500, deadline=None)
@given(
    place=st.sampled_from(sorted(HIDDEN)),
    cuts=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 4), st.binary(max_size=4)), max_size=4
    ),
)
def test_whatever_onnx_would_read_as_external_is_refused(place, cuts):
    data = HIDDEN[place].SerializeToString()
    for where, length, patch in cuts:
        begin = int(where * len(data))
        data = data[:begin] + patch + data[begin + length :]
    try:
        parsed = onnx.ModelProto.FromString(data)
    except DecodeError:
        parsed = onnx.ModelProto()
    try:
        scan(data)
        accepted = True
    except BundleError:
        accepted = False
    assert not (accepted and points_outside(parsed))
