"""Several prompts: a dimension that changes, classes that are texts, a background."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import helper
from runtime.gpu.test_interrupted import interrupted
from runtime.prompted import (
    IMAGE,
    SIZE,
    TABLE,
    WIDE,
    counting,
    counts,
    ids_of,
    model,
    prompted,
    scores_of,
)
from typer.testing import CliRunner

import fuseg
from fuseg import bundle, manifest
from fuseg.cli import app
from fuseg.errors import ArgumentError, BackendError, BundleError, ManifestError
from fuseg.runtime.outputs.adapter import OutputContext
from fuseg.runtime.outputs.embedding import EmbeddingAdapter
from fuseg.runtime.preprocess import Preprocessor

TEXTS = ("a chair", "the red table", "window", "12 345", "walker", "red", "a", "b")
CAMERA = (13, 17)
BACKENDS = ["onnxruntime", "openvino"]
PAIR = ["phrase", "features"]


@pytest.fixture
def write(make_bundle, color_input, tmp_path):
    """``write(**keys)``: the path of a bundle for several texts; see `prompted`."""

    def make(name="prompts", **keys):
        made, files = prompted(make_bundle, color_input, several=True, **keys)
        path = tmp_path / f"{name}.fuseg"
        bundle.write(path, made, files)
        return path

    return make


@pytest.fixture(params=BACKENDS)
def backend(request):
    pytest.importorskip(request.param)
    return request.param


def frame(seed, size=SIZE):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*size, 3)).astype(np.uint8)


def labels_of(segmenter, rgb, *texts, score=0.0):
    """At the network's own size: 0 where no text scores more than the background."""
    scores = scores_of(segmenter.preprocess(rgb=rgb), *texts)
    floor = np.full((1, *SIZE), score)
    return np.concatenate([floor, scores]).argmax(0).astype(np.uint8)


def test_labels_are_the_prompts_however_many_there_are(write, backend):
    segmenter = fuseg.load(write(), backend=backend)
    before = counts(segmenter)
    for seed, count in enumerate((1, 2, 8, 3, 1)):
        texts = TEXTS[:count]
        segmenter.set_prompts(texts)
        rgb = frame(seed)
        for _ in range(2):
            result = segmenter(rgb=rgb)
            wanted = labels_of(segmenter, rgb, *texts)
            np.testing.assert_array_equal(result.labels, wanted)
        assert [c.name for c in result.classes] == ["background", *texts]
    ran = {name: count - before[name] for name, count in counts(segmenter).items()}
    assert ran == {"text": 5, "image": 10, "net": 10}
    with pytest.raises(ArgumentError, match=r"^prompt must be 1 to 8 texts, got 9\.$"):
        segmenter.set_prompts(["red"] * 9)
    assert segmenter.texts == {"prompt": ("a chair",)}


@pytest.mark.parametrize("count", [1, 2, 8])
def test_a_bundle_of_a_fixed_number_gives_the_same(
    make_bundle, color_input, tmp_path, write, count
):
    """Its size is in the network, and it is loaded anew for each number."""
    texts = TEXTS[:count]
    fixed = {"prompts": manifest.Dimension(count, count, count)}
    made, files = prompted(make_bundle, color_input, several=True, default=texts)
    path = tmp_path / "fixed.fuseg"
    bundle.write(path, replace(made, dimensions=fixed), files)
    segmenter = fuseg.load(write())
    for others in (TEXTS[:3], texts):
        segmenter.set_prompts(others)
        found = segmenter(rgb=frame(7, CAMERA), confidence=True)
    wanted = fuseg.load(path)(rgb=frame(7, CAMERA), confidence=True)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    np.testing.assert_array_equal(found.confidence, wanted.confidence)
    assert found.classes == wanted.classes


def test_a_prompt_alone_and_beside_one_that_never_wins_is_labelled_alike(write):
    segmenter = fuseg.load(write())
    segmenter.set_prompts("red")
    rgb = frame(11, CAMERA)
    alone = segmenter(rgb=rgb, confidence=True)
    assert {*np.unique(alone.labels)} == {0, 1}
    # The same text again ties everywhere: the first of the two wins.
    segmenter.set_prompts(["red", "red"])
    np.testing.assert_array_equal(segmenter(rgb=rgb).labels, alone.labels)


