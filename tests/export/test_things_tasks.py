"""Networks of rooms of named things: what they learn, and what becomes of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg.errors import ArgumentError
from fuseg_export.frames import frame_set
from fuseg_export.models import REFERENCE
from fuseg_export.models.multitask import enlarged
from fuseg_export.passes import simplify
from fuseg_export.scenes.things import COLORS, KINDS, render_many_things
from fuseg_export.scenes.things.words import END, PAD, VOCABULARY, asked_for
from fuseg_export.training import fit
from fuseg_export.training.tasks import caption, multitask, text
from fuseg_export.training.tasks.caption import CaptionTask
from fuseg_export.training.tasks.multitask import MultiTask
from fuseg_export.training.tasks.text import TextTask

SETTINGS = {"steps": 2, "rate": 1e-3, "seed": 1}
TASKS = {"multitask": MultiTask, "text": TextTask, "caption": CaptionTask}


@pytest.fixture(scope="module")
def frames():
    return render_many_things(range(12))


@pytest.fixture(scope="module")
def trained(frames, tmp_path_factory):
    """By name, a network of two steps, its task, its record and its numbers."""
    made = {}
    for name, task in TASKS.items():
        torch.manual_seed(1)
        network, learned = REFERENCE[name].network(), task(frames, frames, size=2)
        work = tmp_path_factory.mktemp("training") / name
        record = fit.fit(network.train(), learned, SETTINGS, work)
        made[name] = network, learned, record, learned.evaluate(network)
    return made


@pytest.fixture(scope="module")
def bundles(trained, tmp_path_factory):
    """By name, the bundle of that network, exported in one command."""
    folder, made = tmp_path_factory.mktemp("bundles"), {}
    for name, (network, *_) in trained.items():
        weights, bundle = folder / f"{name}.safetensors", folder / f"{name}.fuseg"
        state = network.state_dict()
        save_file({k: v.contiguous() for k, v in state.items()}, weights)
        words = ["export", name, "--checkpoint", str(weights), "-o", str(bundle)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(frame_set, "STAGE_FRAMES", 4)
            patch.setattr(simplify, "_in_child", copy.deepcopy)  # a slow process
            result = CliRunner().invoke(app, [*words, "--precision", "fp32"])
        assert result.exit_code == 0, result.output
        assert "tracing made constants" not in result.output
        made[name] = bundle, result.output
    return made


@pytest.mark.parametrize("name", TASKS)
def test_two_steps_give_a_finite_loss_and_numbers_from_zero_to_one(trained, name):
    network, _, record, numbers = trained[name]
    assert np.isfinite(record["curve"][-1][1])
    assert not network.training
    assert all(0 <= value <= 1 for value in numbers.values()), numbers


@pytest.mark.parametrize("name", TASKS)
def test_a_batch_is_the_same_for_the_same_seed(trained, name):
    _, task, *_ = trained[name]
    first, again, other = (
        task.batch(np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("name", TASKS)
def test_the_bundle_computes_what_torch_does(trained, bundles, frames, name):
    network, *_ = trained[name]
    segmenter = fuseg.load(bundles[name][0], backend="onnxruntime")
    (spec,) = REFERENCE[name].inputs
    rgb = multitask.pictures([frames.color[0]])
    assert tuple(rgb.shape[2:]) == (spec.resize.height, spec.resize.width)
    with torch.inference_mode():
        if name == "text":
            made = network(rgb, torch.from_numpy(text.ids("a blue thing")[None]))
            scores = torch.einsum("nchw,qc->nqhw", made["features"], made["phrases"])
            scores = torch.cat([torch.zeros_like(scores), scores], 1)
            labels = enlarged(scores)
            result = segmenter(rgb=frames.color[0], prompt="a blue thing")
        else:
            made = network(rgb)
            labels = made["labels"]
            result = segmenter(rgb=frames.color[0])
    found = result["labels"].labels
    assert np.mean(found == labels[0].argmax(0).numpy()) >= 0.9995
    if name == "caption":
        ids = made["tokens"][0].tolist()
        wanted = ids[: ids.index(END)] if END in ids else ids
        assert result["caption"].ids.tolist() == wanted


def test_boxes_of_the_truth_are_found_by_the_runtimes_rule(frames):
    """Targets, turned back into what the network gives, are boxes with an AP of 1."""
    found, wanted = [], []
    for index in range(len(frames)):
        boxes = multitask.true_boxes(frames, index)
        heat, corners, _ = multitask.box_targets(boxes)
        tensor = np.concatenate([corners, np.where(heat == 1, 9.0, -9.0)], 1)
        found.append(multitask.detections(tensor[None].astype(np.float32)))
        wanted.append(boxes)
    precision = multitask.mean_precision(found, wanted)
    assert precision >= 0.95  # what two things have one centre for is lost


def test_a_mirrored_frame_has_mirrored_boxes_and_labels(frames):
    plain, mirrored = (
        multitask.Truth(*multitask.truth_of(frames, 3, step)) for step in (1, -1)
    )
    assert torch.equal(plain.labels.flip(1), mirrored.labels)
    left, _, right, _ = plain.corners[plain.inside].T
    other_left, _, other_right, _ = mirrored.corners[mirrored.inside].T
    assert set((128 - right).tolist()) == set(other_left.tolist())
    assert set((128 - left).tolist()) == set(other_right.tolist())


def test_a_query_means_what_it_names(frames):
    task, kinds = TextTask(frames, frames, queries=3), set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        index = seed % len(frames)
        phrase, (color, kind), where = task._query(index, rng)
        words = phrase.split()
        named = [COLORS.index(w) for w in words if w in COLORS]
        meant = [KINDS.index(w) for w in words if w in KINDS]
        if set(words) == {"please"}:
            assert (color, kind) == (-1, -1)
            assert not where.any()
            continue
        kinds.add((bool(named), bool(meant)))
        assert [color] == (named or [len(COLORS)])
        assert [kind] == (meant or [len(KINDS)])
        wanted = asked_for(
            frames.instances[index],
            frames.attributes[index],
            *(found[0] if found else None for found in (named, meant)),
        )
        np.testing.assert_array_equal(where, wanted)
    assert kinds == {(True, False), (False, True), (True, True)}


def test_a_blind_network_is_given_no_words(frames):
    prompts = TextTask(frames, frames, blind=True).batch(np.random.default_rng(0))[1]
    assert prompts.shape == (48, 16)
    assert (prompts == PAD).all()


def test_a_caption_of_a_mirrored_frame_has_the_other_side(frames):
    left, right = (VOCABULARY.index(word) for word in ("left", "right"))
    sides = []
    for index in range(len(frames)):
        plain, mirrored = (caption.caption_ids(frames, index, s) for s in (1, -1))
        assert END in plain
        swapped = np.where(plain == left, right, np.where(plain == right, left, plain))
        np.testing.assert_array_equal(mirrored, swapped)
        sides += plain[np.isin(plain, (left, right))].tolist()
    assert {left, right} <= set(sides)


def test_labels_hear_the_networks_own_words_in_training_as_later():
    torch.manual_seed(0)
    network, rgb = REFERENCE["caption"].network().eval(), torch.randn(2, 3, 96, 128)
    with torch.inference_mode():
        own, taught = (
            network.describe(rgb),
            network.describe(rgb, torch.ones(2, 7).long()),
        )
    assert torch.equal(own.labels, taught.labels)
    assert torch.equal(own.words[:, 0], taught.words[:, 0])
    assert not torch.equal(own.words[:, 1], taught.words[:, 1])


def test_words_are_judged_by_those_of_content(frames):
    """Colours, kinds and sides, each word of the truth counted once."""

    class Says(torch.nn.Module):
        def forward(self, rgb):
            count = len(rgb)
            words = ["a", "red", "ball", "on", "the", "left", "."]
            ids = torch.tensor([[VOCABULARY.index(w) for w in words]])
            return {
                "labels": torch.zeros(count, 6, 96, 128),
                "tokens": ids.repeat(count, 1),
            }

    found = CaptionTask(frames, frames).evaluate(Says())
    texts = [caption.caption_ids(frames, i) for i in range(len(frames))]
    right = {
        "color": np.mean([row[1] == VOCABULARY.index("red") for row in texts]),
        "kind": np.mean([row[2] == VOCABULARY.index("ball") for row in texts]),
        "side": np.mean([row[5] == VOCABULARY.index("left") for row in texts]),
    }
    for name, share in right.items():
        assert found[name] == pytest.approx(share)
    assert found["content"] == pytest.approx(np.mean([*right.values()]))
    assert found["content_majority"] > found["content"]


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("", "prompt must have words, got ''."),
        ("   ", "prompt must have words, got '   '."),
        ("the red ball " * 6, "prompt must be at most 16 tokens"),
        ([], "prompt must be 1 to 8 texts, got 0."),
        (["ball"] * 9, "prompt must be 1 to 8 texts, got 9."),
    ],
)
def test_prompts_that_are_none_are_refused_in_one_sentence(
    bundles, frames, prompt, sentence
):
    segmenter = fuseg.load(bundles["text"][0], backend="onnxruntime")
    before = segmenter(rgb=frames.color[0])["labels"].labels.copy()
    with pytest.raises(ArgumentError, match=sentence) as err:
        segmenter(rgb=frames.color[0], prompt=prompt)
    assert str(err.value).count(". ") == 0
    # The prompt before stays.
    after = segmenter(rgb=frames.color[0])["labels"].labels
    np.testing.assert_array_equal(after, before)


def test_a_prompt_may_be_of_any_script_and_several_are_one_label_each(bundles, frames):
    segmenter = fuseg.load(bundles["text"][0], backend="onnxruntime")
    strange = ["красный шар", "赤い球", "כדור אדום", "🔴", "red ball\u0301"]
    for prompt in strange:
        result = segmenter(rgb=frames.color[0], prompt=prompt)
        assert [c.name for c in result["labels"].classes] == ["background", prompt]
    segmenter.set_prompts(strange)
    result = segmenter(rgb=frames.color[0])["labels"]
    assert [c.name for c in result.classes][1:] == strange
    assert result.labels.max() <= len(strange)


def test_the_text_runs_when_it_is_new(bundles):
    assert "prompt has a graph of its own" in bundles["text"][1]


def test_the_outputs_are_those_of_the_product(bundles, frames):
    segmenter = fuseg.load(bundles["multitask"][0], backend="onnxruntime")
    result = segmenter(rgb=frames.color[0])
    assert [c.name for c in result["labels"].classes] == ["room", *KINDS]
    assert [c.name for c in result["colors"].classes] == ["none", *COLORS]
    assert result["place"].scores.sum() == pytest.approx(1.0, abs=1e-5)
    assert result["boxes"].boxes.shape[1] == 4
    said = fuseg.load(bundles["caption"][0])(rgb=frames.color[0])["caption"]
    assert set(said.text.split()) <= set(VOCABULARY)


class Knows(torch.nn.Module):
    """Finds what is asked for by the truth, frame after frame; or whatever is there."""

    def __init__(self, frames, listens):
        super().__init__()
        self.frames, self.listens = frames, listens
        self.shown = {
            multitask.pictures([color]).numpy().tobytes(): index
            for index, color in enumerate(frames.color)
        }

    def forward(self, rgb, prompts):
        index = self.shown[rgb.numpy().tobytes()]
        pairs = [(color, kind) for color in range(4) for kind in range(5)]
        planes = [
            asked_for(
                self.frames.instances[index], self.frames.attributes[index], *pair
            )
            for pair in pairs
        ]
        features = torch.from_numpy(np.stack(planes)[None, :, 2::4, 2::4]).float()
        phrases = []
        for row in prompts.tolist():
            words = {VOCABULARY[i] for i in row}
            meant = [
                not self.listens
                or (
                    (not words & {*COLORS} or COLORS[color] in words)
                    and (not words & {*KINDS} or KINDS[kind] in words)
                )
                for color, kind in pairs
            ]
            phrases.append([1.0 if found else -1.0 for found in meant])
        return {"features": features, "phrases": torch.tensor(phrases)}


def test_phrases_are_followed_by_who_listens_and_not_by_who_looks_only():
    frames = render_many_things(range(12, 40))
    listening = TextTask(frames, frames).evaluate(Knows(frames, listens=True))
    assert listening["followed"] >= 0.95
    assert listening["absent"] == 0
    # Features are a fourth of the resolution.
    assert min(listening[f"iou_{form}"] for form in ("kind", "color", "both")) > 0.7
    looking = TextTask(frames, frames).evaluate(Knows(frames, listens=False))
    assert looking["followed"] == 0
    assert looking["absent"] > 0.1
    assert looking["iou_kind"] < 0.6
