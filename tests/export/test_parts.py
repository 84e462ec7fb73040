"""Networks of named parts: exported by one command, with a stand-in for a sensor."""

from __future__ import annotations

import importlib.machinery
import json
import re
import sys
from pathlib import Path

import doubles
import doubles.tensorrt
import late_fusion
import numpy as np
import pytest
import torch
from late_fusion import INPUTS, SIZE
from runtime.gpu.graph_backends import backends_of
from torch import nn
from typer.testing import CliRunner

import fuseg
from fuseg.backends import installed
from fuseg.backends.program_gpu import GpuProgramBackend
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.cuda import open_device
from fuseg.dataset.images import write_png
from fuseg_export import Part, Parts, graphs
from fuseg_export.frames import selection
from fuseg_export.network.target import NetworkOptions, resolve
from fuseg_export.pipeline import export_bundle
from fuseg_export.precision import latency
from fuseg_export.precision.options import Budget, Precision
from fuseg_export.reference import preprocess


@pytest.fixture
def net(tmp_path, monkeypatch, quick):
    """The whole network; its checkpoint is in the working directory."""
    del quick
    monkeypatch.chdir(tmp_path)
    network = late_fusion.weighted()
    torch.save(network.state_dict(), tmp_path / "late.pth")
    return network


@pytest.fixture
def on_gpu(monkeypatch):
    """``on_gpu(variant)``: the bundle on TensorRT's double, an engine a graph."""
    machine = doubles.install(monkeypatch, doubles.Machine(memory_bytes=1 << 30))
    trt = doubles.tensorrt.make(machine, "10.3.0")
    trt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)

    def load(variant="fp32"):
        opened, device = Bundle.open("late.fuseg"), open_device()
        made = backends_of(opened, "tensorrt", device, variant)
        return fuseg.load(opened, backend=GpuProgramBackend(opened.manifest, made))

    return load


def export(*words, target="late_fusion:late"):
    given = ["export", target, "--checkpoint", "late.pth", "-o", "late.fuseg"]
    for word in INPUTS:
        given += ["--input", word]
    return CliRunner().invoke(app, [*given, *words], catch_exceptions=False)


OF_THE_SIBLING = ("labels-by-decoder-without-depth",)


def labels_of(network, inputs, frames):
    """What torch makes of frames, and where its best two scores are not a tie; of
    colour alone what the stand-in does."""
    frames = {name: frame.array for name, frame in frames.items()}
    inputs = [entry for entry in inputs if entry.name in frames]
    tensors = {
        name: torch.from_numpy(tensor.astype(np.float32))
        for name, tensor in preprocess(inputs, frames).items()
    }
    with torch.inference_mode():
        if "depth" in frames:
            scores = network(**tensors)[0]
        else:
            scores = network.without_depth(*network.color(tensors["rgb"]))[0]
    best = scores.topk(2, dim=0).values
    return scores.argmax(0).numpy(), (best[0] - best[1]).numpy() > 1e-4


def stream():
    """Twelve frames of both cameras, three of them without depth."""
    rng = np.random.default_rng(4)
    for number in range(12):
        rgb = rng.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
        given = {"rgb": fuseg.Frame(rgb, 33 * number * 10**6)}
        if number not in (5, 6, 7):
            plane = rng.integers(400, 6000, SIZE).astype(np.uint16)
            given["depth"] = fuseg.Frame(plane, 33 * number * 10**6)
        yield given


def follow(network, segmenter):
    """The stream by torch and by the bundle: the share of equal labels of each frame;
    depth is said to be absent in exactly the frames without it."""
    for given in stream():
        result = segmenter(**given)
        gone = "depth" not in given
        assert result.degraded == gone
        assert result.sources["depth"].state == ("absent" if gone else "fresh")
        assert gone == ("depth: absent (no frame" in str(result.reason))
        wanted, known = labels_of(network, segmenter.manifest.inputs, given)
        assert known.mean() > 0.99
        assert len(np.unique(wanted)) > 2
        yield float(np.mean(result.labels[known] == wanted[known]))


