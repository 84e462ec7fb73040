"""Which inputs a part may stand in without: the first camera, a microphone."""

from __future__ import annotations

from pathlib import Path

import late_fusion
import numpy as np
import pytest
import torch
from late_fusion import INPUTS, SIZE
from torch import nn
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg.dataset.images import write_png
from fuseg_export import Part, Parts


@pytest.fixture
def export(tmp_path, monkeypatch, quick):
    """``export(factory, whole, INPUT, INPUT, ...)``: the bundle, loaded."""
    del quick
    monkeypatch.chdir(tmp_path)

    def make(factory, whole, first, second, *words):
        torch.save(whole.state_dict(), "w.pth")
        given = ["export", f"late_fusion:{factory}", "--checkpoint", "w.pth"]
        given += ["-o", "b.fuseg", "--input", first, "--input", second]
        done = CliRunner().invoke(app, [*given, *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return fuseg.load("b.fuseg")

    return make


class Planes(late_fusion.Late):
    """A number for each pixel."""

    def forward(self, rgb, depth):
        return super().forward(rgb, depth)[:, :1]


class First(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, *features):
        return self.head(*features)[:, :1]


def test_without_its_first_camera_results_lie_over_that_one_s_frames(
    export, monkeypatch
):
    """Which have four times the other's pixels."""
    given = late_fusion.late(Planes())
    parts = {name: given.parts[name] for name in ("color-encoder", "depth-encoder")}
    head, alone = First(given.whole.head), First(given.whole.without_depth)
    parts["head"] = Part(head, [*late_fusion.C, *late_fusion.D], ["height"])
    parts["without-color"] = Part(alone, late_fusion.D, ["height"], "head")
    planes = Parts(given.whole, parts)
    monkeypatch.setattr(late_fusion, "planes", lambda: planes, raising=False)
    rng = np.random.default_rng(8)
    for number in range(2):
        rgb = rng.integers(0, 256, (96, 128, 3)).astype(np.uint8)
        write_png(Path("rgb", f"{number}.png"), rgb)
        depth = rng.integers(400, 6000, SIZE).astype(np.uint16)
        write_png(Path("depth", f"{number}.png"), depth)
    words = ["--frames", "rgb=rgb", "--frames", "depth=depth"]
    segmenter = export(
        *("planes", given.whole, *INPUTS), *words, "--output", "height=plane"
    )
    manifest = segmenter.manifest
    assert [i.missing.policy for i in manifest.inputs] == ["sibling", "refuse"]
    outputs = [v.output for v in manifest.full.verification if v.stage == "runtime"]
    assert outputs == ["height", "height-by-without-color"]


class Hears(nn.Module):
    """Scores of a picture, which a sound has a say in; and without that."""

    def __init__(self):
        super().__init__()
        self.sees, self.hears = nn.Conv2d(3, 5, 4, 4), nn.Linear(400, 5)

    def forward(self, rgb, sound):
        return self.joins(self.sees(rgb), self.hears(sound))

    def joins(self, seen, heard=None):
        heard = seen.mean((2, 3)) if heard is None else heard.reshape(1, 5)
        scores = seen + heard[:, :, None, None]
        return nn.functional.interpolate(scores, scale_factor=4, mode="bilinear")


class Joins(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, *given):
        return self.net.joins(*given)


def test_a_microphone_may_be_stood_in_for_too(export, monkeypatch):
    torch.manual_seed(1)
    net = Hears()
    parts = {
        "sees": Part(net.sees, ["rgb"], ["seen"]),
        "hears": Part(net.hears, ["sound"], ["heard"]),
        "joins": Part(Joins(net), ["seen", "heard"], ["scores"]),
        "deaf": Part(Joins(net), ["seen"], ["scores"], "joins"),
    }
    hears = Parts(net, parts)
    monkeypatch.setattr(late_fusion, "hears", lambda: hears, raising=False)
    segmenter = export("hears", net, "rgb=color:48x64", "sound=audio:400")
    policies = {i.name: i.missing.policy for i in segmenter.manifest.inputs}
    assert policies == {"rgb": "refuse", "sound": "sibling"}
    frames, _ = segmenter.bundle.samples()[0]
    assert segmenter(rgb=frames["rgb"]).sources["sound"].state == "absent"
    assert not segmenter(**frames).degraded
