"""Torch to ONNX: the same function, the asked-for opset, nothing of this machine."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections import OrderedDict, namedtuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fuseg.errors import ArgumentError, ExportError
from fuseg_export.network.outputs import SelectedOutputs, Source, choose
from fuseg_export.passes.tidy import tidy
from fuseg_export.to_onnx import to_onnx

needs_onnxscript = pytest.mark.skipif(
    importlib.util.find_spec("onnxscript") is None,
    reason="onnxscript, which torch's newer exporter needs, is not installed",
)


class Head(nn.Module):
    """Convolutions and a normalisation, then whatever ``end`` makes of them."""

    def __init__(self, end=lambda x: x):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, 2, 1)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Conv2d(6, 4, 1)
        self.end = end

    def forward(self, x):
        return self.end(self.head(F.relu(self.norm(self.conv(x)))))


def network(end=lambda x: x):
    torch.manual_seed(3)
    head = Head(end)
    head.norm.running_mean += torch.randn(6)
    head.norm.running_var *= 2
    return SelectedOutputs(head.eval(), [Source()])


def example(height=8, width=12):
    generator = torch.Generator().manual_seed(5)
    return {"rgb": torch.randn(1, 3, height, width, generator=generator)}


def run(model, feed):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {name: t.numpy() for name, t in feed.items()})[0]


@pytest.mark.parametrize("opset", [13, 17, 20])
def test_the_graph_has_the_asked_for_opset_and_the_oldest_ir(opset):
    exported = to_onnx(network(), example(), opset)
    assert [(o.domain, o.version) for o in exported.model.opset_import] == [("", opset)]
    assert (exported.opset, exported.exporter) == (opset, "torchscript")
    # onnx/docs/Versioning.md: opset 13 came with IR 7, 17 with 8, 20 with 9.
    assert exported.model.ir_version == {13: 7, 17: 8, 20: 9}[opset]
    assert exported.warnings == ()


def test_the_graph_computes_what_the_network_does():
    net, feed = network(), example()
    with torch.inference_mode():
        expected = net(*feed.values())[0].numpy()
    np.testing.assert_allclose(run(to_onnx(net, feed, 17).model, feed), expected, 1e-5)


def test_the_network_stays_as_it_was():
    net, feed = network(), example()
    with torch.inference_mode():
        (before,) = net(*feed.values())
        to_onnx(net, feed, 17)
        (after,) = net(*feed.values())
    assert not any(module.training for module in net.modules())
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_inputs_keep_their_names_order_and_shapes():
    class Sum(nn.Module):
        def forward(self, b, a):
            return b + a.mean(1, keepdim=True)

    feed = {"b": torch.zeros(1, 1, 4, 6), "a": torch.zeros(1, 3, 4, 6)}
    model = to_onnx(SelectedOutputs(Sum().eval(), [Source()]), feed, 17).model
    shapes = {
        i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim)
        for i in model.graph.input
    }
    assert list(shapes.items()) == [("b", (1, 1, 4, 6)), ("a", (1, 3, 4, 6))]


def test_an_input_may_be_called_output():
    (feed,) = example().values()
    model = to_onnx(network(), {"output": feed}, 17).model
    assert [i.name for i in model.graph.input] == ["output"]
    assert [o.name for o in model.graph.output] != ["output"]


def test_only_the_chosen_output_is_in_the_graph():
    class Two(Head):
        def forward(self, x):
            return {"out": super().forward(x), "aux": torch.tanh(x)}

    model = to_onnx(
        SelectedOutputs(Two().eval(), [Source(("out",))]), example(), 17
    ).model
    assert len(model.graph.output) == 1
    assert "Tanh" not in [node.op_type for node in model.graph.node]


def test_the_same_network_gives_the_same_bytes():
    one, two = (to_onnx(network(), example(), 17).model for _ in range(2))
    assert one.SerializeToString() == two.SerializeToString()


def test_nothing_tells_where_the_graph_was_made():
    content = to_onnx(network(), example(), 17).model.SerializeToString()
    for place in (sys.prefix, __file__, "site-packages", "pytorch", torch.__version__):
        assert place.encode() not in content


def odd_pool(x):
    """TorchScript cannot express this pooling; torch's newer exporter can."""
    return F.adaptive_avg_pool2d(x, (3, 5))


