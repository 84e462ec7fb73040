"""Bundles whose every digest is right and whose network is hostile.

Each is refused before any backend reads it, or its first run is stopped: in one
sentence, with less than 1 GiB, and without this process doing the work.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import fuseg
from fuseg import errors
from fuseg.bundle import Bundle
from fuseg.bundle.container import pack
from fuseg.manifest import File

GIB = 1 << 30


def node(operator, inputs, outputs, **attributes):
    name = f"/{outputs[0] if outputs else ''}/{operator}"
    return helper.make_node(operator, inputs, outputs, name, **attributes)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def floats(name, value, shape=()):
    return numpy_helper.from_array(np.full(shape, value, np.float32), name)


def bombed(model, nodes=(), stored=(), bomb="bomb"):
    """The network of `sampled`, its scores summed with a value that these make."""
    last = model.graph.node[-1]
    last.output[0] = "clean"
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(stored)
    model.graph.node.append(node("Add", ["clean", bomb], ["scores"]))
    return model


def body(*nodes, more=(), outs=()):
    """A loop's body: it goes on for ever."""
    true = numpy_helper.from_array(np.array(True), "true")
    known = [("i", TensorProto.INT64), ("going", TensorProto.BOOL)]
    return helper.make_graph(
        [helper.make_node("Identity", ["true"], ["still"]), *nodes],
        "body",
        [helper.make_tensor_value_info(n, kind, ()) for n, kind in known],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, ()), *outs],
        [true, *more],
    )


def endless_loop(model):
    return bombed(
        model,
        [node("Loop", ["", "t"], [], body=body())],
        [numpy_helper.from_array(np.array(True), "t"), floats("bomb", 0)],
    )


def loop_of_many_turns(model):
    return bombed(
        model,
        [node("Loop", ["n", ""], [], body=body())],
        [ints("n", 10**12), floats("bomb", 0)],
    )


def growing_loop(model):
    out = helper.make_tensor_value_info("more", TensorProto.FLOAT, (1 << 20,))
    grown = body(
        helper.make_node("ConstantOfShape", ["size"], ["more"]),
        more=[ints("size", 1 << 20)],
        outs=[out],
    )
    return bombed(
        model,
        [
            node("Loop", ["n", ""], ["all"], body=grown),
            node("ReduceMax", ["all"], ["bomb"], keepdims=0),
        ],
        [ints("n", 10**6)],
    )


def function(name, *nodes):
    return helper.make_function(
        "own",
        name,
        ["x"],
        ["y"],
        list(nodes),
        [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
    )


def calling(model, *functions):
    model.functions.extend(functions)
    model.opset_import.append(helper.make_opsetid("own", 1))
    first = helper.make_node(functions[0].name, ["zero"], ["bomb"], "/f", domain="own")
    return bombed(model, [first], [floats("zero", 0)])


def call(name, given, made):
    return helper.make_node(name, [given], [made], domain="own")


def function_bomb(model):
    last = function("F23", helper.make_node("Identity", ["x"], ["y"]))
    twice = [
        function(f"F{i}", call(f"F{i + 1}", "x", "z"), call(f"F{i + 1}", "z", "y"))
        for i in range(23)
    ]
    return calling(model, *twice, last)


def recursion(model):
    return calling(model, function("F", call("F", "x", "y")))


def mutual_recursion(model):
    return calling(
        model, function("F", call("G", "x", "y")), function("G", call("F", "x", "y"))
    )


def one(operator, inputs=("zero",), **attributes):
    """A network with one more node, whose result is added to the scores."""

    def make(model):
        made = node(operator, list(inputs), ["bomb"], **attributes)
        return bombed(model, [made], [floats("zero", 0)])

    return make


def branch(model):
    side = helper.make_graph(
        [helper.make_node("Identity", ["zero"], ["y"])],
        "side",
        [],
        [helper.make_tensor_value_info("y", 1, ())],
    )
    made = node("If", ["yes"], ["bomb"], then_branch=side, else_branch=side)
    return bombed(
        model,
        [made],
        [floats("zero", 0), numpy_helper.from_array(np.array(True), "yes")],
    )


def graph_in_a_good_node(model):
    model.graph.node[0].attribute.append(
        helper.make_attribute("body", model.graph.__class__(name="g"))
    )
    return model


def opset_25(model):
    model.opset_import[0].version = 25
    return model


def training(model):
    model.training_info.append(onnx.TrainingInfoProto(algorithm=model.graph))
    return model


def dims_of_a_tensor(model):
    return (
        bombed(model, [], [floats("bomb", 0, ())])
        if False
        else bombed(
            model,
            [node("ReduceMax", ["deep"], ["bomb"], keepdims=0)],
            [helper.make_tensor("deep", 1, [1] * 100_000, [0.0])],
        )
    )


def dims_of_a_shape(model):
    return bombed(
        model,
        [
            node("Reshape", ["zero", "shape"], ["deep"]),
            node("ReduceMax", ["deep"], ["bomb"], keepdims=0),
        ],
        [floats("zero", 0), ints("shape", *[1] * 100_000)],
    )


def huge_tensor(model):
    tensor = floats("bomb", 0)
    tensor.dims.extend([10**9] * 9)
    return bombed(model, [], [tensor])


def sparse(model):
    values, where = floats("bomb", 1, (1,)), ints("", 1)
    model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(values=values, indices=where, dims=[1 << 40])
    )
    return bombed(model, [node("ReduceMax", ["bomb"], ["b"], keepdims=0)], bomb="b")


