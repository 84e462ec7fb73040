"""The tail is cut where that changes no label, and nowhere else."""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F

from fuseg.errors import ExportError
from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.ort_session import run_all
from fuseg_export.passes.cut_tail import cut_tail
from fuseg_export.passes.simplify import simplify
from fuseg_export.to_onnx import to_onnx

SIZE = (20, 28)  # four times 5 x 7


class Net(nn.Module):
    def __init__(self, end, classes):
        super().__init__()
        self.conv = nn.Conv2d(3, classes, 3, 4, 1)
        self.end = end

    def forward(self, x):
        return self.end(self.conv(x))


def graph(end, classes=5):
    torch.manual_seed(1)
    net = SelectedOutputs(Net(end, classes).eval(), [Source()])
    return to_onnx(net, {"x": torch.zeros(1, 3, *SIZE)}, 17).model


def run(model, seed=0):
    x = np.random.default_rng(seed).standard_normal((1, 3, *SIZE), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0]


def ops(model):
    return [n.op_type for n in model.graph.node if n.op_type != "Constant"]


def up(x, **options):
    return F.interpolate(x, **{"size": SIZE, "mode": "bilinear", **options})


TAILS = {
    "nothing": (lambda x: x, []),
    "up": (up, ["Resize"]),
    "up by factor": (lambda x: up(x, size=None, scale_factor=4), ["Resize"]),
    "up, corners": (lambda x: up(x, align_corners=True), ["Resize"]),
    "up one way": (lambda x: up(x, size=(5, 28)), ["Resize"]),
    "argmax": (lambda x: x.argmax(1), ["ArgMax"]),
    "up argmax": (lambda x: up(x).argmax(1), ["Resize", "ArgMax"]),
    "kept axis": (lambda x: up(x).argmax(1, keepdim=True), ["Resize", "ArgMax"]),
    "axis from behind": (lambda x: up(x).argmax(-3), ["Resize", "ArgMax"]),
    "max's index": (lambda x: up(x).max(1)[1], ["Resize", "ArgMax"]),
    "softmax": (lambda x: x.softmax(1), ["Softmax"]),
    "up softmax": (lambda x: up(x).softmax(1), ["Resize", "Softmax"]),
    "up log": (lambda x: up(x).log_softmax(1), ["Resize", "LogSoftmax"]),
    "up softmax argmax": (
        lambda x: up(x).softmax(1).argmax(1),
        ["Resize", "Softmax", "ArgMax"],
    ),
    "as bytes": (
        lambda x: up(x).argmax(1).to(torch.uint8),
        ["Resize", "ArgMax", "Cast"],
    ),
    "as floats": (lambda x: up(x).argmax(1).float(), ["Resize", "ArgMax", "Cast"]),
    "squeezed": (lambda x: up(x).argmax(1).squeeze(0), ["Resize", "ArgMax", "Squeeze"]),
    "unsqueezed": (
        lambda x: up(x).argmax(1)[:, None].int(),
        ["Resize", "ArgMax", "Unsqueeze", "Cast"],
    ),
}


@pytest.mark.parametrize("name", TAILS)
def test_a_cut_tail_changes_no_label(name):
    end, removed = TAILS[name]
    model = graph(end)
    cut, tail = cut_tail(model)
    assert list(tail.removed) == removed
    assert tail.kept is None
    assert ops(cut) == ["Conv"]

    whole = run(model)
    labels = whole if "ArgMax" in removed else whole.argmax(1)
    size = whole.shape[2:] if whole.ndim == 4 else labels.reshape(-1).shape
    scores = torch.from_numpy(run(cut))
    if "Resize" in removed:
        size = (5, 28) if name == "up one way" else SIZE
        scores = up(scores, size=size, align_corners=tail.align_corners)
    assert tail.align_corners == (name == "up, corners")
    assert tail.size == tuple(scores.shape[2:])
    np.testing.assert_array_equal(
        labels.reshape(tail.size).astype(int), scores.numpy().argmax(1)[0]
    )