def test_one_prompt_is_where_its_score_is_above_zero(
    write, make_bundle, color_input, tmp_path
):
    """As a network with one channel and no background is labelled."""
    segmenter = fuseg.load(write(default="red"))
    made, files = prompted(make_bundle, color_input, default="red")
    bundle.write(tmp_path / "one.fuseg", made, files)
    rgb = frame(3, CAMERA)
    one = fuseg.load(tmp_path / "one.fuseg")(rgb=rgb, confidence=True)
    found = segmenter(rgb=rgb, confidence=True)
    np.testing.assert_array_equal(found.labels, one.labels)
    np.testing.assert_allclose(found.confidence, one.confidence, atol=1e-6)


def test_the_background_s_score_is_the_least_that_a_prompt_needs(write):
    rgb = frame(5)
    for score in (-0.3, 0.25):
        segmenter = fuseg.load(write(score=score))
        segmenter.set_prompts(TEXTS[:2])
        wanted = labels_of(segmenter, rgb, *TEXTS[:2], score=score)
        np.testing.assert_array_equal(segmenter(rgb=rgb).labels, wanted)


def test_fixed_classes_may_have_a_background_too(make_bundle, color_input):
    made = make_bundle(color_input(), classes=3)
    opened = bundle.Bundle.open(made.path)
    whole = opened.manifest
    (output,) = whole.outputs
    ground = manifest.Class("ground", (0, 0, 0))
    output = replace(
        output,
        classes=(ground, *output.classes),
        background=manifest.Background(0.1),
    )
    path = made.path.with_name("ground.fuseg")
    files = {name: opened.read(name) for name in whole.files}
    bundle.write(path, replace(whole, outputs=(output,), files={}), files)
    segmenter = fuseg.load(path)
    rgb = frame(2)
    scores = made.scores(segmenter.preprocess(rgb=rgb))
    floor = np.full((1, *SIZE), 0.1)
    wanted = np.concatenate([floor, scores.reshape(3, *SIZE)]).argmax(0)
    np.testing.assert_array_equal(segmenter(rgb=rgb).labels, wanted)


def test_classes_have_the_colours_of_pascal_voc(write):
    segmenter = fuseg.load(write())
    segmenter.set_prompts(["a\nchair", "b" * 2000, "red", "12"])
    classes = segmenter(rgb=frame(0)).classes
    assert [c.color for c in classes] == [
        *((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128)),
    ]
    assert [c.name for c in classes][:3] == ["background", "a chair", "b" * 1000]
    painted = segmenter(rgb=frame(0)).overlay(alpha=1.0)
    labels = segmenter(rgb=frame(0)).labels
    palette = np.array([c.color for c in classes], np.uint8)
    np.testing.assert_array_equal(painted, palette[labels])


def test_a_size_that_a_network_refuses_leaves_the_one_before(
    make_bundle, color_input, tmp_path
):
    """Its shape says any number of texts; its nodes take two. The graph before it has
    taken the new size by then."""
    made, files = prompted(make_bundle, color_input, several=True)
    files["net.onnx"] = model(
        [
            helper.make_node("Einsum", PAIR, ["now"], equation="pd,ndhw->nphw"),
            helper.make_node("Add", ["now", "two"], ["scores"]),
        ],
        [("phrase", 1, ("prompts", WIDE)), ("features", 1, (1, WIDE, *SIZE))],
        [("scores", 1, (1, "prompts", *SIZE))],
        {"two": np.zeros((1, 2, 1, 1), np.float32)},
    )
    path = tmp_path / "pair.fuseg"
    two = manifest.Dimension(2, 8, 2)
    inputs = (made.inputs[0], replace(made.inputs[1], default=TEXTS[:2]))
    bundle.write(path, replace(made, dimensions={"prompts": two}, inputs=inputs), files)
    segmenter = fuseg.load(path)
    rgb = frame(1)
    wanted = segmenter(rgb=rgb).labels
    with pytest.raises((BackendError, BundleError)):
        segmenter(rgb=rgb, prompt=TEXTS[:3])
    assert segmenter.texts == {"prompt": TEXTS[:2]}
    np.testing.assert_array_equal(segmenter(rgb=rgb).labels, wanted)
    other = segmenter(rgb=rgb, prompt=TEXTS[2:4]).labels
    np.testing.assert_array_equal(other, labels_of(segmenter, rgb, *TEXTS[2:4]))