def external(spelling):
    def make(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        if spelling != "without a location":
            tensor.data_location = TensorProto.EXTERNAL
        if spelling != "without a file":
            where = "*/_ORT_MEM_ADDR_/*" if spelling == "memory" else "/etc/passwd"
            tensor.external_data.add(key="location", value=where)
        return model

    return make


def ort_format(model):
    return b"\x08\0\0\0ORTM" + model.SerializeToString()


def symbolic(model):
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "h"
    return model


def another_input(model):
    model.graph.input.append(helper.make_tensor_value_info("more", 1, (1,)))
    return model


STATIC = {
    "symbolic sides": (symbolic, "input tensors must be .* got .* rgb FLOAT"),
    "another input": (another_input, "input tensors must be"),
    "a Loop without an end": (endless_loop, "/Loop' has the operator 'Loop'"),
    "a Loop of 10^12 turns": (loop_of_many_turns, "/Loop' has the operator 'Loop'"),
    "a Loop that grows": (growing_loop, "/Loop' has the operator 'Loop'"),
    "functions that double": (function_bomb, "functions of its own|'own::F0'"),
    "a function that calls itself": (recursion, "functions of its own|'own::F'"),
    "functions in a circle": (mutual_recursion, "functions of its own|'own::F'"),
    "If": (branch, "/If' has the operator 'If'"),
    "Scan": (one("Scan", body=onnx.GraphProto()), "/Scan' has the operator 'Scan'"),
    "SequenceMap": (one("SequenceMap", body=onnx.GraphProto()), "'SequenceMap'"),
    "RandomNormal": (one("RandomNormal", (), shape=[1]), "'RandomNormal'"),
    "RandomUniformLike": (one("RandomUniformLike"), "'RandomUniformLike'"),
    "Bernoulli": (one("Bernoulli"), "'Bernoulli'"),
    "Multinomial": (one("Multinomial"), "'Multinomial'"),
    "Dropout in training": (one("Dropout", ("zero", "", "yes")), "'Dropout'"),
    "a sequence": (one("SequenceConstruct"), "'SequenceConstruct'"),
    "an optional": (one("Optional"), "'Optional'"),
    "texts": (one("StringNormalizer"), "'StringNormalizer'"),
    "com.microsoft": (one("Gelu", domain="com.microsoft"), "'com.microsoft::Gelu'"),
    "a domain of its own": (one("Anything", domain="evil"), "'evil::Anything'"),
    "PyOp": (one("PyOp", domain="ai.onnx.contrib"), "'ai.onnx.contrib::PyOp'"),
    "an engine": (one("EPContext", domain="com.microsoft"), "EPContext node"),
    "a graph in a good node": (graph_in_a_good_node, "holds a graph of its own"),
    "another opset": (opset_25, "its opset must be the manifest's 17, got 25"),
    "a training graph": (training, "a graph for training"),
    "100,000 dims of 1": (dims_of_a_tensor, "has 100000 axes, 16 are the most"),
    "a shape of 100,000": (dims_of_a_shape, "makes a tensor of 100000 axes"),
    "10^81 values": (huge_tensor, "must state at most"),
    "a sparse tensor of 2^40": (sparse, "a sparse tensor"),
    "a file outside": (external("as it is"), "its data in another file"),
    "a file, not said": (external("without a location"), "its data in another file"),
    "a file, not named": (external("without a file"), "its data in another file"),
    "memory by address": (external("memory"), "its data in another file"),
    "ORT's own format": (ort_format, "it is not an ONNX file"),
}


def largest(*nodes_and_stored):
    nodes = [n for n in nodes_and_stored if isinstance(n, onnx.NodeProto)]
    stored = [t for t in nodes_and_stored if isinstance(t, onnx.TensorProto)]
    nodes.append(node("ReduceMax", ["huge"], ["bomb"], keepdims=0))
    return lambda model: bombed(model, nodes, stored)


def doubled(model):
    """Thirty Concats, each of what the last one made with itself."""
    nodes = [
        node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=3) for i in range(30)
    ]
    nodes[0].input[:] = ["depth", "depth"]
    nodes.append(node("ReduceMax", ["c30"], ["bomb"], keepdims=0))
    return bombed(model, nodes)


