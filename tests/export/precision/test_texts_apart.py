"""INT8 leaves what texts alone decide as it is, and its search computes that once."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from fuseg_export.frames.packing import PackedFrame
from fuseg_export.outputs.label_task import LabelTask
from fuseg_export.passes.split import Cut, one_piece, with_encoder
from fuseg_export.precision import texts_apart
from fuseg_export.precision.build_variants import build_int8
from fuseg_export.precision.calibrate import calibrate
from fuseg_export.precision.evaluate import network_function
from fuseg_export.precision.mixed_precision_search import Judge
from fuseg_export.precision.options import Budget
from fuseg_export.precision.texts_apart import TextsApart

TEXTS = np.random.default_rng(0).standard_normal((2, 1, 4)).astype(np.float32)
STRICT = Budget(agreement=1)  # which INT8 is not within: every layer is tried


@pytest.fixture(scope="module")
def network():
    """Scores of three classes, of a picture whose features a text weighs.

    The text's vector is an output, too.
    """
    rng = np.random.default_rng(1)
    shapes = {
        "words": (4, 8),
        "said": (8, 8),
        "first": (8, 3, 3, 3),
        "last": (3, 8, 1, 1),
    }
    stored = [
        numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n)
        for n, s in shapes.items()
    ]
    stored.append(numpy_helper.from_array(np.array([1, 8, 1, 1]), "shape"))
    node = helper.make_node
    nodes = [
        node("MatMul", ["prompt", "words"], ["meant"], name="text"),
        node("MatMul", ["meant", "said"], ["vector"], name="say"),
        node("Conv", ["rgb", "first"], ["seen"], name="see", pads=[1, 1, 1, 1]),
        node("Reshape", ["vector", "shape"], ["weights"], name="weights"),
        node("Mul", ["seen", "weights"], ["weighed"], name="weigh"),
        node("Conv", ["weighed", "last"], ["logits"], name="score"),
    ]
    ends = {"rgb": (1, 3, 9, 13), "prompt": (1, 4)}
    made = {"logits": (1, 3, 9, 13), "vector": (1, 8)}
    of = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [of(name, TensorProto.FLOAT, shape) for name, shape in ends.items()],
        [of(name, TensorProto.FLOAT, shape) for name, shape in made.items()],
        stored,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.fixture(scope="module")
def apart(network):
    cut = Cut("prompt", ("vector",), 0.5, ("vector",))
    return TextsApart(network, with_encoder([one_piece(network)], cut), ["prompt"])


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(2)
    pictures = rng.standard_normal((5, 1, 3, 9, 13)).astype(np.float32)
    return [
        PackedFrame({"rgb": picture, "prompt": TEXTS[index % 2]})
        for index, picture in enumerate(pictures)
    ]


def test_the_rest_is_the_network_behind_its_texts(network, apart, frames, monkeypatch):
    ran = []

    def counted(model):
        function = network_function(model)
        return lambda tensors: ran.append(1) or function(tensors)

    monkeypatch.setattr(texts_apart, "network_function", counted)
    seen = list(apart.frames(frames))
    assert len(ran) == len(TEXTS)
    assert [n.name for n in apart.rest.graph.node if n.name in apart.nodes] == []
    for frame, whole in zip(seen, frames, strict=True):
        assert "prompt" not in frame.tensors
        wanted = network_function(network)(whole.tensors)
        found = network_function(apart.rest)(frame.tensors)
        again = apart.function(network, network_function)(whole.tensors)
        for name in ("logits", "vector"):
            np.testing.assert_array_equal(found[name], wanted[name])
            np.testing.assert_array_equal(again[name], wanted[name])


def test_int8_tries_and_changes_no_layer_of_a_text(network, apart, frames):
    ranges = calibrate(network, [frame.tensors for frame in frames])
    tasks = {"labels": LabelTask((), 255, (9, 13), False)}
    judge = Judge(tasks, frames, frames, STRICT)
    built = build_int8(network, apart, ranges, judge, progress=lambda _: None)
    for variant in built:
        tried = {"see", "weigh"} if variant.name == "int8-cpu" else {"see"}
        assert {*variant.mixed_precision.sensitivity} == tried, variant.name
        (text,) = (n for n in variant.model.graph.node if n.name == "text")
        assert not any("quantized" in name for name in text.input), variant.name


def test_a_network_without_texts_is_all_of_it(network, frames):
    apart = TextsApart(network, [one_piece(network)], [])
    assert apart.rest is network
    assert apart.nodes == set()
    assert list(apart.frames(frames)) == frames