def test_a_changed_number_of_prompts_steps_no_state(make_bundle, color_input, tmp_path):
    """A network that is bound anew runs once, on prompts that are not there yet."""
    made, files = counting(make_bundle, color_input)
    path = tmp_path / "counting.fuseg"
    bundle.write(path, made, files)
    segmenter = fuseg.load(path)
    one = scores_of(segmenter.preprocess(rgb=frame(0)), "red")[0]
    most = TABLE.astype(np.float64)[ids_of("red")].mean(0).max()
    for number, count in enumerate((1, 1, 3, 3, 2, 8, 1), start=1):
        segmenter(rgb=frame(0), prompt=["red"] * count)
        scores = segmenter.backend.outputs["scores"]
        assert scores.shape == (1, count, *SIZE)
        np.testing.assert_allclose(scores[0, 0], one + number * most, rtol=1e-4)


def test_a_state_that_would_change_its_size_is_refused(make_bundle, color_input):
    made, _ = counting(make_bundle, color_input)
    memory = manifest.Tensor((1, "prompts", 1, 1))
    with pytest.raises(ManifestError) as refused:
        replace(made, tensors={**made.tensors, "memory": memory})
    assert str(refused.value) == (
        "states[0].tensor must have no dimension, as its size may not change, got "
        "[1, 'prompts', 1, 1]."
    )


def test_outputs_of_texts_that_cannot_be_are_refused(make_bundle, color_input):
    made, _ = prompted(make_bundle, color_input, several=True)
    (output,) = made.outputs

    def of(change, **more):
        with pytest.raises(ManifestError) as caught:
            replace(made, outputs=(replace(output, **change),), **more)
        return str(caught.value)

    assert of({"classes_from": "rgb"}) == (
        "outputs[0].classes_from must name an input of texts, prompt, got 'rgb'."
    )
    assert of({"background": None}) == (
        "background is missing: with classes_from it is what is none of the texts."
    )
    assert of({"classes": (manifest.Class("a", (0, 0, 0)),)}) == (
        "classes must be empty, as classes_from names the texts that they are, got 1."
    )
    many = {"prompts": manifest.Dimension(1, 255, 1)}
    assert of({}, dimensions=many) == (
        "outputs[0].tensor must hold at most 255 classes, got 256."
    )
    eight = tuple(manifest.Class(str(n), (n, 0, 0)) for n in range(8))
    fixed = {"classes": eight, "classes_from": None, "background": None}
    assert of(fixed) == (
        "outputs[0].tensor must have no dimension for kind 'segmentation', unless its "
        "classes are texts, got [1, 'prompts', 6, 8]."
    )
    one = {**made.tensors, "scores": manifest.Tensor((1, 3, *SIZE))}
    assert of({}, tensors=one) == (
        "outputs[0].classes_from must name an input of as many texts as there are "
        "scores, 3, got 'prompt' of prompts."
    )


# Embeddings: the pixels' features compared with the texts' vectors


def cosines(scores, tensors, texts):
    features = np.einsum("dc,chw->dhw", IMAGE[..., 0, 0], tensors["rgb"][0])
    phrases = TABLE.astype(np.float64)[[ids_of(text) for text in texts]].mean(1)
    lengths = np.linalg.norm(phrases, axis=1)[:, None, None]
    return scores / lengths / np.linalg.norm(features, axis=0)


@pytest.mark.parametrize("normalize", ["none", "l2"])
def test_an_embedding_is_labelled_by_the_nearest_text(write, backend, normalize):
    score = 0.2
    path = write(compared=normalize, score=score)
    segmenter = fuseg.load(path, backend=backend)
    for seed, count in enumerate((2, 8, 1, 3)):
        texts, rgb = TEXTS[:count], frame(seed)
        result = segmenter(rgb=rgb, prompt=texts)
        tensors = segmenter.preprocess(rgb=rgb)
        scores = scores_of(tensors, *texts)
        if normalize == "l2":
            scores = cosines(scores, tensors, texts)
        floor = np.full((1, *SIZE), score)
        wanted = np.concatenate([floor, scores]).argmax(0)
        np.testing.assert_array_equal(result.labels, wanted)
        assert [c.name for c in result.classes] == ["background", *texts]