def test_one_command_makes_a_bundle_whose_sibling_labels_while_depth_is_gone(
    net, on_gpu
):
    done = export("--json")
    assert done.exit_code == 0, done.output
    stages = {
        (stage["stage"], stage["output"])
        for stage in json.loads(done.stdout)["stages"]
        if stage["label_agreement"] == 1
    }
    outputs = ("labels", *OF_THE_SIBLING)
    assert {(s, o) for s in ("onnx", "cut", "runtime") for o in outputs} <= stages
    for backend in installed():
        segmenter = fuseg.load("late.fuseg", backend=backend)
        assert set(follow(net, segmenter)) == {1.0}, backend
    assert set(follow(net, on_gpu())) == {1.0}

    manifest = segmenter.manifest
    assert [(g.name, g.reads, g.writes, g.stands_in_for) for g in manifest.graphs] == [
        ("color-encoder", ("rgb",), ("rgb0", "rgb1"), None),
        ("depth-encoder", ("depth",), ("depth0", "depth1"), None),
        ("decoder", ("rgb0", "rgb1", "depth0", "depth1"), ("scores",), None),
        ("decoder-without-depth", ("rgb0", "rgb1"), ("scores",), "decoder"),
    ]
    assert [i.missing.policy for i in manifest.inputs] == ["refuse", "sibling"]
    assert manifest.outputs[0].tail.removed == ("Resize",)
    assert {v.output for v in manifest.full.verification} == {*outputs}


WANTED = Precision(("fp32", "fp16", "int8"), budget=Budget(agreement=0.9))


def test_every_graph_is_in_every_variant_and_the_sibling_is_judged_by_itself(
    net, on_gpu, monkeypatch
):
    monkeypatch.setattr(selection, "_CALIBRATION_ROOMS", range(1000, 1003))
    monkeypatch.setattr(selection, "_HELD_OUT_ROOMS", range(16, 19))
    timed = []

    def median_ms(networks, _):
        timed.extend(v.name for model in networks for v in model.graph.output)
        return [{"onnxruntime": 1.0} for _ in networks]

    monkeypatch.setattr(latency, "median_ms", median_ms)
    options = NetworkOptions("late_fusion:late", Path("late.pth"), INPUTS)
    report = export_bundle(
        options, Path("late.fuseg"), precision=WANTED, check_tensorrt=False
    )
    assert set(timed) == {"scores"}, "the stand-in never runs beside its part"
    names = ["fp32", "fp16", "int8-cpu", "int8-trt", "int8-trt8"]
    for graph in report.manifest.graphs:
        assert sorted(graph.networks) == sorted(names)
    for variant in report.variants:
        if variant.name == "fp32":
            continue
        own = variant.comparisons[OF_THE_SIBLING[0]]
        assert own != variant.comparisons["labels"]
        assert 0 < own.max_abs_logit_diff < 1
    cpu = fuseg.load("late.fuseg", backend="onnxruntime", variant="int8-cpu")
    for segmenter in (cpu, on_gpu("fp16"), on_gpu("int8-trt")):
        assert min(follow(net, segmenter)) > 0.9
    for variant in report.manifest.variants:
        outputs = {v.output for v in variant.verification}
        assert outputs == {"labels", *OF_THE_SIBLING}


