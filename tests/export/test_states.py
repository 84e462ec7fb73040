"""Networks that hand a state on: along sequences, with every variant's own state."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import fuseg
from fuseg.backends import installed
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.errors import ArgumentError
from fuseg.manifest import State, TensorOutput
from fuseg_export.frames.packing import PackedFrame
from fuseg_export.frames.selection import FrameOptions
from fuseg_export.network.state_options import make_states
from fuseg_export.network.target import NetworkOptions
from fuseg_export.outputs.comparison import Comparison
from fuseg_export.outputs.tensor import Passed
from fuseg_export.pipeline import export_bundle
from fuseg_export.precision import build_variants, evaluate, make_variants
from fuseg_export.precision.mixed_precision_search import MixedPrecision
from fuseg_export.precision.options import Budget, Precision
from fuseg_export.recurrent import Recurrent, along_sequences, sequence_length
from fuseg_export.reference import preprocess

MODULE = '''
import torch
from torch import nn
from torch.nn import functional as F

class Gru(nn.Module):
    """A convolutional GRU, whose memory makes labels together with the picture."""
    def __init__(self):
        super().__init__()
        self.enter = nn.Conv2d(3, 8, 3, 4, 1)
        self.gates, self.new = nn.Conv2d(16, 16, 3, 1, 1), nn.Conv2d(16, 8, 3, 1, 1)
        self.head = nn.Conv2d(8, 4, 1)
    def forward(self, rgb, memory):
        x = self.enter(rgb).relu()
        update, keep = self.gates(torch.cat([x, memory], 1)).sigmoid().chunk(2, 1)
        new = self.new(torch.cat([x, keep * memory], 1)).tanh()
        memory = (1 - update) * memory + update * new
        scores = self.head(memory)
        return F.interpolate(scores, rgb.shape[2:], mode="bilinear"), memory

class Sum(nn.Module):
    """A slow sum, which None starts: after some frames it alone makes the labels."""
    def __init__(self):
        super().__init__()
        self.enter, self.mix = nn.Conv2d(3, 8, 3, 4, 1), nn.Conv2d(8, 8, 1)
        self.head = nn.Conv2d(8, 4, 1)
    def forward(self, rgb, memory):
        x = self.enter(rgb).relu()
        if memory is None:
            memory = torch.zeros_like(x)
        memory = 0.9 * memory + x
        scores = self.head(self.mix(memory).relu())
        return {"out": F.interpolate(scores, rgb.shape[2:]), "next": memory}
'''
SIZE = (48, 64)
SHAPE = (8, 12, 16)


@pytest.fixture
def folder(tmp_path, monkeypatch, quick):
    """A user's folder: the networks, their weights and 24 frames in a row."""
    del quick
    (tmp_path / "video.py").write_text(MODULE)
    scope = {}
    exec(MODULE, scope)  # noqa: S102 - our own words, above
    for name in ("Gru", "Sum"):
        torch.manual_seed(8)
        network = scope[name]().eval()
        with torch.no_grad():
            network.head.weight -= network.head.weight.mean(1, keepdim=True)
            network.head.weight *= 8
        torch.save(network.state_dict(), tmp_path / f"{name}.pth")
    (tmp_path / "rgb").mkdir()
    for number, frame in enumerate(video(24)):
        np.save(tmp_path / "rgb" / f"{number:03}.npy", frame)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("video", None)


def video(count):
    """A picture that moves, and changes its brightness slowly."""
    rng = np.random.default_rng(1)
    picture = np.kron(rng.integers(30, 225, (12, 16, 3)), np.ones((8, 8, 1)))
    for number in range(count):
        moved = np.roll(picture, (2 * number, -number), (0, 1))[: SIZE[0], : SIZE[1]]
        noise = rng.normal(0, 6, moved.shape)
        yield (moved + noise + 20 * np.sin(number / 9)).clip(0, 255).astype(np.uint8)


def build(name):
    scope = {}
    exec(MODULE, scope)  # noqa: S102 - our own words, above
    network = scope[name]().eval()
    network.load_state_dict(torch.load(f"{name}.pth"))
    return network


def export(name, states=("memory=1:8x12x16",), **more):
    options = NetworkOptions(
        f"video:{name}",
        Path(f"{name}.pth"),
        inputs=("rgb=color:48x64",),
        states=states,
        spec=more.pop("spec", None),
    )
    frames = FrameOptions({"rgb": "rgb"})
    out = Path(f"{name}.fuseg")
    return export_bundle(options, out, frames=frames, check_tensorrt=False, **more)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("backend", installed())
