"""Shares of the sensors in each class, by labels that a bundle really gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from explain.test_shapley import by_orders

import fuseg
from fuseg.errors import ArgumentError, FrameError, ShapeError
from fuseg.explain import GRID, contributions, occlusion
from fuseg.manifest import Missing
from fuseg.robustness import Spoiler

CLASSES = 4
SUBSTITUTE = Missing("substitute")


@pytest.fixture
def loaded(make_bundle, color_input, plane_input, onnx_of):
    """``loaded(weights)``: three sensors that may be missing, and their frames."""

    def make(change=lambda _: None, missing=SUBSTITUTE, rgb=None):
        inputs = color_input(), plane_input(fill=0.0), plane_input("ir", fill=0.0)
        inputs = [replace(entry, missing=missing) for entry in inputs]
        inputs[0] = replace(inputs[0], missing=rgb or missing)
        made = make_bundle(*inputs)
        change(made.weights)
        path = make_bundle(*inputs, onnx=onnx_of(made)).path
        return fuseg.load(path)

    return make


@pytest.fixture
def three_frames(frames):
    def make(count=3):
        given = [frames(seed, 12, 16) for seed in range(count)]
        for seed, each in enumerate(given):
            each["ir"] = frames(seed + 50, 12, 16)["depth"]
        return given

    return make


def iou(pairs, label):
    """Pixel by pixel, in plain Python."""
    both = either = 0
    for expected, labels in pairs:
        for a, b in zip(
            expected.ravel().tolist(), labels.ravel().tolist(), strict=True
        ):
            if a != 255:
                both += a == label and b == label
                either += label in (a, b)
    return both / either if either else 0.0


@pytest.mark.parametrize("with_truth", [False, True])
def test_shares_are_of_ious_over_all_frames(loaded, three_frames, with_truth):
    segmenter, given = loaded(), three_frames()
    whole = [segmenter(**frame).labels for frame in given]
    expected = whole
    if with_truth:
        random = np.random.default_rng(1)
        expected = [labels.copy() for labels in whole]
        for truth in expected:
            wrong = random.random(truth.shape)
            truth[wrong < 0.3] = (truth[wrong < 0.3] + 1) % CLASSES
            truth[wrong > 0.9] = 255
    found = contributions(
        segmenter,
        zip(given, expected if with_truth else [None] * 3, strict=True),
    )
    assert (found.frames, found.refused) == (3, {})
    assert found.against == ("truth" if with_truth else "all sensors")
    sets = found.sets
    assert len(sets) == 7
    for label in range(CLASSES):
        one = found.classes[f"class{label}"]
        plain = {}
        for subset in sets:
            made = [segmenter(**{n: f[n] for n in subset}).labels for f in given]
            plain[subset] = iou(list(zip(expected, made, strict=True)), label)
        if not any((labels == label).any() for labels in expected):
            assert one is None
            continue
        assert one.values == pytest.approx(plain)
        assert one.contributions == pytest.approx(by_orders(found.sensors, plain))
        assert sum(one.contributions.values()) == pytest.approx(one.total)
        assert one.total == plain[found.sensors] <= 1
        if one.total == 0:
            assert one.shares is None
        else:
            assert sum(one.shares.values()) == pytest.approx(1)
    assert any(one is not None for one in found.classes.values())


def test_a_class_that_is_not_in_the_truth_is_worth_nothing(loaded, three_frames):
    segmenter, (given, *_) = loaded(), three_frames()
    labels = segmenter(**given).labels
    label = int(labels[0, 0])
    truth = np.full(labels.shape, (label + 1) % CLASSES, np.uint8)
    one = contributions(segmenter, [(given, truth)]).classes[f"class{label}"]
    assert (set(one.values.values()), one.total, one.shares) == ({0.0}, 0, None)
    assert set(one.contributions.values()) == {0.0}


def test_a_sensor_that_the_network_does_not_read_has_no_share(loaded, three_frames):
    def deaf(weights):
        weights[:, 4] = 0

    segmenter = loaded(deaf, rgb=Missing("refuse"))  # so that ir alone is nothing
    found = contributions(segmenter, [(f, None) for f in three_frames()])
    for one in found.classes.values():
        if one is not None:
            assert one.shares["ir"] == pytest.approx(0, abs=1e-12)


def test_sensors_that_are_read_alike_share_alike(loaded, three_frames):
    def alike(weights):
        weights[:, 4] = weights[:, 3]

    given = three_frames()
    for frame in given:
        frame["ir"] = frame["depth"]
    found = contributions(loaded(alike), [(f, None) for f in given])
    for one in found.classes.values():
        if one is not None:
            assert one.shares["ir"] == pytest.approx(one.shares["depth"])


def test_what_is_refused_is_worth_nothing_and_counted(loaded, three_frames):
    refusing = loaded(missing=Missing("refuse"))
    given = three_frames()
    found = contributions(refusing, [(frame, None) for frame in given])
    assert set(found.refused.values()) == {3}
    assert len(found.refused) == 6
    for one in found.classes.values():
        if one is not None:
            assert one.shares == pytest.approx(dict.fromkeys(found.sensors, 1 / 3))
    given[0]["depth"] = np.zeros((12, 16), np.uint16)
    with pytest.raises(FrameError, match="depth \\(no valid pixel\\)"):
        contributions(refusing, [(given[0], None)])


def test_held_frames_and_other_sizes_of_truth_are_refused(loaded, three_frames):
    held = loaded(missing=Missing("hold", 10_000.0, "substitute"))
    with pytest.raises(ArgumentError, match="segmenter must hold no frame"):
        contributions(held, [])
    with pytest.raises(ShapeError, match=r"camera's size \(12, 16\), got \(6, 8\)"):
        contributions(loaded(), [(three_frames()[0], np.zeros((6, 8), np.uint8))])


def test_a_hidden_patch_loses_what_lies_beneath_it(make_bundle, color_input, onnx_of):
    """Red pixels are class 1; what is hidden becomes the mean colour, class 0."""
    entry = color_input(size=(18, 24), missing=SUBSTITUTE)
    made = make_bundle(entry, classes=2)
    made.weights[:], made.bias[:] = 0, 0
    made.weights[1, 0], made.bias[1] = 1.0, -1.0  # above the mean by one deviation
    segmenter = fuseg.load(make_bundle(entry, classes=2, onnx=onnx_of(made)).path)
    rgb = np.full((18, 24, 3), 100, np.uint8)
    rgb[4:8, 8:12] = 250  # cells 2 and 3 down, 4 and 5 across: one patch
    lost = occlusion(segmenter, {"rgb": rgb}, "rgb", Spoiler(entry), 1)
    assert lost.shape == GRID
    inside = np.zeros(GRID, bool)
    inside[2:4, 4:6] = True
    around = np.zeros(GRID, bool)
    around[1:5, 3:7] = True  # patches that overlap reach so far
    assert (lost[~around] == 0).all()
    # Of the four patches that cover an inner cell one hides all, two half of it.
    assert lost[inside] == pytest.approx([(1 + 0.5 + 0.5 + 0.25) / 4] * 4)
    assert occlusion(segmenter, {"rgb": rgb * 0}, "rgb", Spoiler(entry), 1) is None
