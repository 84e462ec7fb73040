"""From a checkpoint to a bundle, as a user does it, and what happens if it fails."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import fuseg
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.errors import CheckpointError
from fuseg_export.models import REFERENCE
from fuseg_export.passes import simplify as simplify_room
from fuseg_export.reference import preprocess

SIZE = (48, 64)
TWO = ("rgb=color:48x64", "depth=depth:48x64")
STACKED = ("rgb=color:48x64", "ir=thermal:48x64")


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
def exported(user):
    """Two inputs, a dict, an auxiliary head, ``module.`` names: by one command."""
    words = ["foreign:TwoInputs", "--checkpoint", "two.pth", "-o", "out/two.fuseg"]
    done = command(user, *words, *inputs(TWO), "--json")
    assert done.returncode == 0, done.stderr
    return user / "out" / "two.fuseg", json.loads(done.stdout), done.stderr


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


def test_the_bundle_labels_as_the_network_it_was_made_from(exported, build_foreign):
    path, _, _ = exported
    segmenter = fuseg.load(path)
    network = build_foreign("TwoInputs")
    manifest = segmenter.manifest
    for frames, expected in segmenter.bundle.samples():
        labels = segmenter(**frames).labels
        np.testing.assert_array_equal(labels, expected["labels"])
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
    network = bundle.network(variant)
    model = onnx.load_from_string(bundle.read(network.file))
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert (network.opset, network.ir_version, model.ir_version) == (17, 8, 8)
    assert [r.stage for r in variant.verification] == [
        *("onnx", "simplified", "cut", "runtime"),
    ]


def test_the_manifest_says_what_the_bundle_was_made_from_and_no_path(exported):
    path, _, _ = exported
    manifest = Bundle.open(path).manifest
    provenance = manifest.provenance
    assert provenance["target"] == "foreign:TwoInputs"
    assert provenance["output"] == "out"
    assert provenance["adapted"] == (
        "took the weights under 'state_dict'",
        "dropped the prefix 'module.' of every name",
        "took the network's output out and dropped aux",
    )
    assert provenance["simplified"] == f"onnxsim {version('onnxsim')}"
    assert provenance["torch"] == torch.__version__
    text = manifest.dump()
    for place in (str(path.parent), "two.pth", os.environ.get("USER", "no user")):
        assert place not in text


def test_another_folder_file_and_time_give_the_same_bytes(exported, home, export_two):
    path, _, _ = exported
    renamed = home / "renamed.pth"
    shutil.copy(path.parent.parent / "two.pth", renamed)
    report = export_two(checkpoint=renamed, out=home / "deep" / "er" / "other.fuseg")
    assert report.bundle.read_bytes() == path.read_bytes()


def test_a_tensor_of_colour_and_thermal_passes_the_gate_on_real_frames(
    home, build_foreign
):
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
    assert [i.tensor for i in manifest.inputs] == ["rgb_ir", "rgb_ir"]
    assert manifest.outputs[0].classes[2].name == "car"
    assert manifest.outputs[0].tail.size == SIZE
    for frames, _ in segmenter.bundle.samples():
        ours = segmenter(size=SIZE, **frames).labels
        theirs = torch_labels(build_foreign("Stacked"), manifest, frames)
        assert np.mean(ours == theirs) >= 0.999
        assert len(np.unique(ours)) > 1


@pytest.mark.usefixtures("quick")
def test_a_simplifier_that_crashes_is_recorded_and_not_fatal(export_two, monkeypatch):
    monkeypatch.setattr(simplify_room, "_CHILD", "import os; os.abort()")
    report = export_two()
    assert [s.result.stage for s in report.stages] == ["onnx", "cut", "runtime"]
    assert "the graph was not simplified: onnxsim failed with st" in report.warnings[0]
    assert Bundle.open(report.bundle).manifest.provenance["simplified"] == "no"


@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of the import
def test_a_compiled_network_and_its_trainer_s_file_make_the_same_bundle(
    home, export_two, build_foreign
):
    plain = export_two()
    state = {
        f"model.{n}": t for n, t in build_foreign("TwoInputs").state_dict().items()
    }
    state |= {"criterion.pos_weight": torch.ones(5), "model.aux_head.w": torch.ones(1)}
    torch.save({"epoch": 3, "state_dict": state}, home / "last.ckpt")
    report = export_two(target="foreign:compiled", checkpoint=home / "last.ckpt")
    adapted = [
        "took DataParallel off the network",
        "took torch.compile off the network",
        "took the weights under 'state_dict'",
        f"dropped the prefix 'model.' of {len(state) - 1} names",
        "left out what the network has no place for: aux_head, criterion",
    ]
    provenance = Bundle.open(report.bundle).manifest.provenance
    assert list(provenance["adapted"][:-1]) == adapted == list(report.notes[:5])
    first, second = (
        next(v for v in r.variants if v.name == "fp32").model for r in (plain, report)
    )
    assert second.SerializeToString() == first.SerializeToString()


@pytest.mark.usefixtures("quick")
def test_progress_is_told_in_the_order_of_the_road(export_two):
    said = []
    export_two(progress=said.append)
    assert [sentence.split()[0] for sentence in said] == [
        *("loading", "taking", "exporting", "simplifying", "comparing", "writing"),
    ]


@pytest.mark.usefixtures("quick")
def test_another_opset_is_written_in_the_manifest(export_two):
    report = export_two(opset=18)
    (graph,) = Bundle.open(report.bundle).manifest.graphs
    assert (report.opset, graph.networks["fp32"].opset) == (18, 18)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fails", [False, True])
def test_torch_keeps_its_threads(home, export_two, fails):
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        if fails:
            with pytest.raises(CheckpointError):
                export_two(checkpoint=home / "stacked.pth")
        else:
            export_two()
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_the_reference_models_are_listed():
    done = CliRunner().invoke(app, ["models", "--json"])
    assert done.exit_code == 0, done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["models"]}
    assert list(rows) == list(REFERENCE)
    rgbd = rows["rgbd"]
    assert [i["name"] for i in rgbd["inputs"]] == ["rgb", "depth"]
    assert (rgbd["inputs"][1]["kind"], rgbd["inputs"][1]["width"]) == ("depth", 320)
    assert rgbd["outputs"] == [{"name": "labels", "kind": "segmentation"}]
    sizes = [p.numel() for p in REFERENCE["rgbd"].network().parameters()]
    assert rgbd["parameters"] == sum(sizes)
    assert rgbd["weights"]
    assert not rows["add-early"]["weights"]


def test_reference_models_of_one_family_are_listed():
    table = CliRunner().invoke(app, ["models", "--family", "classical"]).stdout
    own = {name for name, m in REFERENCE.items() if m.family == "classical"}
    assert {line.split()[0] for line in table.splitlines() if line[:1].islower()} == {
        "name",
        *own,
    }
    done = CliRunner().invoke(app, ["models", "--family", "clasical"])
    assert done.exit_code == 2
    assert "got 'clasical': did you mean classical?" in done.stderr