def test_a_state_survives_a_hundred_frames_clones_and_a_reset(backend):
    report = export("Gru")
    manifest = report.manifest
    (state,) = manifest.states
    assert (state.tensor, state.next, state.steps_with) == (
        "memory",
        "memory.next",
        "rgb",
    )
    (graph,) = manifest.graphs
    assert (graph.reads, graph.writes) == (("rgb", "memory"), ("logits", "memory.next"))
    assert "in the order of their names are one sequence of 24" in str(report.notes)
    compared = {(s.result.stage, s.result.output) for s in report.stages}
    assert {("cut", "memory.next"), ("runtime", "labels")} <= compared
    assert {s.result.frames for s in report.stages} == {20}

    network, segmenter = build("Gru"), fuseg.load(report.bundle, backend=backend)
    memory, twin = torch.zeros(1, *SHAPE), None
    frames = list(video(100))
    for number, frame in enumerate(frames):
        if number == 60:
            twin, twin_memory = segmenter.clone(), torch.zeros(1, *SHAPE)
        if number == 80:
            segmenter.reset()
            memory = torch.zeros(1, *SHAPE)
        memory = follow(network, segmenter, frame, memory)
        if twin is not None:
            twin_memory = follow(network, twin, frame, twin_memory)
    assert segmenter.bundle.samples()[1][1]["labels"].shape == SIZE


def follow(network, segmenter, frame, memory):
    """One frame by torch and by fuseg, compared; torch's next state."""
    labels = segmenter(rgb=frame).labels
    tensors = preprocess(segmenter.manifest.inputs, {"rgb": frame})
    with torch.inference_mode():
        scores, memory = network(
            torch.from_numpy(tensors["rgb"].astype(np.float32)), memory
        )
    two = scores[0].topk(2, dim=0).values
    known = (two[0] - two[1]).numpy() > 1e-4  # at a tie either label is right
    assert known.mean() > 0.99
    np.testing.assert_array_equal(labels[known], scores[0].argmax(0).numpy()[known])
    found = segmenter.backend.outputs.get("memory.next")
    if found is not None:
        np.testing.assert_allclose(found, memory.numpy(), atol=1e-4)
    return memory


def without_search(*_, **__):
    """A search that finds INT8 good enough, whatever it is."""
    return MixedPrecision((), {}, *[Comparison(1, 1.0, 0.0)] * 2)


def from_the_start(frames, length, fp32):
    """The wrong calibration: each frame by itself, with the state's first value."""
    del length
    for tensors in frames:
        fp32.restart()
        yield {**tensors, **fp32.now}


WANTED = Precision(("fp32", "int8"), budget=Budget(agreement=0.9))


@pytest.mark.usefixtures("folder")
def test_int8_is_calibrated_along_sequences_and_judged_with_its_own_state(monkeypatch):
    monkeypatch.setattr(build_variants, "search", without_search)
    report = export("Sum", ["memory=next"], precision=WANTED)
    notes = str(report.notes)
    assert (
        "calibrated along 2 sequences of up to 20 frames, evaluated along one" in notes
    )
    (int8,) = (v for v in report.variants if v.name == "int8-cpu")
    assert int8.comparison.agreement > 0.95

    monkeypatch.setattr(make_variants, "along_sequences", from_the_start)
    report = export("Sum", ["memory=next"], precision=WANTED)
    assert "int8-cpu is left out: " in str(report.left_out)
    assert "of the labels agree with fp32's" in str(report.left_out)


@pytest.mark.usefixtures("folder")
def test_frame_by_frame_the_wrong_calibration_would_look_right(monkeypatch):
    """Which is why variants are evaluated along a sequence."""
    monkeypatch.setattr(build_variants, "search", without_search)
    monkeypatch.setattr(make_variants, "along_sequences", from_the_start)

    class Forgetful(Recurrent):
        def __call__(self, tensors):
            self.restart()
            return super().__call__(tensors)

    monkeypatch.setattr(evaluate, "Recurrent", Forgetful)
    report = export("Sum", ["memory=next"], precision=WANTED)
    (int8,) = (v for v in report.variants if v.name == "int8-cpu")
    assert int8.comparison.agreement > 0.95


