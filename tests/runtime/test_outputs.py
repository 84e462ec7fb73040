"""Bundles with several outputs: every one of them, by name."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from runtime.many_outputs import SCENES, expected, write_outputs
from typer.testing import CliRunner

import fuseg
from fuseg.backends.replay import ReplayBackend
from fuseg.bundle import Bundle, write
from fuseg.cli import app
from fuseg.dataset.images import read_labels, write_png
from fuseg.errors import ArgumentError, BackendError, ManifestError
from fuseg.runtime.outputs.classes import ClassesAdapter


@pytest.fixture
def path(rgbd, tmp_path):
    return write_outputs(tmp_path / "outputs.fuseg", rgbd)


@pytest.fixture
def sampled(rgbd, frames, tmp_path):
    """``sampled(**changed)``: with a sample, some of whose arrays are others."""

    def make(**changed):
        plain = fuseg.load(write_outputs(tmp_path / "plain.fuseg", rgbd))
        given = frames(3)
        found = expected(plain.preprocess(**given))._asdict()
        found |= {"scene": found["scene"].astype(np.float32)}
        found |= {"mean": found["mean"].astype(np.float32)}
        path = tmp_path / "sampled.fuseg"
        return write_outputs(path, rgbd, [(given, found | changed)])

    return make


def check(result, wanted):
    np.testing.assert_array_equal(result.labels, wanted.labels)
    np.testing.assert_array_equal(result["parts"].labels, wanted.parts)
    np.testing.assert_allclose(result["scene"].scores, wanted.scene, atol=1e-5)
    np.testing.assert_allclose(result["mean"], wanted.mean, atol=1e-4)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_every_output_is_right_and_found_by_its_name(path, frames, backend):
    if backend == "openvino":
        pytest.importorskip("openvino")
    segmenter = fuseg.load(path, backend=backend)
    results = []
    for seed in range(5):
        given = frames(seed)
        wanted = expected(segmenter.preprocess(**given))
        results.append((segmenter(**given, confidence=True), wanted))
    for result, wanted in results:  # later frames have not changed what was returned
        check(result, wanted)
        assert result["labels"] is result
        assert sorted(result.keys()) == ["labels", "mean", "parts", "scene"]
        assert result["scene"].best == SCENES[wanted.scene.argmax()]
        assert result["parts"].confidence.shape == result.confidence.shape == (6, 8)
        assert result["parts"].sources == result.sources
        assert result["parts"].overlay().shape == (6, 8, 3)
    with pytest.raises(ArgumentError, match=r"^'boxes': no such output; this bundle's"):
        result["boxes"]


def test_a_result_of_several_outputs_is_pickled_and_copied(path, frames):
    result = fuseg.load(path)(**frames())
    for twin in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert twin["labels"] is twin
        np.testing.assert_array_equal(twin["parts"].labels, result["parts"].labels)
        np.testing.assert_array_equal(twin["scene"].scores, result["scene"].scores)


def test_out_takes_the_first_labels_alone(path, frames):
    segmenter, out = fuseg.load(path), np.empty((6, 8), np.uint8)
    result = segmenter(**frames(), out=out)
    assert result.labels is out
    assert result["parts"].labels is not out
    check(result, expected(segmenter.preprocess(**frames())))


def recorded(**changed):
    shapes = {"scores": (1, 4, 6, 8), "parts": (1, 1, 6, 8), "mean": (1, 4)}
    arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    return arrays | {"scene": np.zeros((1, 3), np.float32)} | changed


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_scene_whose_scores_are_no_numbers_is_refused(path, frames, bad):
    arrays = recorded(scene=np.array([[0.0, bad, 1.0]], np.float32))
    segmenter = fuseg.load(path, backend=ReplayBackend([arrays]))
    with pytest.raises(
        BackendError,
        match=r"^replay gave scores of scene that are no numbers \(NaN or infinity\): "
        "try another variant, such as fp32.$",
    ):
        segmenter(**frames())


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({}, r"^recorded must hold the tensors scene, scores, parts, mean, got none.$"),
        (
            recorded(scene=np.zeros((1, 3))),
            r"^recorded\[0\]\['scene'\] must be float32, got float64.$",
        ),
        (
            recorded(mean=np.zeros(4, np.float32)),
            r"^recorded\[0\]\['mean'\] must have shape \(1, 4\), got \(4,\).$",
        ),
    ],
    ids=["none", "dtype", "shape"],
)
def test_recorded_outputs_that_are_not_the_bundle_s_are_refused(path, arrays, sentence):
    with pytest.raises(fuseg.errors.FusegError, match=sentence):
        fuseg.load(path, backend=ReplayBackend([arrays]))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"scene": np.float32([1, 0, 0])}, "of scene of a sample agree, 0.98 must"),
        ({"mean": np.zeros((1, 4), np.float32)}, "of mean of a sample agree"),
        ({"parts": np.zeros((6, 8), np.uint8)}, "of the labels of a sample agree"),
    ],
    ids=["classes", "tensor", "labels"],
)
def test_a_sample_that_another_output_does_not_give_is_noticed(
    sampled, changed, sentence
):
    assert fuseg.load(sampled(), variant="fp32").backend_name == "onnxruntime"
    with pytest.raises(BackendError, match=sentence):
        fuseg.load(sampled(**changed), variant="fp32")


def test_verify_replays_every_output(sampled):
    done = CliRunner().invoke(app, ["verify", str(sampled()), "--json"])
    assert done.exit_code == 0, done.output
    rows = {row["output"]: row for row in json.loads(done.stdout)["samples"]}
    assert sorted(rows) == ["labels", "mean", "parts", "scene"]
    assert all(row["agreement"] > 0.9999 for row in rows.values())
    wrong = sampled(scene=np.float32([0, 1, 0]))
    done = CliRunner().invoke(app, ["verify", str(wrong)])
    assert done.exit_code == 1
    assert "of scene agree, at least 0.98 must." in done.output


def test_an_array_of_a_sample_is_as_its_output_expects(sampled):
    with pytest.raises(
        fuseg.errors.BundleError,
        match=r"member 's0/scene.npy' must be float32 \(3\), got float32 \(4,\)",
    ):
        sampled(scene=np.zeros(4, np.float32))


def test_inspect_names_every_output(path):
    done = CliRunner().invoke(app, ["inspect", str(path)])
    assert done.exit_code == 0, done.output
    assert "output scene: classes from scene 1x3" in done.output
    assert "activation softmax, 3 classes: street, indoors, field" in done.output
    assert "output mean: tensor from mean 1x4" in done.output


def test_outputs_that_do_not_fit_their_tensors_are_refused(path):
    whole = fuseg.load(path).manifest
    scene = whole.outputs[0]
    for text, sentence in (
        (
            whole.dump().replace('"indoors",', ""),
            r"outputs\[0\].classes must name the 3 classes of tensor 'scene', got 2",
        ),
        (
            whole.dump().replace('"softmax"', '"tanh"'),
            r"outputs\[0\].activation must be one of 'softmax', 'sigmoid', 'none'",
        ),
    ):
        with pytest.raises(ManifestError, match=sentence):
            type(whole).parse(text)
    assert scene.kind == "classes"


def test_run_writes_or_tells_every_output(path, frames, tmp_path):
    given, out = frames(1), tmp_path / "out"
    write_png(tmp_path / "rgb.png", given["rgb"])
    write_png(tmp_path / "depth.png", given["depth"])
    words = ["run", str(path), "--out", str(out), "--json"]
    for name in ("rgb", "depth"):
        words += ["--input", f"{name}={tmp_path / name}.png"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (frame,) = json.loads(done.stdout)["frames"]
    result = fuseg.load(path)(**given)
    assert frame["outputs"]["scene"] == pytest.approx(
        dict(zip(SCENES, result["scene"].scores.tolist(), strict=True))
    )
    np.testing.assert_array_equal(np.load(frame["outputs"]["mean"]), result["mean"])
    np.testing.assert_array_equal(read_labels(Path(frame["labels"])), result.labels)
    parts = frame["outputs"]["parts"]
    labels = read_labels(Path(parts["labels"]))
    np.testing.assert_array_equal(labels, result["parts"].labels)
    assert parts["classes"]["class1"] == pytest.approx((labels == 1).mean())


def test_a_bundle_without_labels_gives_what_it_has(path, frames, tmp_path):
    whole = fuseg.load(path).manifest
    opened = Bundle.open(path)
    scene = replace(
        whole,
        outputs=whole.outputs[:1],
        tensors={n: whole.tensors[n] for n in ("rgb", "depth", "scene")},
        graphs=(replace(whole.graphs[0], writes=("scene",)),),
        files={},
    )
    model = onnx.load_from_string(opened.read("fp32.onnx"))
    kept = [value for value in model.graph.output if value.name == "scene"]
    del model.graph.output[:]
    model.graph.output.extend(kept)
    other = tmp_path / "scene.fuseg"
    write(other, scene, {"fp32.onnx": model.SerializeToString()})
    result = fuseg.load(other)(**frames())
    assert type(result) is fuseg.Result
    assert result["scene"].best in SCENES
    with pytest.raises(ArgumentError, match=r"^out must not be given: no output gives"):
        fuseg.load(other)(**frames(), out=np.empty((6, 8), np.uint8))
    write_png(tmp_path / "rgb.png", frames()["rgb"])
    write_png(tmp_path / "depth.png", frames()["depth"])
    words = ["run", str(other), "--out", str(tmp_path / "out")]
    for name in ("rgb", "depth"):
        words += ["--input", f"{name}={tmp_path / name}.png"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out/overlay/rgb.png").is_file()
    assert "out/outputs" not in done.stdout  # the scene is no file
    labels = ["--input", "rgb=a", "--input", "depth=b", "--truth", "c"]
    done = CliRunner().invoke(app, ["verify", str(other), *labels])
    assert done.exit_code == 2
    assert "--truth must be left out: this bundle gives scene and no" in done.output


def test_a_result_says_which_outputs_it_has(path, frames):
    result = fuseg.load(path)(**frames())
    assert sorted(result) == sorted(o.name for o in Bundle.open(path).manifest.outputs)
    assert ("parts" in result, "depth" in result) == (True, False)


@pytest.mark.parametrize("name", ["../labels", "/tmp/labels", "a/b", ".."])
def test_an_output_is_no_path_out_of_the_folder_of_results(path, name):
    manifest = Bundle.open(path).manifest
    *others, last = manifest.outputs
    with pytest.raises(ManifestError, match=r"name must be of letters, digits and _,"):
        replace(last, name=name)
    value = json.loads(manifest.dump())
    value["outputs"][-1]["name"] = name
    with pytest.raises(ManifestError, match=rf"outputs\[{len(others)}\]\.name must be"):
        manifest.parse(json.dumps(value))


def test_scores_that_are_no_probabilities_agree_relative_to_the_largest():
    expected = np.float32([1000.0, -3.0, 40.0])
    apart = expected + np.float32([1.0, 0.0, 0.0])
    assert ClassesAdapter.agreement(expected, apart) == pytest.approx(0.999)
    shares = np.float32([0.7, 0.2, 0.1])
    assert ClassesAdapter.agreement(shares, shares[::-1]) == pytest.approx(0.4)