@needs_onnxscript
@pytest.mark.filterwarnings("ignore")  # of torch's own, inside its exporter
def test_the_newer_exporter_steps_in_and_says_why_and_in_which_opset():
    net, feed = network(odd_pool), example()
    exported = to_onnx(net, feed, 17)
    assert (exported.exporter, exported.opset) == ("dynamo", 18)
    (warning,) = exported.warnings
    assert "adaptive_avg_pool2d" in warning
    assert "so torch's newer exporter did, in opset 18" in warning
    with torch.inference_mode():
        expected = net(*feed.values())[0].numpy()
    np.testing.assert_allclose(run(exported.model, feed), expected, 1e-5)
    content = exported.model.SerializeToString()
    for place in (sys.prefix, __file__, "site-packages", "stack_trace"):
        assert place.encode() not in content


def test_the_exporter_that_was_forced_is_not_left():
    with pytest.raises(ExportError, match=r"adaptive_avg_pool2d.*leave out --exporter"):
        to_onnx(network(odd_pool), example(), 17, exporter="torchscript")
    batch = {"x": ("frames", 3, *next(iter(example().values())).shape[2:])}
    feed = dict(zip(["x"], example().values(), strict=True))
    with pytest.raises(ExportError, match=r"^torch's newer exporter is not used where"):
        to_onnx(network(), feed, 17, given=batch, exporter="dynamo")


def test_without_what_the_newer_exporter_needs_the_sentence_says_so(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    for name in [n for n in sys.modules if n.startswith("torch.onnx._internal.exp")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ExportError, match="needs onnxscript: pip install onnxscript"):
        to_onnx(network(odd_pool), example(), 17)
    assert capfd.readouterr().out == ""  # TorchScript prints the graph it fails on


def test_a_decision_on_values_is_reported():
    def end(x):
        return x * 2 if x.mean() > 0 else x * 3

    (warning,) = to_onnx(network(end), example(), 17).warnings
    assert warning.startswith("tracing made constants of 1 decisions")


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (lambda x: x + torch.rand_like(x), "random numbers .RandomUniformLike, node"),
        (lambda x: x + torch.randn(4, 1, 1), "random numbers .RandomNormal"),
        (
            lambda x: F.batch_norm(x, torch.zeros(4), torch.ones(4), training=True),
            "statistics of the frame it is given .BatchNormalization",
        ),
        (lambda x: torch.zeros_like(x), "does not use its input rgb: leave it out"),
    ],
)
def test_a_graph_that_is_no_pure_function_is_refused(end, sentence):
    with pytest.raises(ExportError, match=sentence):
        to_onnx(network(end), example(), 17)


def test_an_operator_beyond_onnx_is_refused():
    model = to_onnx(network(), example(), 17).model
    model.graph.node[0].domain = "com.microsoft"
    with pytest.raises(ExportError, match=r"com\.microsoft::Conv .*none of ONNX's own"):
        tidy(model)


def test_a_graph_that_is_not_valid_is_refused():
    model = to_onnx(network(), example(), 17).model
    model.graph.node[0].input[1] = "nothing"
    with pytest.raises(ExportError, match="the exported graph is not valid: "):
        tidy(model)


def test_metadata_and_documentation_are_stripped_everywhere():
    model = to_onnx(network(), example(), 17).model
    clean = model.SerializeToString()
    for part in (model, model.graph, model.graph.node[0], model.graph.input[0]):
        part.doc_string = "/home/me"
        entry = onnx.StringStringEntryProto(key="stack_trace", value="/home/me")
        part.metadata_props.append(entry)
    model.producer_name, model.producer_version, model.ir_version = "me", "2", 10
    tidy(model)
    assert model.SerializeToString() == clean


@pytest.mark.parametrize("opset", [12, 21])
def test_an_opset_out_of_range_is_refused(opset):
    with pytest.raises(ArgumentError, match=f"--opset must be 13 to 20, got {opset}"):
        to_onnx(network(), example(), opset)


A, B = torch.zeros(1, 4, 2, 3), torch.zeros(1, 4, 8, 9)
Both = namedtuple("Both", ["first", "second"])