@pytest.mark.usefixtures("folder")
def test_the_spec_file_says_all_of_a_state():
    said = {"tensor": "memory", "output": "next", "steps_with": "rgb", "initial": 0.5}
    said |= {"max_gap_ms": 500, "when_skipped": "hold", "shape": [*SHAPE]}
    Path("spec.json").write_text(json.dumps({"states": [said]}))
    report = export("Sum", (), spec=Path("spec.json"))
    (state,) = Bundle.open(report.bundle).manifest.states
    assert (state.initial, state.max_gap_ms, state.when_skipped) == (0.5, 500, "hold")


def test_sequences_start_anew_and_carry_what_the_float_network_has():
    function = Recurrent(
        lambda t: {"n": t["s"] + t["x"]},
        [STATE],
        {"s": (1,)},
        lambda array: array,
    )
    frames = [{"x": np.float32([n])} for n in range(5)]
    seen = [float(t["s"][0]) for t in along_sequences(frames, 3, function)]
    assert seen == [0, 0, 1, 0, 3]
    assert [sequence_length(n) for n in (1, 20, 60, 61, 200)] == [20, 20, 20, 21, 67]


def test_every_evaluation_starts_at_the_state_s_beginning():
    """The search evaluates one float network again and again."""
    record = TensorOutput("out", "n")
    function = Recurrent(
        lambda t: {"n": t["s"] + t["x"]}, [STATE], {"s": (1,)}, lambda array: array
    )
    frames = [PackedFrame({"x": np.float32([1])})] * 3
    apart = []
    for _ in range(2):
        found = evaluate.evaluate(
            frames,
            function,
            {"": lambda _: {"n": np.float32([0])}},
            {"": Passed(record)},
        )
        apart.append(found[""].comparisons[""].max_abs_logit_diff)
    assert apart == [3, 3]


STATE = State(tensor="s", next="n", initial=0.0, steps_with="x")

WORDS = [
    (
        ["memory"],
        "--state must be NAME=PATH or NAME=PATH:CxHxW, as in memory=1:16x30x40",
    ),
    (["rgb=1:8x12x16"], "--state must have a name that no other tensor has, got rgb"),
    (["memory=1"], "--state memory=PATH:CxHxW must say the state's shape, as forward"),
    (
        ["memory=1:8x12x17"],
        "the network's forward failed on rgb (1, 3, 48, 64), memory",
    ),
    (
        ["memory=2:8x12x16"],
        "the output of state memory must be one of what the network",
    ),
    (["memory=0:8x12x16"], "state memory must keep its shape (1, 8, 12, 16), but forw"),
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("words", "sentence"), WORDS)
def test_a_state_that_is_none_is_one_sentence(words, sentence):
    given = ["export", "video:Gru", "--checkpoint", "Gru.pth", "-o", "b.fuseg"]
    given += ["--input", "rgb=color:48x64"]
    for word in words:
        given += ["--state", word]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 2
    (line,) = [s for s in done.stderr.splitlines() if s.startswith("error: ")]
    assert sentence in line


SPECS = [
    ({"tensor": "s"}, "state s: output must say where forward returns its next value"),
    (
        {"tensor": 1, "output": 0},
        "a state's tensor must have a name like a Python name",
    ),
    (
        {"tensor": "s", "output": 0, "next": "t"},
        "state s: next must be absent: it is s",
    ),
    (
        {"tensor": "s", "output": 0, "shape": "8"},
        "state s: shape must be a list of size",
    ),
    (
        {"tensor": "s", "output": 0, "steps_with": "y"},
        "must be one of the inputs' tensor",
    ),
    (
        {"tensor": "s", "output": 0, "when_skipped": "x"},
        "state s: when_skipped must be o",
    ),
    (
        {"tensor": "s", "output": 0, "speed": 1},
        "state s: speed is not a key of the form",
    ),
    ("s=0", "states must be a list of objects, got 's=0'"),
]


@pytest.mark.parametrize(("said", "sentence"), SPECS)
def test_a_spec_s_state_that_is_none(said, sentence):
    with pytest.raises(ArgumentError, match=re.escape(sentence)):
        make_states([], [said], ["x"], ["x"])


def test_states_are_said_in_one_place():
    with pytest.raises(ArgumentError, match="--state must be absent where the spec"):
        make_states(["s=0"], [{"tensor": "t", "output": 1}], ["x"], ["x"])


@pytest.mark.usefixtures("folder")
def test_few_frames_are_too_few_for_a_state():
    for number in range(3, 24):
        Path("rgb", f"{number:03}.npy").unlink()
    report = export("Gru")
    assert any("--frames: 3 in a row show little of wh" in s for s in report.warnings)
