"""An ONNX file is a target: its bundle gives the labels that the file itself gives."""

from __future__ import annotations

import json
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnx_nets import BOTH, SCORES, SIZE, info, labelled, model, node
from PIL import Image
from typer.testing import CliRunner

import fuseg
from fuseg.bundle import Bundle
from fuseg.cli import app
from fuseg.errors import ArgumentError, ExportError

NAMES = {"input_names": ["images", "far"], "output_names": ["scores", "aux"]}


def write(path, network, examples, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, and what most files are made by
        torch.onnx.export(
            network, examples, path, dynamo=False, **{"opset_version": 17, **how}
        )
    return path


@pytest.fixture
def two(home, build_foreign):
    """``two(name)``: the network of two inputs in a file, its axes named or not."""

    def made(name="two.onnx", **how):
        shapes = ((1, 3, *SIZE), (1, 1, *SIZE))
        examples = tuple(torch.rand(shape) for shape in shapes)
        return write(
            home / name, build_foreign("TwoInputs"), examples, **{**NAMES, **how}
        ).name

    return made


@pytest.fixture
def export_file(export_two):
    """``export_file(target, ...)``: an ONNX file to a bundle."""

    def export(target, **changes):
        options = {"outputs": ["scores"], **changes, "target": target}
        return export_two(checkpoint=None, **options)

    return export


def as_the_file_labels(path, names, frames, bundle):
    """Labels by ONNX Runtime, of the tensors that the bundle makes of these frames."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    tensors = bundle.preprocess(**frames)
    feed = dict(zip(names, (tensors[name] for name in ("rgb", "depth")), strict=True))
    scores = session.run(["scores"], feed)[0]
    return scores[0].argmax(0)


DYNAMIC = {n: {0: "N", 2: "H", 3: "W"} for n in ("images", "far", "scores")}


@pytest.mark.parametrize(
    "how", [{}, {"dynamic_axes": DYNAMIC}, {"opset_version": 11}], ids=str
)
def test_the_bundle_labels_as_the_file_does(how, two, export_file, request):
    path = two(**how)
    if "dynamic_axes" not in how:  # those sizes are found by simplifying
        request.getfixturevalue("quick")
    report = export_file(path)
    first = report.stages[0].result
    assert (first.stage, first.against) == ("onnx", "file")
    assert report.stages[-1].result.against == "file"
    assert all(s.result.label_agreement == 1 for s in report.stages)
    assert report.exporter == "file"
    assert report.opset == 17
    brought = [w for w in report.warnings if "brought to 17" in w]
    assert len(brought) == (how.get("opset_version") == 11)
    assert report.tail.removed == ("Resize",)

    segmenter = fuseg.load(report.bundle)
    rng = np.random.default_rng(1)
    frames = {
        "rgb": rng.integers(0, 256, (*SIZE, 3), np.uint8),
        "depth": rng.integers(500, 4000, SIZE, np.uint16),
    }
    wanted = as_the_file_labels(path, ("images", "far"), frames, segmenter)
    assert np.array_equal(segmenter(**frames).labels, wanted)
    known = segmenter.manifest.provenance
    assert known["target"] == "two.onnx"
    assert segmenter.manifest.name == "two"


@pytest.mark.usefixtures("quick")
def test_inputs_go_by_the_names_of_the_file_in_any_order(two, export_file):
    path = two(input_names=["rgb", "depth"])
    report = export_file(path, inputs=BOTH[::-1])
    assert [t for t in report.manifest.tensors if t != "logits"] == ["depth", "rgb"]
    assert report.stages[-1].result.label_agreement == 1


@pytest.mark.usefixtures("quick")
def test_channels_last_and_double_are_brought_into_form(two, home, export_file):
    plain = export_file(two())
    labels = Bundle.open(plain.bundle).samples()[0][1]["labels"]
    other = onnx.load(home / "two.onnx")
    (scores,) = (v for v in other.graph.output if v.name == "scores")
    double = helper.make_tensor_value_info(
        "turned", onnx.TensorProto.DOUBLE, ["n", "h", "w", "c"]
    )
    other.graph.node.extend(
        [
            node("Cast", ["scores"], ["wide"], to=onnx.TensorProto.DOUBLE),
            node("Transpose", ["wide"], ["turned"], perm=[0, 2, 3, 1]),
        ]
    )
    scores.CopyFrom(double)
    onnx.save(other, home / "turned.onnx")
    with pytest.raises(ExportError, match=r"layout nhwc|--layout nhwc"):
        export_file("turned.onnx", outputs=["turned"])
    flat = onnx.load(home / "two.onnx")
    flat.graph.node.append(node("Reshape", ["scores", "shape"], ["flat"]))
    sides = onnx.numpy_helper.from_array(np.array([5, *SIZE]), "shape")
    flat.graph.initializer.append(sides)
    (scores,) = (v for v in flat.graph.output if v.name == "scores")
    scores.CopyFrom(info("flat", [5, *SIZE]))
    onnx.save(flat, home / "flat.onnx")
    report = export_file("flat.onnx", outputs=["flat"], layout="chw")
    found = Bundle.open(report.bundle).samples()[0][1]["labels"]
    assert np.mean(found == labels) > 0.99
    report = export_file("turned.onnx", outputs=["turned"], layout="nhwc")
    found = Bundle.open(report.bundle).samples()[0][1]["labels"]
    assert np.mean(found == labels) > 0.99, "enlarged twice, as double does not go"
    masks = {"kind": "segmentation", "path": "turned", "masks": "aux"}
    (home / "spec.json").write_text(json.dumps({"outputs": {"labels": masks}}))
    with pytest.raises(ArgumentError, match=r"masks must be absent for turned\.onnx"):
        export_file("turned.onnx", outputs=(), spec=home / "spec.json")
    with pytest.raises(ArgumentError, match=r"--freeze-random must be absent for"):
        export_file("turned.onnx", freeze_random=0)
    with pytest.raises(ArgumentError, match=r"--own-load-state-dict must be absent fo"):
        export_file("turned.onnx", own_load=True)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("ending", ["plain", "last"])
def test_labels_in_the_file_are_cut_off_or_their_scores_are_named(
    ending, home, export_file
):
    onnx.save(labelled(ending), home / "net.onnx")
    one = {"inputs": ["rgb=color:48x64"], "outputs": ()}
    if ending == "plain":
        report = export_file("net.onnx", **one)
        assert report.tail.removed == ("Resize", "ArgMax", "Squeeze")
        return
    with pytest.raises(
        ExportError, match=r"last of equal .* give --output (.*)\.$"
    ) as e:
        export_file("net.onnx", **one)
    advice = str(e.value).rpartition("--output ")[2].removesuffix(".")
    assert advice == "labels=segmentation:large"
    report = export_file("net.onnx", **{**one, "outputs": [advice]})
    assert report.tail.removed == ("Resize",)
    assert report.manifest.provenance["output"] == "large"


@pytest.mark.usefixtures("quick")
def test_data_beside_the_file_is_read_and_part_of_its_digest(two, home, export_file):
    path = two()
    plain = export_file(path).manifest.provenance["checkpoint_sha256"]
    (home / "a").mkdir()
    stored = onnx.load(path)
    onnx.save(
        stored,
        home / "a" / "two.onnx",
        save_as_external_data=True,
        location="two.weights",
        size_threshold=0,
    )
    digests = [export_file("a/two.onnx").manifest.provenance["checkpoint_sha256"]]
    beside = home / "a" / "two.weights"
    data = bytearray(beside.read_bytes())
    data[:4] = np.float32(0.25).tobytes()
    beside.write_bytes(data)
    digests.append(export_file("a/two.onnx").manifest.provenance["checkpoint_sha256"])
    assert len({plain, *digests}) == 3


@pytest.mark.usefixtures("quick")
def test_an_input_that_is_always_the_same_is_a_constant(home, export_file):
    nodes = [node("Mul", ["x", "gain"], ["scores"])]
    inputs = [info("rgb", [1, 3, *SIZE]), info("gain", [1, 5, 1, 1]), info("idle", [1])]
    onnx.save(model(nodes, SCORES, inputs=inputs), home / "net.onnx")
    np.save(home / "gain.npy", np.array([1, 2, 3, 4, 5.0]).reshape(1, 5, 1, 1))
    report = export_file(
        "net.onnx", inputs=["rgb=color:48x64"], constants=["gain=@gain.npy"]
    )
    assert "left out the file's input idle, which nothing reads" in report.notes
    assert set(report.manifest.tensors) == {"rgb", "logits"}


@pytest.mark.usefixtures("quick")
def test_a_network_with_a_memory_may_be_a_file(home, export_file):
    nodes = [
        node("Add", ["x", "before"], ["after"]),
        node("Identity", ["after"], ["scores"]),
    ]
    inputs = [info("rgb", [1, 3, *SIZE]), info("before", [1, 5, 12, 16])]
    outputs = [*SCORES, info("after", [1, 5, 12, 16])]
    onnx.save(model(nodes, outputs, inputs=inputs), home / "net.onnx")
    (home / "rgb").mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 256, (*SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(home / "rgb" / f"{index}.png")
    report = export_file(
        "net.onnx",
        inputs=["rgb=color:48x64"],
        states=["before=after"],
        frames={"rgb": "rgb"},
    )
    (state,) = report.manifest.states
    assert report.manifest.tensors[state.tensor].shape == (1, 5, 12, 16)


@pytest.mark.usefixtures("quick")
def test_functions_in_a_file_are_taken_apart(home, export_file):
    made = model([node("Twice", ["x"], ["scores"], domain="mine")], SCORES)
    made.functions.append(
        helper.make_function(
            "mine",
            "Twice",
            ["a"],
            ["b"],
            [helper.make_node("Add", ["a", "a"], ["b"])],
            [helper.make_opsetid("", 17)],
        )
    )
    made.opset_import.append(helper.make_opsetid("mine", 1))
    onnx.save(made, home / "net.onnx")
    export_file("net.onnx", inputs=["rgb=color:48x64"])


@pytest.mark.usefixtures("quick")
def test_by_command(two, home):
    path = two()
    out = home / "out" / "two.fuseg"
    words = ["export", path, "-o", str(out), "--output", "labels=segmentation:scores"]
    words += ["--json", *(w for i in BOTH for w in ("--input", i))]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["exporter"], shown["opset"]) == ("file", 17)
    assert Bundle.open(out).manifest.label_outputs[0].name == "labels"


def test_a_network_without_a_checkpoint_is_refused(export_two):
    with pytest.raises(
        ArgumentError, match="--checkpoint must be given for foreign:Tw"
    ):
        export_two(checkpoint=None)
