"""Graphs apart from their weights are the same graphs, and an export copies less."""

from __future__ import annotations

import gc
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from fuseg_export import ort_session
from fuseg_export.ort_session import run_once
from fuseg_export.passes.rewrite import read, rewrite
from fuseg_export.weights_apart import (
    StoredGraphs,
    read_together,
    without_weights,
    write_apart,
)

GIVEN = {"x": np.random.default_rng(0).standard_normal((2, 200)).astype(np.float32)}


@pytest.fixture
def model():
    """A product with a tensor of 160 kB, whose shape a small one changes."""
    made = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17], producer_name: "fuseg">
        g (float[2,200] x) => (float[5,80] z) {
            y = MatMul(x, w)
            z = Reshape(y, shape)
        }"""
    )
    weights = np.random.default_rng(1).standard_normal((200, 200)).astype(np.float32)
    made.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    made.graph.initializer.append(numpy_helper.from_array(np.array([5, 80]), "shape"))
    made.graph.node[0].name, made.graph.node[1].name = "product", "reshape"
    return made


def as_bytes(model):
    return model.SerializeToString(deterministic=True)


def test_a_graph_written_apart_is_read_as_it_was(model, tmp_path):
    path = write_apart(model, tmp_path)
    assert path.stat().st_size < 1000
    assert as_bytes(read_together(path)) == as_bytes(model)


def test_without_weights_shapes_are_inferred_as_with_them(model):
    light = without_weights(model)
    assert light.ByteSize() < 1000
    assert [v.name for v in light.graph.input] == ["x"]
    shapes = [node.outputs[0].shape for node in read(model).graph]
    assert [tuple(shape) for shape in shapes] == [(2, 200), (5, 80)]
    stored = rewrite(model).graph.initializer
    assert [(t.name, t.raw_data) for t in stored] == [
        (t.name, t.raw_data) for t in model.graph.initializer
    ]


def test_a_large_graph_is_opened_without_its_bytes(model, monkeypatch):
    wanted, given = run_once(model, GIVEN), []
    make = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda what, *rest, **more: given.append(what) or make(what, *rest, **more),
    )
    monkeypatch.setattr(ort_session, "_LARGE", 0)
    np.testing.assert_array_equal(run_once(model, GIVEN), wanted)
    assert not isinstance(given[0], bytes)


def test_stored_graphs_are_read_anew_and_leave_nothing_behind(model):
    stored = StoredGraphs({"onnx": model, "cut": model})
    assert list(stored) == ["onnx", "cut"]
    assert as_bytes(stored["cut"]) == as_bytes(model)
    assert stored.light("cut").ByteSize() < 1000
    folder = stored.folder("cut")
    assert folder.is_dir()
    del stored
    gc.collect()
    assert not folder.parent.exists()


MEASURED = """
import resource, sys
from pathlib import Path
import torch
from torch import nn
from torch.nn import functional as F

class Large(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(4, 1024, 4, 4)
        self.wide = nn.ModuleList(nn.Conv2d(1024, 1024, 3, 1, 1) for _ in range(4))
        self.head = nn.Conv2d(1024, 5, 1)
    def forward(self, rgb, depth):
        x = self.enter(torch.cat([rgb, depth], 1))
        for layer in self.wide:
            x = x + layer(x).relu()
        return F.interpolate(self.head(x), rgb.shape[-2:], mode="bilinear")

if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.save(Large().state_dict(), "large.pth")
    from fuseg_export.frames import frame_set
    from fuseg_export.network.target import NetworkOptions
    from fuseg_export.pipeline import export_bundle
    frame_set.STAGE_FRAMES = 2
    sys.modules["large"] = sys.modules["__main__"]
    inputs = ["rgb=color:32x48", "depth=depth:32x48"]
    # The peak so far; of a child it would be the parent's, see getrusage(2).
    Path("/proc/self/clear_refs").write_text("5")
    def peak():
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(l for l in lines if l.startswith("VmHWM")).split()[1]) * 1024
    before = peak()
    options = NetworkOptions("large:Large", Path("large.pth"), inputs=inputs)
    report = export_bundle(options, Path("large.fuseg"), check_tensorrt=False)
    print((peak() - before) / Path("large.pth").stat().st_size)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_an_export_is_a_few_times_its_network(tmp_path):
    """Of the float32 network, in bytes of its file; 151 MB. It was 17 times."""
    (tmp_path / "large.py").write_text(MEASURED)
    done = subprocess.run(
        [sys.executable, "large.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 3 < float(done.stdout) < 8