def test_labels_of_an_embedding_are_verified_as_labels(
    make_bundle, color_input, tmp_path
):
    made, files = prompted(make_bundle, color_input, several=True, compared="l2")
    path, rgb = tmp_path / "sampled.fuseg", frame(3)
    bundle.write(path, made, files)
    labels = fuseg.load(path, backend="onnxruntime")(rgb=rgb).labels
    for name, array in (("rgb", rgb), ("labels", labels)):
        buffer = io.BytesIO()
        np.save(buffer, array)
        files[f"{name}.npy"] = buffer.getvalue()
    sample = manifest.Sample({"rgb": "rgb.npy"}, {"labels": "labels.npy"})
    bundle.write(path, replace(made, samples=(sample,), files={}), files)
    words = ["verify", str(path), "--backend", "onnxruntime", "--json"]
    done = CliRunner().invoke(app, words)
    [found] = json.loads(done.stdout)["samples"]
    assert (found["agreement"], found["min_agreement"]) == (1.0, 0.9995)
    done = CliRunner().invoke(app, [*words, "--min-agreement", "0.5"])
    assert json.loads(done.stdout)["samples"][0]["min_agreement"] == 0.5


def test_an_embedding_is_what_a_graph_that_multiplies_is(write):
    """At the camera's size: upsampling and the dot product change places."""
    inside = fuseg.load(write())
    outside = fuseg.load(write("embedding", compared="none"))
    for seed, count in enumerate((1, 2, 8)):
        given = {"rgb": frame(seed, CAMERA), "prompt": TEXTS[:count]}
        wanted, found = inside(**given), outside(**given)
        assert (wanted.labels == found.labels).mean() > 0.99


def test_what_has_no_length_scores_zero(make_bundle, color_input):
    made, files = prompted(make_bundle, color_input, several=True, compared="l2")
    context = OutputContext(made, Preprocessor(made, files.get), "onnxruntime")
    adapter = EmbeddingAdapter(made.outputs[0], context)
    features = np.ones((1, WIDE, *SIZE), np.float32)
    features[..., 0] = 0
    vectors = np.stack([np.ones(WIDE), np.zeros(WIDE)]).astype(np.float32)
    adapter.connect({"phrase": vectors})
    scores = adapter._scores(features)
    assert scores.shape == (3, *SIZE)
    np.testing.assert_allclose(scores[1, :, 1:], 1, rtol=1e-6)
    assert not scores[1, :, 0].any()
    assert not scores[2].any()
    assert vectors[1].tolist() == [0] * WIDE  # and nothing of the tensors was changed


@pytest.mark.parametrize(
    "compared", [None, pytest.param("none", marks=pytest.mark.slow)]
)
def test_an_exception_at_any_line_of_a_call_leaves_prompts_that_are_right(
    write, compared
):
    """Those of before, or those of the call: as `texts` says, and the labels."""
    segmenter = fuseg.load(write(compared=compared))
    left, line = set(), 1
    while True:
        segmenter(rgb=frame(line), prompt=TEXTS[:2])
        seen, where = interrupted(
            lambda: segmenter(rgb=frame(1), prompt=TEXTS[3:6]), line
        )
        if seen < line:
            break
        rgb, texts = frame(line + 1), segmenter.texts["prompt"]
        left.add(texts)
        wanted = labels_of(segmenter, rgb, *texts)
        np.testing.assert_array_equal(segmenter(rgb=rgb).labels, wanted, where)
        line += 1
    assert left == {TEXTS[:2], TEXTS[3:6]}


def test_embeddings_that_cannot_be_are_refused(make_bundle, color_input):
    made, _ = prompted(make_bundle, color_input, several=True, compared="l2")
    (output,) = made.outputs

    def of(change, **more):
        with pytest.raises(ManifestError) as caught:
            replace(made, outputs=(replace(output, **change),), **more)
        return str(caught.value)

    assert of({"vectors": "features"}) == (
        "outputs[0].vectors must be float32 [texts, 5], as tensor 'features' has 5 "
        "features, got float32 [1, 5, 6, 8]."
    )
    assert of({"vectors": "nothing"}) == (
        "outputs[0].vectors must be one of tensors, got 'nothing'."
    )
    assert of({"classes_from": None}) == (
        "classes_from is missing: it must be the input of texts that vectors are of."
    )
    assert of({"tensor": "phrase"}) == (
        "outputs[0].tensor must be [1, D, height, width], got [8, 5]."
    )
