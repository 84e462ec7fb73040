"""Small ONNX files, made by hand, good ones and bad ones."""

from __future__ import annotations

import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIZE = (48, 64)
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
RGB = ["rgb=color:48x64"]
BOTH = [*RGB, "depth=depth:48x64"]


def node(op, reads, writes, **attributes):
    return helper.make_node(op, reads, writes, name=f"/{op}", **attributes)


def info(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weights(name="w", shape=(5, 3, 4, 4), dtype=np.float32):
    drawn = np.random.default_rng(0).standard_normal(shape)
    return numpy_helper.from_array((drawn / 5).astype(dtype), name)


def model(nodes, outputs, *, inputs=None, stored=None, opset=17, domains=()):
    """A graph of rgb whose first node is a convolution to x, one for 4x4 pixels."""
    first = node("Conv", ["rgb", "w"], ["x"], strides=[4, 4])
    made = helper.make_graph(
        [first, *nodes],
        "g",
        inputs or [info("rgb", ["N", 3, "H", "W"])],
        outputs,
        stored or [weights()],
    )
    opsets = [helper.make_opsetid("", opset)]
    opsets += [helper.make_opsetid(domain, 1) for domain in domains]
    return helper.make_model(made, opset_imports=opsets, ir_version=8)


SCORES = [info("scores", ["N", 5, "h", "w"])]
LABELS = [info("labels", ["N", "h", "w"], INT64)]
ENLARGED = [
    node("Constant", [], ["scales"], value_floats=[1.0, 1.0, 4.0, 4.0]),
    helper.make_node("Resize", ["x", "", "scales"], ["large"], "/up", mode="linear"),
]
ENDING = {  # of the last index of equal scores; of a plain one
    "last": [*ENLARGED, node("ArgMax", ["large"], ["i"], axis=1, select_last_index=1)],
    "plain": [*ENLARGED, node("ArgMax", ["large"], ["i"], axis=1)],
}


def labelled(ending):
    dims = numpy_helper.from_array(np.array([1]), "one")
    nodes = [*ENDING[ending], node("Squeeze", ["i", "one"], ["labels"])]
    return model(nodes, LABELS, stored=[weights(), dims])


def two_sensors():
    """Scores of rgb and depth, at any size."""
    shapes = {"rgb": ["N", 3, "H", "W"], "depth": ["N", 1, "H", "W"]}
    nodes = [
        node("Concat", ["rgb", "depth"], ["all"], axis=1),
        helper.make_node("Conv", ["all", "w"], ["scores"], "/head", strides=[4, 4]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [info(name, shape) for name, shape in shapes.items()],
        SCORES,
        [weights(shape=(5, 4, 4, 4))],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def truncated(home):
    (home / "net.onnx").write_bytes(scores().SerializeToString()[:-200])


def scores(**options):
    return model([node("Identity", ["x"], ["scores"])], SCORES, **options)


def of_type(kind, dtype):
    inputs = [helper.make_tensor_value_info("rgb", kind, [1, 3, *SIZE])]
    outputs = [helper.make_tensor_value_info("scores", kind, [1, 5, 12, 16])]
    nodes = [node("Identity", ["x"], ["scores"])]
    return model(nodes, outputs, inputs=inputs, stored=[weights(dtype=dtype)])


def quantized():
    stored = [
        weights(),
        numpy_helper.from_array(np.float32(0.1), "scale"),
        numpy_helper.from_array(np.int8(0), "zero"),
    ]
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["scores"]),
    ]
    return model(nodes, SCORES, stored=stored)


def branched():
    """The path that a frame takes is decided by the frame."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["x"], [name])], name, [], [info(name, None)]
        )
        for name, op in {"then": "Relu", "else": "Neg"}.items()
    }
    zero = numpy_helper.from_array(np.float32(0), "zero")
    nodes = [
        node("ReduceMean", ["x"], ["mean"], keepdims=0),
        node("Greater", ["mean", "zero"], ["yes"]),
        node("If", ["yes"], ["scores"], **branches),
    ]
    return model(nodes, SCORES, stored=[weights(), zero])


def inputs(*shapes):
    """Of pictures that are added."""
    values = [info(f"in{i}", list(shape)) for i, shape in enumerate(shapes)]
    nodes = [
        *(node("Relu", [v.name], [f"r{i}"]) for i, v in enumerate(values)),
        node("Concat", [f"r{i}" for i in range(len(values))], ["all"], axis=1),
    ]
    outputs = [info("all", ["N", "C", "H", "W"])]
    graph = helper.make_graph(nodes, "g", values, outputs)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def outside(location):
    made = scores()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return made


def short(home):
    (home / "weights").write_bytes(bytes(8))
    onnx.save(outside("weights"), home / "net.onnx")


def huge(home):
    with open(home / "net.onnx", "wb") as file:
        os.truncate(file.fileno(), 1 << 31)


def huge_weights(home):
    onnx.save(outside("weights"), home / "net.onnx")
    with open(home / "weights", "wb") as file:
        os.truncate(file.fileno(), 1 << 31)


def text(content):
    return lambda home: (home / "net.onnx").write_bytes(content)


def custom(domain):
    return model(
        [node("Swish", ["x"], ["scores"], domain=domain)], SCORES, domains=[domain]
    )


def sequence():
    made = model([node("SequenceConstruct", ["x"], ["scores"])], SCORES)
    kind = helper.make_tensor_type_proto(FLOAT, None)
    made.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(kind))
    return made


def no_nodes():
    made = scores()
    del made.graph.node[:]
    return made


def random():
    nodes = [
        node("RandomUniformLike", ["x"], ["r"]),
        node("Add", ["x", "r"], ["scores"]),
    ]
    return model(nodes, SCORES)
