"""Fake quantization is what the exporter's INT8 computes, and training it helps."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

from fuseg.errors import ExportError
from fuseg_export.models import REFERENCE
from fuseg_export.models.blocks import ConvNorm
from fuseg_export.models.compose import words_of
from fuseg_export.models.network import FusionNet
from fuseg_export.network.outputs import SelectedOutputs, Source
from fuseg_export.passes.cut_tail import cut_tail
from fuseg_export.passes.simplify import simplify
from fuseg_export.precision.calibrate import Ranges, calibrate
from fuseg_export.precision.int8.qdq_placement import CPU, TENSORRT
from fuseg_export.precision.int8.quantize import quantize
from fuseg_export.scenes import render_many
from fuseg_export.to_onnx import to_onnx
from fuseg_export.training import fit, qat
from fuseg_export.training.__main__ import main
from fuseg_export.training.data import RenderedFrames, random_batch
from fuseg_export.training.fake_quantize import FakeQuantize, fake_quantized, ranges_of
from fuseg_export.training.fx_graph import FoldedConv, traced_graph
from fuseg_export.training.tasks import rooms as rooms_task
from fuseg_export.training.tasks.rooms import Rooms

SIZE = (64, 128)  # the coarsest features are 2 x 4, which the pools divide
LOUD = 300.0
SETTINGS = {
    "steps": 20,
    "batch": 8,
    "frames": 8,
    "rate": 2e-3,
    "dropout": {},
    "seed": 1,
    "network": "planted",
}


def small(**shape):
    """A fusion network of every piece there is, with statistics as after training."""
    torch.manual_seed(2)
    network = FusionNet(
        (3, 1), 5, **{"widths": (8, 8, 12, 16), "decoder_channels": 8, **shape}
    )
    return as_trained(network)


def as_trained(network):
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.05, 0.2)
            module.bias.data.normal_(0, 0.1)
    return network.eval()


def pictures(count):
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield [torch.randn(1, p, *SIZE, generator=generator) for p in (3, 1)]


def exported(network):
    example = {n: torch.zeros(1, p, *SIZE) for n, p in (("rgb", 3), ("depth", 1))}
    model = to_onnx(SelectedOutputs(network, [Source()]), example, 17).model
    plain = {n: t.numpy() for n, t in example.items()}
    return cut_tail(simplify(model, plain)[0])[0]


def by_name(tensors):
    return {n: t.numpy() for n, t in zip(("rgb", "depth"), tensors, strict=True)}


def as_written(model):
    """Runs the pairs as they stand: fused, kernels round a little differently."""
    options = onnxruntime.SessionOptions()
    off = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = off
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda tensors: session.run(None, by_name(tensors))[0]


class Skipping(nn.Module):
    """An addition, a concatenation and a resize, too shallow to amplify rounding."""

    def __init__(self, classes=5):
        super().__init__()
        self.color, self.depth = ConvNorm(3, 8, stride=2), ConvNorm(1, 8, stride=2)
        self.inner = ConvNorm(8, 8, act=False)
        self.mix = ConvNorm(16, 8, 1)
        self.head = nn.Conv2d(8, classes, 1)

    def forward(self, *sensors):
        a, b = self.color(sensors[0]), self.depth(sensors[1])
        a = torch.relu(self.inner(a) + a)
        x = F.interpolate(self.mix(torch.cat([a, b], 1)), scale_factor=2.0)
        return F.interpolate(self.head(x), SIZE, mode="bilinear")


@pytest.mark.parametrize("scheme", [CPU, TENSORRT], ids=["cpu", "tensorrt"])
def test_it_computes_what_the_exported_graph_does(scheme):
    torch.manual_seed(0)
    network, given = as_trained(Skipping()), list(pictures(4))
    model = exported(network)
    written = quantize(model, calibrate(model, map(by_name, given)), scheme)
    expected, full = as_written(written), as_written(model)
    made = fake_quantized(network, ranges_of(network, given, 2), scheme, 2)
    scores = []
    head = next(m for m in made.modules() if getattr(m, "conv", 0) is network.head)
    head.register_forward_hook(lambda *seen: scores.append(seen[-1].numpy()))
    for tensors in given:
        with torch.no_grad():
            made(*tensors)
        off = np.abs(scores[-1] - expected(tensors))
        rounding = np.abs(full(tensors) - expected(tensors))
        assert np.quantile(off, 0.9) < 1e-5  # the rest fell to the other side
        assert off.mean() < 0.1 * rounding.mean()


@pytest.mark.parametrize("scheme", [CPU, TENSORRT], ids=["cpu", "tensorrt"])
def test_scales_and_zero_points_are_the_exported_graphs(scheme):
    network = small()
    model, given = exported(network), list(pictures(2))
    written = quantize(model, calibrate(model, map(by_name, given)), scheme)
    stored = {i.name: numpy_helper.to_array(i) for i in written.graph.initializer}
    expected = sorted(
        (float(stored[n.input[1]]), int(stored[n.input[2]]))
        for n in written.graph.node
        if n.op_type == "QuantizeLinear"
    )
    made = fake_quantized(network, ranges_of(network, given, 2), scheme, 2)
    pairs = [m for m in made.modules() if isinstance(m, FakeQuantize)]
    got = sorted((m.scale, m.zero) for m in pairs)
    assert len(got) == len(expected) > 50
    np.testing.assert_allclose(
        [scale for scale, _ in got], [scale for scale, _ in expected], rtol=1e-4
    )
    assert sum(zero for _, zero in got) == pytest.approx(
        sum(zero for _, zero in expected), abs=2
    )
    limits = (0, 255) if scheme is CPU else (-128, 127)
    assert {(m.least, m.most) for m in pairs} == {limits}


def test_the_gradient_passes_straight_through_inside_the_range_and_not_outside():
    x = torch.tensor([-1.01, -0.5, 0.26, 0.99, 1.51, 7.0], requires_grad=True)
    rounded = FakeQuantize(0.5, 2, 0, 5)(x)  # holds -1 to 1.5
    weights = torch.tensor([1.0, 2, 3, 4, 5, 6])
    (rounded * weights).sum().backward()
    assert rounded.tolist() == [-1, -0.5, 0.5, 1, 1.5, 1.5]
    # Up to half a step beyond the ends is rounded to them, as any value is.
    assert x.grad.tolist() == [1, 2, 3, 4, 5, 0]


def test_every_weight_but_those_that_make_the_scores_is_rounded_and_gets_a_gradient():
    network = small()
    given = list(pictures(2))
    made = fake_quantized(network, ranges_of(network, given, 2), CPU, 2)
    layers = [m for m in made.modules() if isinstance(m, FoldedConv)]
    assert [m.whole for m in layers] == [m.conv is not network.head for m in layers]
    made(*given[0]).square().sum().backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_folding_without_rounding_changes_nothing():
    network = small()
    (tensors,) = pictures(1)
    with torch.no_grad():
        got, expected = traced_graph(network, 2)(*tensors), network(*tensors)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)


def test_the_network_itself_stays_as_it_was():
    network = small()
    before = copy.deepcopy(network.state_dict())
    (tensors,) = pictures(1)
    made = fake_quantized(network, ranges_of(network, [tensors], 2), TENSORRT, 2)
    made(*tensors)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(isinstance(m, FakeQuantize | FoldedConv) for m in network.modules())
    shared = {id(p) for p in network.parameters()}
    assert {id(p) for p in made.parameters()} == shared


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        (nn.GELU(), "GELU"),
        (nn.BatchNorm2d(4, affine=False), "BatchNorm2d"),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), "Conv2d"),
        (Doubled(), "mul"),
    ],
)
def test_a_layer_without_a_rule_is_named(layer, named):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), layer)
    with pytest.raises(ExportError, match=f"got .*{named}"):
        fake_quantized(network, Ranges("minmax", 1, "", {}), CPU, 1)


@pytest.fixture(scope="module")
def planted():
    """A network that 8 bits hurt, and rooms: one channel of the first is far louder."""
    rgbd = REFERENCE["rgbd"]
    model = replace(rgbd, words=words_of(("rgb", "depth"), SIZE))
    torch.manual_seed(0)
    network = as_trained(Skipping(classes=10))
    with torch.no_grad():
        network.mix[1].weight[3] *= LOUD
        network.mix[1].bias[3] *= LOUD
        network.head.weight[:, 3] /= LOUD
        network.head.weight.mul_(4)
    return model, network, RenderedFrames(*render_many(range(16), *SIZE))


def tune(model, network, rooms, settings, folder):
    """A copy of the network, fine-tuned, and the record of it."""
    learned = model.inputs, model.classes, model.ignore
    task = Rooms(*learned, rooms, rooms, size=settings["batch"])
    return qat.fine_tune(model, copy.deepcopy(network), task, settings, folder)


@pytest.fixture
def for_a_cpu(monkeypatch):
    """Tuned for one scheme alone, by a teacher who never learned the true labels."""
    monkeypatch.setattr(qat, "_SCHEMES", {"int8-cpu": CPU})
    monkeypatch.setattr(qat, "TRUTH", 0.0)


@pytest.mark.usefixtures("for_a_cpu")
def test_twenty_steps_bring_the_labels_of_int8_nearer_to_those_of_float(
    planted, tmp_path
):
    model, network, rooms = planted
    tuned, record = tune(*planted, SETTINGS, tmp_path)
    assert record["curve"][-1][0] == 20
    assert list(tuned.state_dict()) == list(network.state_dict())
    found = qat.measure(model, network, tuned, rooms, rooms)
    before, after = (found[f"{when} int8-cpu"] for when in ("before", "after"))
    assert before["agreement"] < 0.3
    assert after["agreement"] > before["agreement"] + 0.2
    low, high = after["miou_ratio_interval"]
    assert low < after["miou_ratio"] < high


def test_a_stopped_run_goes_on_to_the_same_weights(planted, tmp_path, monkeypatch):
    settings = SETTINGS | {"steps": 5, "batch": 1}

    def run(folder):
        return tune(*planted, settings, tmp_path / folder)[0].state_dict()

    whole = run("whole")
    monkeypatch.setattr(fit, "SAVE_EVERY_S", 0.0)
    drawn = []

    def stop_at_the_fourth(*args, **kwargs):
        drawn.append(None)
        if len(drawn) == 4:
            raise KeyboardInterrupt
        return random_batch(*args, **kwargs)

    monkeypatch.setattr(rooms_task, "random_batch", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run("stopped")
    resumed = run("stopped")
    assert len(drawn) == 4 + 2  # each goes on with its own scheme
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, msg=name)


@pytest.mark.parametrize(
    "words", [["rgbd", "--qat"], ["frames", "--qat", "--checkpoint", "x"]]
)
def test_fine_tuning_needs_a_model_and_its_checkpoint(words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["training", *words])
    with pytest.raises(SystemExit):
        main()
    assert "--qat and --checkpoint must be given together" in capsys.readouterr().err
