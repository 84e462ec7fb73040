"""Whatever onnxsim does, the export goes on with a graph that computes the same."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.passes import simplify as simplify_pass
from fuseg_export.passes.simplify import simplify
from fuseg_export.passes.tidy import count_nodes
from fuseg_export.to_onnx import to_onnx

FEED = {"x": np.random.default_rng(0).standard_normal((1, 3, 8, 12), np.float32)}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x):
        return F.interpolate(self.conv(x), size=x.shape[2:], mode="bilinear")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    net = SelectedOutputs(Net().eval(), [Source()])
    return to_onnx(net, {"x": torch.zeros(1, 3, 8, 12)}, 17).model


def run(model):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, FEED)[0]


def child(monkeypatch, code):
    """Let other code be what runs in the child process."""
    monkeypatch.setattr(simplify_pass, "_CHILD", code)


EDIT = """
import sys, onnx
model = onnx.load(sys.argv[1])
{}
onnx.save(model, sys.argv[2])
"""


def test_a_simpler_graph_computes_the_same(model):
    simplified, why_not = simplify(model, FEED)
    assert why_not is None
    assert count_nodes(simplified) == 2 < count_nodes(model)  # Conv, Resize
    np.testing.assert_allclose(run(simplified), run(model), atol=1e-6)
    assert simplified.opset_import == model.opset_import
    assert simplified.ir_version == 8
    assert not simplified.metadata_props  # onnxsim leaves a report there


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import os; os.abort()", "onnxsim failed with status -6 (without a message)"),
        ("import os; os._exit(3)", "onnxsim failed with status 3 (without"),
        ("raise MemoryError('all of it')", "status 1 (MemoryError: all of it)"),
        ("import nothing_like_onnxsim", "No module named 'nothing_like_onnxsim'"),
        ("pass", "No such file"),
        ("import sys; open(sys.argv[2], 'wb').write(b'onnx?')", "parsing"),
        (EDIT.format("model.graph.node[0].input[1] = 'no'"), "graph is not valid"),
        (
            EDIT.format(
                "[n] = [n for n in model.graph.node if n.op_type == 'Conv'];"
                "w = next(i for i in model.graph.initializer if i.name == n.input[1]);"
                "w.raw_data = bytes(len(w.raw_data))"
            ),
            "computes something else (relative difference ",
        ),
        (
            EDIT.format("model.opset_import[0].version = 18"),
            "onnxsim turned opset 17 into 18",
        ),
        (
            EDIT.format(
                "out = model.graph.output[0];"
                "model.graph.node.add(op_type='Identity', input=[out.name], "
                "output=['more']);"
                "out.name = 'more'"
            ),
            "onnxsim made it larger",
        ),
    ],
)
def test_whatever_goes_wrong_the_graph_is_kept_and_one_sentence_says_why(
    model, monkeypatch, code, sentence
):
    child(monkeypatch, code)
    kept, why_not = simplify(model, FEED)
    assert kept is model
    assert why_not.startswith("the graph was not simplified: ")
    assert sentence in why_not


def test_dimensions_keep_their_names(model, monkeypatch):
    named = onnx.ModelProto()
    named.CopyFrom(model)
    axis = named.graph.input[0].type.tensor_type.shape.dim[0]
    axis.dim_param = "count"
    renames = "axis = model.graph.input[0].type.tensor_type.shape.dim[0]\n"
    child(monkeypatch, EDIT.format(f"{renames}axis.dim_param = 'unk__1'"))
    simplified, why_not = simplify(named, FEED)
    assert why_not is None
    assert simplified.graph.input == named.graph.input


def test_a_child_that_hangs_is_ended(model, monkeypatch):
    child(monkeypatch, "import time; time.sleep(60)")
    monkeypatch.setattr(simplify_pass, "TIMEOUT_S", 0.2)
    kept, why_not = simplify(model, FEED)
    assert kept is model
    assert why_not == "the graph was not simplified: onnxsim took longer than 0.2 s."


def test_the_child_imports_nothing_from_the_working_directory(
    model, monkeypatch, tmp_path
):
    (tmp_path / "onnx.py").write_text("raise SystemExit('imported from here')")
    monkeypatch.chdir(tmp_path)
    child(monkeypatch, EDIT.format(""))
    assert simplify(model, FEED)[1] is None