def test_the_sibling_has_a_score_of_its_own(net):
    inputs = resolve(NetworkOptions("late_fusion:late", inputs=INPUTS)).inputs
    truth, without_depth = [], []
    for number, given in enumerate(g for g in stream() if "depth" in g):
        truth.append(labels_of(net, inputs, given)[0].astype(np.uint8))
        for name, array in {
            **{name: frame.array for name, frame in given.items()},
            "truth": truth[-1],
        }.items():
            write_png(Path(name, f"{number:02}.png"), array)
        without_depth.append(labels_of(net, inputs, {"rgb": given["rgb"]})[0])
    done = export(
        *("--frames", "rgb=rgb", "--frames", "depth=depth", "--truth", "truth"),
        *("--calibration", "rgb=rgb", "--calibration", "depth=depth"),
        *("--precision", "fp16", "--json", "--report", "page.html"),
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    wanted = mean_iou(np.stack(truth[:2]), np.stack(without_depth[:2]))
    assert 0 < wanted < 0.9
    for stage in report["stages"]:
        own = "by" in stage["output"]
        assert stage["miou"] == pytest.approx(wanted if own else 1, abs=1e-3)

    verified = Bundle.open("late.fuseg").manifest.variants[1].verification
    wanted = mean_iou(np.stack(truth), np.stack(without_depth))
    assert [v.output for v in verified] == ["labels", *OF_THE_SIBLING]
    assert verified[1].miou == pytest.approx(wanted, abs=0.01)
    page = Path("page.html").read_text()
    assert re.search(rf"{OF_THE_SIBLING[0]} agrees .*, mIoU 0\.\d+ \(", page)


def mean_iou(truth, labels):
    known = [(truth == c, labels == c) for c in np.unique([truth, labels])]
    return np.mean([(t & own).sum() / (t | own).sum() for t, own in known])


class Both(late_fusion.Late):
    """Gives its features, too."""

    def forward(self, rgb, depth):
        return {"out": super().forward(rgb, depth), "features": self.color(rgb)[0]}


def test_what_crosses_may_be_an_output_whatever_order_the_nodes_are_in(
    net, monkeypatch
):
    def turned(model, _):
        """As a simplifier may give it: the nodes of the last part first."""
        nodes = sorted(
            model.graph.node, key=lambda n: n.name.split("/")[1], reverse=True
        )
        assert [n.name for n in nodes] != [n.name for n in model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
        return model, None

    def both():
        return late_fusion.late(Both())

    monkeypatch.setattr(graphs, "simplify", turned)
    monkeypatch.setattr(late_fusion, "both", both, raising=False)
    words = ["--output", "labels=segmentation:out"]
    words += ["--output", "features=tensor:features"]
    done = export(*words, target="late_fusion:both")
    assert done.exit_code == 0, done.output
    segmenter = fuseg.load("late.fuseg")
    assert segmenter.manifest.graphs[0].writes == ("rgb0", "rgb1", "rgb0_")
    for given in stream():
        tensors = segmenter.preprocess(**given)
        with torch.inference_mode():
            wanted = net.color(torch.from_numpy(tensors["rgb"]))[0].numpy()
        np.testing.assert_allclose(segmenter(**given)["features"], wanted, atol=1e-5)


class ColorAlone(nn.Module):
    """The stand-in, from the sensor's tensor to scores."""

    def __init__(self, net):
        super().__init__()
        self.net = nn.ModuleList([net.color, net.without_depth])

    def forward(self, rgb):
        color, head = self.net
        return head(*color(rgb))


def test_a_part_of_two_sensors_is_split_and_its_stand_in_stays(net, monkeypatch):
    def whole():
        net = late_fusion.Late()
        parts = {
            "net": Part(net, ["rgb", "depth"], ["scores"]),
            "rgb-alone": Part(ColorAlone(net), ["rgb"], ["scores"], "net"),
        }
        return Parts(net, parts)

    monkeypatch.setattr(late_fusion, "whole", whole, raising=False)
    done = export("--split", "depth", target="late_fusion:whole")
    assert done.exit_code == 0, done.output
    segmenter = fuseg.load("late.fuseg")
    graphs = [(g.name, g.reads, g.stands_in_for) for g in segmenter.manifest.graphs]
    (encoder, (name, reads, _), alone) = graphs
    assert (encoder, name) == (("depth-encoder", ("depth",), None), "net")
    assert reads == ("rgb", *segmenter.manifest.graphs[0].writes)
    assert alone == ("rgb-alone", ("rgb",), "net")
    assert set(follow(net, segmenter)) == {1.0}

    done = export("--split", "depth")
    assert done.exit_code != 0
    assert "--split depth must leave 5% of the network's multiply-adds" in done.output
