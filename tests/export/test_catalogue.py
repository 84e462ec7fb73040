"""Every reference model is exported, with random weights, and labels like torch."""

from __future__ import annotations

import copy

import onnx
import pytest
import torch
from safetensors.torch import save_file

from fuseg.bundle import Bundle
from fuseg_export.frames import frame_set
from fuseg_export.models import REFERENCE
from fuseg_export.models.cost import cost_of
from fuseg_export.network.target import NetworkOptions
from fuseg_export.passes import simplify
from fuseg_export.passes.rewrite import read
from fuseg_export.passes.split import multiply_adds
from fuseg_export.pipeline import export_bundle

# Padded by an operator, or behind an unrolled decoder: only onnxsim computes the sizes.
UNSIZED = ("efficientnet", "caption")
ONE_SIDED = ("sound",)  # scores above 0 and below 1 look like probabilities
FULL_SIZE = ("rgbd", "rgb", "depth")  # test_demo and test_pipeline export these


def in_each_run(name):
    """Of the operators each at one position, one of them at every position."""
    operator, _, position = name.rpartition("-")
    return position not in ("early", "late") or operator == "gated"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if in_each_run(n) else pytest.mark.slow)
        for n in REFERENCE
        if n not in FULL_SIZE
    ],
)
def test_it_becomes_a_bundle_that_labels_like_torch(name, tmp_path, monkeypatch):
    """With two frame sets, and mostly without onnxsim, whose process takes longer than
    all else."""
    monkeypatch.setattr(frame_set, "STAGE_FRAMES", 2)
    if name not in UNSIZED:
        monkeypatch.setattr(simplify, "_in_child", copy.deepcopy)
    torch.manual_seed(2 if name in ONE_SIDED else 0)
    network = REFERENCE[name].network()
    if name in ONE_SIDED:
        with torch.no_grad():
            for value in network.parameters():
                value += 0.5 * torch.randn_like(value) * (value.ndim == 1)
    weights = network.state_dict()
    checkpoint, out = tmp_path / "weights.safetensors", tmp_path / "out.fuseg"
    save_file({k: v.contiguous() for k, v in weights.items()}, checkpoint)
    report = export_bundle(NetworkOptions(name, checkpoint), out)
    assert (report.opset, report.exporter) == (17, "torchscript")
    # Two frames do not have everything in them.
    assert [w for w in report.warnings if "never occur in the truth" not in w] == []
    found = {entry.name for entry in report.manifest.inputs}
    assert found == set(REFERENCE[name].given.order)
    if len(report.manifest.graphs) == 1:  # parts may be counted twice, as stand-ins
        counted = cost_of(REFERENCE[name]).multiply_adds
        assert counted == pytest.approx(multiply_adds_of(out), rel=0.01)


def multiply_adds_of(out):
    """Those of the bundle's network, counted in its graph."""
    bundle = Bundle.open(out)
    graph = bundle.manifest.graphs[0]
    model = onnx.load_from_string(bundle.read(graph.networks["fp32"].file))
    return sum(map(multiply_adds, read(model).graph))