@pytest.mark.parametrize("name", ["up by factor", "up softmax argmax", "unsqueezed"])
def test_after_simplification_the_same_tails_are_cut(name):
    end, _ = TAILS[name]
    model = graph(end)
    x = {"x": np.ones((1, 3, *SIZE), np.float32)}
    simplified, why_not = simplify(model, x)
    assert why_not is None
    cut, tail = cut_tail(simplified)
    assert ops(cut) == ["Conv"]
    assert tail.size == cut_tail(model)[1].size


def test_the_cut_graph_ends_in_logits_and_nothing_else():
    cut, _ = cut_tail(graph(lambda x: up(x).argmax(1)))
    (output,) = cut.graph.output
    assert output.name == "logits"
    assert output.type.tensor_type.elem_type == TensorProto.FLOAT
    shape = [d.dim_value for d in output.type.tensor_type.shape.dim]
    assert shape == [1, 5, 5, 7]
    read = {name for node in cut.graph.node for name in node.input}
    assert {i.name for i in cut.graph.initializer} <= read
    onnx.checker.check_model(cut, full_check=True)


def test_the_given_graph_is_not_changed():
    model = graph(lambda x: up(x).argmax(1))
    before = model.SerializeToString()
    cut_tail(model)
    assert model.SerializeToString() == before


def test_a_sigmoid_of_one_class_is_cut():
    model = graph(lambda x: up(x).sigmoid(), classes=1)
    cut, tail = cut_tail(model)
    assert tail.removed == ("Resize", "Sigmoid")
    scores = up(torch.from_numpy(run(cut)))
    np.testing.assert_array_equal(run(model) > 0.5, scores.numpy() > 0)


KEPT = {
    "nearest": (lambda x: up(x, mode="nearest"), [], "its mode is nearest"),
    "bicubic": (lambda x: up(x, mode="bicubic"), [], "its mode is cubic"),
    "shrinks": (lambda x: up(x, size=(3, 28)), [], r"it shrinks \[5, 7\] to \[3, 28\]"),
    "odd factor": (
        lambda x: up(x, size=None, scale_factor=1.3),
        [],
        "its scale .* is not the ratio of its sizes",
    ),
    "two": (lambda x: up(up(x, size=(9, 9))), ["Resize"], "another one follows"),
    "softmax before up": (
        lambda x: up(x.softmax(1)),
        ["Resize"],
        "Softmax stays: its results are interpolated",
    ),
    "softmax before up and argmax": (
        lambda x: up(x.softmax(1)).argmax(1),
        ["Resize", "ArgMax"],
        "Softmax stays: its results are interpolated",
    ),
    "softmax over rows": (
        lambda x: up(x).softmax(2),
        [],
        r"Softmax stays: it is over axis 2 of \[1, 5, 20, 28\]",
    ),
    "sigmoid": (lambda x: up(x).sigmoid(), [], "it is not of a single class"),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_could_change_a_label_stays(name):
    end, removed, why = KEPT[name]
    cut, tail = cut_tail(graph(end))
    assert list(tail.removed) == removed
    assert tail.kept is not None
    assert re.search(why, tail.kept)
    assert len(ops(cut)) > 1


NO_SCORES = {
    "argmax over rows": (
        lambda x: up(x).argmax(2),
        r"got int64\. ArgMax stays: it is over axis 2 of \[1, 5, 20, 28\]",
    ),
    "labels computed on": (lambda x: up(x).argmax(1) + 1, "or labels whose ArgMax can"),
    "labels of labels": (
        lambda x: up(x).argmax(1, keepdim=True).argmax(1),
        "ArgMax stays: there is one class",
    ),
    "a mask": (lambda x: up(x).argmax(1).bool(), "its labels are cast to BOOL"),
    "a threshold": (lambda x: up(x) > 0, "got bool"),
    "no batch": (lambda x: up(x)[0], r"shape \(1, C, h, w\), got \[5, 20, 28\]"),
    "no batch, softmax": (
        lambda x: up(x).softmax(1).squeeze(0),
        r"got \[5, 20, 28\]\. Softmax stays: what follows, Squeeze, changes the scores",
    ),
    "a vector": (lambda x: x.mean((2, 3)), r"got \[1, 5\]"),
}


@pytest.mark.parametrize("name", NO_SCORES)
def test_an_output_that_is_no_scores_is_refused(name):
    end, sentence = NO_SCORES[name]
    with pytest.raises(ExportError, match=sentence):
        cut_tail(graph(end))


def test_more_classes_than_a_byte_holds_are_refused():
    with pytest.raises(ExportError, match="at most 255 classes apart, got 256"):
        cut_tail(graph(up, classes=256))


FEED = {"x": np.random.default_rng(0).standard_normal((1, 3, 5, 7), np.float32)}


def made(*nodes, outputs, scales=(1, 1, 4, 4), opset=18):
    """A graph by hand: x (1, 3, 5, 7) -> conv -> ``nodes`` -> ``outputs``."""
    conv = helper.make_node("Conv", ["x", "w"], ["scores"])
    stored = {
        "w": np.arange(15, dtype=np.float32).reshape(5, 3, 1, 1),
        "scales": np.array(scales, np.float32),
    }
    graph = helper.make_graph(
        [conv, *nodes],
        "made",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 5, 7))],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def resize(**attributes):
    inputs = ["scores", "", "scales"]
    return helper.make_node("Resize", inputs, ["large"], mode="linear", **attributes)


