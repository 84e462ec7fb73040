"""From a checkpoint to a bundle, as a user does it, and what happens if it fails."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import fuseg
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.errors import (
    ArgumentError,
    CheckpointError,
    ExportError,
    FrameError,
    OutputFileError,
)
from fuseg_export import pipeline, samples
from fuseg_export import simplify as simplify_room
from fuseg_export.cut_tail import cut_tail
from fuseg_export.definition import preprocess
from fuseg_export.pipeline import export_bundle

# Networks that fuseg has never seen, in a module of the user's.
FOREIGN = '''
import torch
from torch import nn
from torch.nn import functional as F

print("a chatty module")

def block(planes):
    return nn.Sequential(
        nn.Conv2d(planes, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 5, 1)
    )

class TwoInputs(nn.Module):
    """Two positional inputs; a dict with an auxiliary head."""
    def __init__(self):
        super().__init__()
        self.color, self.depth = block(3), block(1)
    def forward(self, color, depth):
        a, b = self.color(color), self.depth(depth)
        large = F.interpolate(a + b, color.shape[2:], mode="bilinear")
        return {"out": large, "aux": a}

class Stacked(nn.Module):
    """One input of four channels; labels."""
    def __init__(self):
        super().__init__()
        self.block = block(4)
    def forward(self, x):
        x = F.interpolate(self.block(x), scale_factor=4, mode="bilinear")
        return x.softmax(1).argmax(1)

class Mood(TwoInputs):
    def forward(self, color, depth):
        return super().forward(color, depth)["out"] + torch.rand(1)
'''
SIZE = (48, 64)
TWO = ("rgb=color:48x64", "depth=depth:48x64")
STACKED = ("rgb=color:48x64", "ir=thermal:48x64")


def build(name):
    """The network, with weights that give every frame several labels."""
    scope = {}
    exec(FOREIGN, scope)  # noqa: S102 - our own words, above
    torch.manual_seed(11)
    network = scope[name]().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean += torch.randn(8)
            module.running_var *= 0.3
        if isinstance(module, torch.nn.Conv2d) and module.out_channels == 5:
            module.weight.data -= module.weight.data.mean(1, keepdim=True)
            module.weight.data *= 5
    return network


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's folder: the module and checkpoints. It is the working directory."""
    make_home(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("foreign", None)


def make_home(folder):
    (folder / "foreign.py").write_text(FOREIGN)
    parallel = {f"module.{n}": t for n, t in build("TwoInputs").state_dict().items()}
    torch.save({"epoch": 9, "state_dict": parallel}, folder / "two.pth")
    torch.save(build("Stacked").state_dict(), folder / "stacked.pth")
    (folder / "out").mkdir()


@pytest.fixture
def quick(monkeypatch):
    """Two frames, and a simplifier that does nothing."""
    monkeypatch.setattr(samples, "MOST_FRAMES", 2)
    copy = "import sys, shutil; shutil.copy(sys.argv[1], sys.argv[2])"
    monkeypatch.setattr(simplify_room, "_CHILD", copy)


def two(home, **changes):
    words = {"target": "foreign:TwoInputs", "checkpoint": home / "two.pth"}
    words |= {"out": home / "out" / "two.fuseg", "inputs": TWO}
    return export_bundle(**{**words, **changes})


def command(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "fuseg", "export", *map(str, words)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def command_here(*words):
    """The same without another process."""
    return CliRunner().invoke(app, ["export", *words])


def inputs(words):
    return [part for word in words for part in ("--input", word)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Two inputs, a dict, an auxiliary head, ``module.`` names: by one command."""
    folder = tmp_path_factory.mktemp("user")
    make_home(folder)
    words = ["foreign:TwoInputs", "--checkpoint", "two.pth", "-o", "out/two.fuseg"]
    done = command(folder, *words, *inputs(TWO), "--json")
    assert done.returncode == 0, done.stderr
    return folder / "out" / "two.fuseg", json.loads(done.stdout), done.stderr


def torch_labels(network, manifest, frames):
    """By the float64 definition of the preprocessing and the network as trained."""
    tensors = preprocess(manifest.inputs, frames)
    with torch.inference_mode():
        given = [torch.from_numpy(t.astype(np.float32)) for t in tensors.values()]
        returned = network(*given)
    if isinstance(returned, dict):
        returned = returned["out"].argmax(1)
    return returned.reshape(SIZE).numpy()


def test_a_foreign_module_with_two_inputs_passes_the_gate(exported):
    path, report, stderr = exported
    assert report["digest"] == Bundle.open(path).digest
    assert report["bytes"] == path.stat().st_size
    assert [s["stage"] for s in report["stages"]] == [
        *("onnx", "simplified", "cut", "runtime"),
    ]
    assert [s["against"] for s in report["stages"]] == [
        *("torch", "onnx", "simplified", "torch"),
    ]
    for stage in report["stages"]:
        assert stage["frames"] == 16
        assert stage["label_agreement"] >= 0.9995
    assert report["tail"] == {
        "removed": ["Resize"],
        "size": list(SIZE),
        "align_corners": False,
    }
    assert "took the weights under 'state_dict'" in report["notes"]
    assert "dropped the prefix 'module.' of every name" in report["notes"]
    assert "took the network's output out and dropped aux" in report["notes"]
    assert any("rendered rooms" in sentence for sentence in report["warnings"])
    assert "a chatty module" in stderr  # and not among the JSON
    assert "warning: verified on 16 rendered rooms" in stderr


def test_the_bundle_labels_as_the_network_it_was_made_from(exported):
    path, _, _ = exported
    segmenter = fuseg.load(path)
    network = build("TwoInputs")
    manifest = segmenter.manifest
    for frames, expected in segmenter.bundle.samples():
        np.testing.assert_array_equal(segmenter(**frames).labels, expected)
        ours = segmenter(size=SIZE, **frames).labels
        theirs = torch_labels(network, manifest, frames)
        assert np.mean(ours == theirs) >= 0.999
        assert len(np.unique(ours)) > 1  # or agreeing would prove nothing
    assert len(segmenter.bundle.samples()) == 2
    assert [c.name for c in manifest.outputs[0].classes] == [
        *("class_0", "class_1", "class_2", "class_3", "class_4"),
    ]


def test_the_onnx_in_the_bundle_is_opset_17_for_old_runtimes(exported):
    path, _, _ = exported
    bundle = Bundle.open(path)
    (variant,) = bundle.manifest.variants
    model = onnx.load_from_string(bundle.read(variant.file))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert (variant.opset, variant.ir_version, model.ir_version) == (17, 8, 8)
    assert [r.stage for r in variant.verification] == [
        *("onnx", "simplified", "cut", "runtime"),
    ]


def test_the_manifest_says_what_the_bundle_was_made_from_and_no_path(exported):
    path, _, _ = exported
    manifest = Bundle.open(path).manifest
    provenance = manifest.provenance
    assert provenance["target"] == "foreign:TwoInputs"
    assert provenance["output"] == "out"
    assert provenance["simplified"] == "yes"
    assert provenance["torch"] == torch.__version__
    text = manifest.dump()
    for place in (str(path.parent), "two.pth", os.environ.get("USER", "no user")):
        assert place not in text


def test_another_folder_file_and_time_give_the_same_bytes(exported, home):
    path, _, _ = exported
    renamed = home / "renamed.pth"
    shutil.copy(path.parent.parent / "two.pth", renamed)
    report = two(home, checkpoint=renamed, out=home / "deep" / "er" / "other.fuseg")
    assert report.bundle.read_bytes() == path.read_bytes()


def test_one_tensor_fed_by_colour_and_thermal_passes_the_gate_on_real_frames(home):
    rng = np.random.default_rng(0)
    for i in range(3):
        for name, shape, dtype in (("rgb", (3,), np.uint8), ("ir", (), np.uint16)):
            (home / name).mkdir(exist_ok=True)
            low = rng.integers(0, np.iinfo(dtype).max, (6, 8, *shape)).astype(dtype)
            frame = np.kron(low, np.ones((15, 15, *[1] * len(shape)), dtype))
            Image.fromarray(frame).save(home / name / f"{i}.png")
    done = command_here(
        *("foreign:Stacked", "--checkpoint", "stacked.pth", "-o", "stacked.fuseg"),
        *inputs(STACKED),
        *("--stack", "rgb,ir", "--classes", "sky,road,car,tree,rest"),
        *("--frames", "rgb=rgb", "--frames", "ir=ir/*.png"),
    )
    assert done.exit_code == 0, done.stderr
    assert "warning" not in done.stderr
    assert "runtime" in done.stdout
    assert "cut off its end: Resize, " in done.stdout

    segmenter = fuseg.load(home / "stacked.fuseg")
    manifest = segmenter.manifest
    assert [i.tensor.name for i in manifest.inputs] == ["rgb_ir", "rgb_ir"]
    assert manifest.outputs[0].classes[2].name == "car"
    assert manifest.outputs[0].tail.size == SIZE
    for frames, _ in segmenter.bundle.samples():
        ours = segmenter(size=SIZE, **frames).labels
        theirs = torch_labels(build("Stacked"), manifest, frames)
        assert np.mean(ours == theirs) >= 0.999
        assert len(np.unique(ours)) > 1


@pytest.mark.usefixtures("quick")
def test_a_simplifier_that_crashes_is_recorded_and_not_fatal(home, monkeypatch):
    monkeypatch.setattr(simplify_room, "_CHILD", "import os; os.abort()")
    report = two(home)
    assert [s.result.stage for s in report.stages] == ["onnx", "cut", "runtime"]
    assert "the graph was not simplified: onnxsim failed with st" in report.warnings[0]
    assert Bundle.open(report.bundle).manifest.provenance["simplified"] == "no"


@pytest.mark.usefixtures("quick")
def test_progress_is_told_in_the_order_of_the_road(home):
    said = []
    two(home, progress=said.append)
    assert [sentence.split()[0] for sentence in said] == [
        *("loading", "taking", "exporting", "simplifying", "comparing", "writing"),
    ]


@pytest.mark.usefixtures("quick")
def test_another_opset_is_written_in_the_manifest(home):
    report = two(home, opset=18)
    (variant,) = Bundle.open(report.bundle).manifest.variants
    assert (report.opset, variant.opset) == (18, 18)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fails", [False, True])
def test_torch_keeps_its_threads(home, fails):
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        if fails:
            with pytest.raises(CheckpointError):
                two(home, checkpoint=home / "stacked.pth")
        else:
            two(home)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def spoil(model):
    """A cut that says the other grid: labels move by up to half a cell."""
    cut, tail = cut_tail(model)
    return cut, type(tail)(tail.removed, tail.size, True, None)


def other_grid(monkeypatch):
    monkeypatch.setattr(pipeline, "cut_tail", spoil)


def unready_frames(monkeypatch):
    """What the user's camera gives when it sees nothing."""
    frame = samples.Frame(
        {"rgb": np.zeros((6, 8, 3), np.uint8), "depth": np.zeros((6, 8), np.uint16)}
    )
    monkeypatch.setattr(samples, "rendered", lambda *_, **__: [frame])


FAILURES = {
    "checkpoint": (
        {"checkpoint": Path("stacked.pth")},
        CheckpointError,
        "missing: color.0.weight",
    ),
    "arguments": (
        {"inputs": TWO[:1]},
        ExportError,
        r"forward failed on rgb \(1, 3, 48, 64\): TypeError: .*'depth'",
    ),
    "order": (
        {"inputs": TWO[::-1]},
        ExportError,
        r"forward failed on depth \(1, 1, 48, 64\), rgb \(1, 3, 48, 64\): RuntimeError",
    ),
    "output": ({"output": "main"}, ArgumentError, r"--output .* got main"),
    "classes": (
        {"classes": "a,b"},
        ArgumentError,
        "must name the 5 classes that the network tells apart, got 2",
    ),
    "random": (
        {"target": "foreign:Mood"},
        ExportError,
        "two results for one input",
    ),
    "opset": ({"opset": 99}, ArgumentError, "--opset must be 13 to 20, got 99"),
    "frames": ({"frames": {"rgb": "x"}}, ArgumentError, "--frames must be given for"),
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_export_leaves_everything_as_it_was(home, name):
    changes, error, sentence = FAILURES[name]
    assert_fails_cleanly(home, error, sentence, **changes)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("plant", "error", "sentence"),
    [
        (other_grid, ExportError, r"stage runtime computes .* than torch on 2 frames"),
        (unready_frames, FrameError, "depth"),
    ],
)
def test_a_failed_comparison_leaves_everything_as_it_was(
    home, monkeypatch, plant, error, sentence
):
    plant(monkeypatch)
    assert_fails_cleanly(home, error, sentence)


def assert_fails_cleanly(home, error, sentence, **changes):
    out = home / "out" / "two.fuseg"
    out.write_bytes(b"what was there before")
    before = sorted(home.rglob("*"))
    with pytest.raises(error, match=sentence):
        two(home, **changes)
    assert out.read_bytes() == b"what was there before"
    now = sorted(p for p in home.rglob("*") if "__pycache__" not in p.parts)
    assert now == before


@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_nothing(home):
    out = home / "out" / "two.fuseg"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
    try:
        with pytest.raises(OutputFileError, match="cannot be written: File too large"):
            two(home)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not list((home / "out").iterdir())
    two(home)  # with the room it needs it is made
    assert list((home / "out").iterdir()) == [out]


@pytest.mark.usefixtures("quick")
def test_a_finished_bundle_that_labels_otherwise_is_not_kept(home, monkeypatch):
    calls = []

    def labels(segmenter, arrays, size=None):
        calls.append(size)
        result = segmenter(size=size, **arrays).labels
        return result if len(calls) < 5 else result + 1  # 2 compared, 2 samples

    monkeypatch.setattr(pipeline, "_labels", labels)
    with pytest.raises(ExportError, match="labels its own sample in another way"):
        two(home)
    assert not list((home / "out").iterdir())


def test_where_nothing_can_be_written_it_is_said_before_the_work(home):
    said = []
    (home / "file").touch()
    for out, reason in (
        (home, "it is a folder"),
        (home / "file" / "a.fuseg", "file is not a folder"),
    ):
        with pytest.raises(OutputFileError, match=reason):
            two(home, out=out, progress=said.append)
    assert said == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_without_permission_it_is_said_before_the_work(home):
    # pytest's own folders are for root alone: let others in.
    for folder in (home, home.parent, home.parent.parent):
        folder.chmod(0o755)
    (home / "out").chmod(0o755)  # root's
    code = (
        "import os, sys; from pathlib import Path;"
        "from fuseg_export.pipeline import _require_writable;"
        "os.setgid(65534); os.setuid(65534);"
        "_require_writable(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, home / "out" / "two.fuseg"],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert "OutputFileError: " in last
    assert f"two.fuseg cannot be written: no permission in {home / 'out'}." in last


def test_the_command_says_one_sentence_and_exits_with_2(home):
    done = command_here("rgbd", "--checkpoint", "two.pth", "-o", "a.fuseg")
    assert done.exit_code == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the checkpoint two.pth does not fit the network: ")
    assert not (home / "a.fuseg").exists()