def multiplied(model):
    """2,000 products of matrices of 2048 x 2048: 17 TFLOP in 100 KB."""
    nodes = [
        node("ReduceMax", ["depth"], ["top"], keepdims=0),
        node("Expand", ["top", "size"], ["m0"]),
    ]
    nodes += [node("MatMul", [f"m{i}", "m0"], [f"m{i + 1}"]) for i in range(2000)]
    nodes.append(node("ReduceMin", ["m2000"], ["bomb"], keepdims=0))
    return bombed(model, nodes, [ints("size", 2048, 2048)])


def not_a_number(model):
    return bombed(model, [], [floats("bomb", np.nan)])


MEMORY = r"takes more than \d+ MiB of memory and was stopped: if the file is known"
# Huge by what a node computes: found by the first run alone.
COMPUTED = {
    "ConstantOfShape of 4 GiB": (
        largest(node("ConstantOfShape", ["s"], ["huge"]), ints("s", GIB)),
        MEMORY,
    ),
    "Expand to 4 GiB": (
        largest(node("Expand", ["depth", "s"], ["huge"]), ints("s", 1 << 25, 1, 6, 8)),
        MEMORY,
    ),
    "Tile to 3 GiB": (
        largest(node("Tile", ["depth", "s"], ["huge"]), ints("s", 1 << 24, 1, 1, 1)),
        MEMORY,
    ),
    "Pad to 20 GiB": (
        largest(
            node("Pad", ["depth", "s"], ["huge"]), ints("s", *[0] * 7, 800_000_000)
        ),
        MEMORY,
    ),
    "Range of 8 GiB": (
        largest(
            node("Range", ["from", "to", "by"], ["huge"]),
            floats("from", 0),
            floats("to", 2e9),
            floats("by", 1),
        ),
        MEMORY,
    ),
    "Resize to 14 GiB": (
        largest(
            node("Resize", ["depth", "", "", "s"], ["huge"]),
            ints("s", 1, 1, 60_000, 60_000),
        ),
        MEMORY,
    ),
    "OneHot of 4 GiB": (
        largest(
            node("OneHot", ["i", "s", "v"], ["huge"]),
            ints("i", *range(1000)),
            ints("s", 1 << 20),
            floats("v", 0, (2,)),
        ),
        MEMORY,
    ),
    "Concats that double": (doubled, MEMORY),
    "products of matrices": (
        multiplied,
        "takes more than 3 s of processor time and was stopped",
    ),
    "NaN everywhere": (not_a_number, "NaN"),
}


@pytest.fixture
def forged(sampled, tmp_path):
    """``forged(network=, **manifest)``: the bundle ``sampled``, with right digests."""

    def make(network=None, **changes):
        opened = Bundle.open(sampled())
        members = {name: opened.read(name) for name in opened.manifest.files}
        if network is not None:
            made = network(onnx.load_from_string(members["fp32.onnx"]))
            data = made if isinstance(made, bytes) else made.SerializeToString()
            members["fp32.onnx"] = data
        files = {
            name: File(hashlib.sha256(data).hexdigest(), len(data))
            for name, data in members.items()
        }
        whole = replace(opened.manifest, files=files, **changes)
        path = tmp_path / "forged.fuseg"
        path.write_bytes(pack(whole.dump().encode(), members))
        return path

    return make


def test_there_are_at_least_the_41_of_the_first_review():
    assert len(STATIC) + len(COMPUTED) >= 41


def test_the_bundle_they_are_made_of_is_a_good_one(forged):
    assert fuseg.load(forged()).backend_name == "onnxruntime"
    assert fuseg.load(forged(lambda m: bombed(m, [], [floats("bomb", 0)])))


@pytest.mark.parametrize("name", STATIC)
def test_it_is_refused_before_an_engine_reads_it(forged, monkeypatch, name):
    network, sentence = STATIC[name]
    path = forged(network)
    monkeypatch.delattr("onnxruntime.InferenceSession")
    with pytest.raises(errors.BundleError, match=sentence) as refused:
        fuseg.load(path)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 500


LOAD = """
import json, re, resource, sys
import fuseg
try:
    fuseg.load(sys.argv[1], backend="onnxruntime")
    outcome = "it was loaded"
except fuseg.errors.FusegError as err:
    outcome = str(err)
here, child = (resource.getrusage(who) for who in
               (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
# Not ru_maxrss: that begins with the memory of who started this process.
most = int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
print(json.dumps({"outcome": outcome, "kib": [most, child.ru_maxrss],
                  "seconds": [here.ru_utime + here.ru_stime,
                              child.ru_utime + child.ru_stime]}))
"""


@pytest.mark.parametrize("name", COMPUTED)
def test_its_first_run_is_stopped(forged, name):
    network, sentence = COMPUTED[name]
    command = [sys.executable, "-c", LOAD, forged(network)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    found = json.loads(done.stdout)
    assert re.search(sentence, found["outcome"]), found["outcome"]
    assert done.stderr == ""
    assert max(found["kib"]) < 1 << 20
    assert found["seconds"][0] < 5  # of processor time, importing NumPy included
    assert found["seconds"][1] < 8  # and what the machine's first import takes