@pytest.mark.parametrize(
    ("returned", "word", "key", "note"),
    [
        (A, None, None, None),
        ({"out": A, "aux": B}, None, "out", "output out and dropped aux"),
        (OrderedDict(aux=B, logits=A), None, "logits", "logits and dropped aux"),
        ({"aux": B, "main": A}, "main", "main", None),
        ({"main": A}, None, "main", "took the network's output main$"),
        ((A, B), "1", 1, None),
        ([A], None, 0, "took the network's output 0$"),
        (Both(A, B), "0", 0, None),
    ],
)
def test_the_segmentation_is_chosen(returned, word, key, note):
    chosen, said = choose(returned, word)
    assert chosen == (() if key is None else (key,))
    assert said is None if note is None else re.search(note, said)


@pytest.mark.parametrize(
    ("returned", "word", "error", "sentence"),
    [
        (A, "out", ArgumentError, "--output must be absent"),
        (
            {"sem": A, "depth": B},
            None,
            ArgumentError,
            r"returns sem \(1, 4, 2, 3\), depth \(1, 4, 8, 9\)\.$",
        ),
        ({"out": A}, "aux", ArgumentError, r"returns, out \(.*\), got aux"),
        ((A, B), None, ArgumentError, r"returns 0 \(1, 4, 2, 3\), 1 \("),
        ((A, B), "2", ArgumentError, "got 2"),
        ((), None, ArgumentError, "returns nothing"),
        ({"out": [A]}, None, ExportError, "output out must be a tensor, got list"),
        (None, None, ExportError, "tuple or list of tensors, got NoneType"),
    ],
)
def test_a_choice_that_is_none_is_refused(returned, word, error, sentence):
    with pytest.raises(error, match=sentence):
        choose(returned, word)


def test_decisions_in_torch_s_own_modules_are_not_reported():
    class Reads(nn.LSTM):
        def forward(self, x):
            return super().forward(x.flatten(2))[0]

    assert (
        to_onnx(network(Reads(24, 8, batch_first=True)), example(), 17).warnings == ()
    )


DOUBLE = '''

class Double(TwoInputs):
    """ONNX has no Elu of float64: torch's newer exporter takes it apart."""
    def forward(self, color, depth):
        scores = super().forward(color, depth)["out"]
        return F.elu(scores.double()).float()
'''


@needs_onnxscript
def test_what_no_engine_opens_is_exported_by_the_newer_exporter(export_two, home):
    path = home / "foreign.py"
    path.write_text(path.read_text() + DOUBLE)
    report = export_two(target="foreign:Double")
    assert report.exporter == "dynamo"
    (said,) = (w for w in report.warnings if "newer exporter" in w)
    assert "Could not find an implementation for Elu" in said
    (home / "out" / "two.fuseg").unlink()
    with pytest.raises(ExportError, match="Could not find an implementation for Elu"):
        export_two(target="foreign:Double", exporter="torchscript")
    assert not (home / "out" / "two.fuseg").exists()


POOLS = '''

class Pools(TwoInputs):
    """No TensorRT has the second output of a pool."""
    def forward(self, color, depth):
        size, pooled = color.shape[2:], 0
        for scores in (self.color(color), self.depth(depth)):
            pooled = pooled + F.max_pool2d(scores, 2, return_indices=True)[1] % 7
        return super().forward(color, depth)["out"] + F.interpolate(pooled * 1.0, size)
'''


def test_what_tensorrt_refuses_is_said_of_float32_too(export_two, home):
    path = home / "foreign.py"
    path.write_text(path.read_text() + POOLS)
    report = export_two(target="foreign:Pools")
    said = [w for w in report.warnings if "must make only its first output" in w]
    assert [w.partition(" for ")[2] for w in said] == [
        "TensorRT 8.6 (4 nodes like it)",
        "TensorRT 10.3 (4 nodes like it)",
    ]
    kept = report.manifest.provenance["tensorrt_refuses"]
    assert set(said) == set(kept) <= set(report.warnings)


@needs_onnxscript
def test_one_exporter_may_be_forced(export_two):
    assert export_two().exporter == "torchscript"
    forced = export_two(exporter="dynamo")
    assert (forced.exporter, forced.opset) == ("dynamo", 18)
    said = " ".join(forced.warnings)
    assert "torch's newer exporter wrote opset 18" in said
    assert "the opset must be 7 to 17 for TensorRT 8.6, got 18" in said
    with pytest.raises(ArgumentError, match="--exporter must be torchscript or dynamo"):
        export_two(exporter="onnx")