@pytest.mark.parametrize("mode", ["half_pixel", "pytorch_half_pixel", "align_corners"])
def test_the_three_ways_of_linear_are_cut(mode):
    node = resize(coordinate_transformation_mode=mode)
    _, tail = cut_tail(made(node, outputs=["large"]))
    assert tail.removed == ("Resize",)
    assert tail.align_corners == (mode == "align_corners")


def test_a_resize_of_named_axes_is_cut():
    node = resize(axes=[2, 3])
    _, tail = cut_tail(made(node, outputs=["large"], scales=(4, 4)))
    assert (tail.removed, tail.size) == (("Resize",), SIZE)


@pytest.mark.parametrize(
    ("attributes", "scales", "why"),
    [
        ({"coordinate_transformation_mode": "asymmetric"}, (1, 1, 4, 4), "asymmetric"),
        ({"antialias": 1}, (1, 1, 4, 4), "antialiased"),
        ({}, (1, 2, 4, 4), r"more than height and width: \[1, 5, 5, 7\] to \[1, 10"),
    ],
)
def test_another_resize_stays(attributes, scales, why):
    model = made(resize(**attributes), outputs=["large"], scales=scales)
    _, tail = cut_tail(model)
    assert tail.removed == ()
    assert tail.kept is not None
    assert re.search(why, tail.kept)


def test_other_outputs_stay_and_what_they_need():
    relu = helper.make_node("Relu", ["large"], ["aux"])
    model = made(resize(), relu, outputs=["aux", "large"])
    cut, tail = cut_tail(model, 1, "wanted")
    assert tail.removed == ("Resize",)
    assert [o.name for o in cut.graph.output] == ["aux", "wanted"]
    assert ops(cut) == ["Conv", "Resize", "Relu"]
    expected, found = (run_all(m, FEED)["aux"] for m in (model, cut))
    np.testing.assert_array_equal(found, expected)


def test_scores_that_are_another_output_too_are_given_twice():
    model = made(resize(), outputs=["scores", "large"])
    cut, tail = cut_tail(model, 1)
    assert tail.removed == ("Resize",)
    assert [o.name for o in cut.graph.output] == ["scores", "logits"]
    onnx.checker.check_model(cut, full_check=True)
    found = run_all(cut, FEED)
    np.testing.assert_array_equal(found["logits"], found["scores"])


def test_the_last_of_equals_is_not_the_first():
    last = helper.make_node(
        "ArgMax", ["large"], ["labels"], axis=1, select_last_index=1
    )
    with pytest.raises(ExportError, match="the last of equal scores wins"):
        cut_tail(made(resize(), last, outputs=["labels"]))


def test_a_value_that_is_called_logits_already_keeps_its_name():
    inner = helper.make_node("Relu", ["scores"], ["logits"])
    head = helper.make_node("Neg", ["logits"], ["negated"])
    up = helper.make_node("Resize", ["negated", "", "scales"], ["out"], mode="linear")
    cut, tail = cut_tail(made(inner, head, up, outputs=["out"]))
    assert tail.removed == ("Resize",)
    assert [o.name for o in cut.graph.output] == ["logits_"]
    onnx.checker.check_model(cut, full_check=True)
