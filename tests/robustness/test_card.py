"""The robustness card against plain Python; a sensor that is gone."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from robustness.plain import CLASSES, expected, miou
from runtime.programs import SIBLING, write_program

import fuseg
from fuseg.errors import ArgumentError
from fuseg.manifest import Missing
from fuseg.robustness import LabelledFrame, measure

FRAMES = 5
SUBSTITUTE = Missing("substitute")


@pytest.fixture
def labelled(frames):
    """``labelled(segmenter)``: frames whose truth is mostly what it says."""

    def make(segmenter, count=FRAMES):
        found = []
        for seed in range(count):
            random = np.random.default_rng([3, seed])
            given = frames(seed, 12, 16)
            if "ir" in [sensor.name for sensor in segmenter.manifest.sensors]:
                given["ir"] = frames(seed + 50, 12, 16)["depth"]
            truth = segmenter(**given).labels.copy()
            wrong = random.random(truth.shape) < 0.2
            truth[wrong] = random.integers(0, CLASSES, wrong.sum())
            truth[random.random(truth.shape) < 0.1] = 255
            found.append(LabelledFrame(given, truth))
        return found

    return make


@pytest.fixture
def three(make_bundle, color_input, plane_input):
    inputs = color_input(), plane_input(), plane_input("ir")
    inputs = [replace(entry, missing=SUBSTITUTE) for entry in inputs]
    return fuseg.load(make_bundle(*inputs).path)


def test_subsets_their_mean_and_expectation_are_as_defined(three, labelled):
    given = labelled(three)
    card = measure(three, given)
    names = ["rgb", "depth", "ir"]
    plain = {}
    for size in (3, 2, 1):
        for there in itertools.combinations(names, size):
            pairs = [
                (f.truth, three(**{n: f.given[n] for n in there}).labels) for f in given
            ]
            plain[there] = miou(pairs)
    assert [found.sensors for found in card.subsets] == list(plain)
    assert [found.miou for found in card.subsets] == pytest.approx(
        [*plain.values()], abs=1e-6
    )
    assert card.frames == FRAMES
    assert card.mean.miou == pytest.approx(sum(plain.values()) / 7, abs=1e-6)
    assert [e.p for e in card.expected] == [0.2, 0.1, 0.05]
    for found in card.expected:
        wanted = expected(plain, names, found.p)
        assert found.miou == pytest.approx(wanted, abs=1e-6)


def test_lost_pixels_average_the_sets_in_which_a_sensor_is_whole(three, labelled):
    card = measure(three, labelled(three))
    whole = card.subsets[0].miou
    for lost in card.lost_pixels:
        assert lost.sets[0].sensors == ("rgb", "depth", "ir")
        assert len(lost.sets) == 7
        some = [found.miou for found in lost.sets[1:]]
        assert lost.mean.miou == pytest.approx((whole + sum(some)) / 7, abs=2e-6)
    assert [lost.share for lost in card.lost_pixels] == [0.25, 0.5, 0.75]
    assert [noise.level for noise in card.noise] == ["low", "mid", "high"]
    worst = card.lost_pixels[-1].sets[0].miou
    assert worst < card.lost_pixels[0].sets[0].miou < whole


def test_intervals_are_of_frames_drawn_anew(three, labelled):
    given = labelled(three)
    card = measure(three, given)
    pairs = [(frame.truth, three(**frame.given).labels) for frame in given]
    random, drawn = np.random.default_rng(0), []
    known = {}
    for _ in range(1000):
        numbers = tuple(sorted(random.integers(0, FRAMES, FRAMES)))
        if numbers not in known:
            known[numbers] = miou([pairs[n] for n in numbers])
        drawn.append(known[numbers])
    wanted = np.percentile(drawn, (2.5, 97.5))
    assert card.subsets[0].interval == pytest.approx(wanted, abs=1e-6)
    low, high = card.subsets[0].interval
    assert low < card.subsets[0].miou < high


def test_the_same_frames_give_the_same_card(three, labelled):
    given = labelled(three, 2)
    assert measure(three, given) == measure(three, given)


def test_a_sensor_that_is_left_out_is_gone_and_not_held(load, labelled):
    """The frame before had depth, a moment ago: within any limit, if it were held."""
    held = load(depth=Missing("hold", 10_000.0, "refuse"))
    sentence = (
        "segmenter must hold no frame, as a sensor that is left out is gone, but depth "
        "does: load it with missing={'depth': {'policy': 'refuse'}}."
    )
    given = labelled(held)
    with pytest.raises(ArgumentError) as refused:
        measure(held, given)
    assert str(refused.value) == sentence
    gone = fuseg.load(held.bundle, missing={"depth": {"policy": "refuse"}})
    both, rgb, depth = measure(gone, given).subsets
    assert both.miou > 0.3
    assert (both.refused, both.refused_without) == (0, ())
    assert (rgb.miou, rgb.interval, rgb.refused) == (0.0, (0.0, 0.0), FRAMES)
    assert rgb.refused_without == ("depth",)
    assert depth.refused_without == ("rgb",)


def test_a_refused_frame_counts_as_wrong_at_every_pixel(load, labelled):
    segmenter = load()
    given = labelled(segmenter)
    given[1].given["depth"] = np.zeros((12, 16), np.uint16)
    found = measure(segmenter, given).subsets[0]
    assert (found.refused, found.refused_without) == (1, ("depth",))
    pairs = [
        (f.truth, None if n == 1 else segmenter(**f.given).labels)
        for n, f in enumerate(given)
    ]
    assert found.miou == pytest.approx(miou(pairs), abs=1e-6)


def test_states_go_on_along_the_frames_of_each_set(
    make_bundle, color_input, plane_input, tmp_path, frames
):
    path = write_program(
        make_bundle, color_input, plane_input, tmp_path / "p.fuseg", SIBLING
    )
    gone = {"depth": {"policy": "sibling"}}
    own = [fuseg.load(path, missing=gone) for _ in range(2)]
    given = [frames(seed) for seed in range(4)]
    both = [own[0](**frame).labels for frame in given]
    rgb = [own[1](rgb=frame["rgb"]).labels for frame in given]
    pairs = [
        LabelledFrame(frame, truth) for frame, truth in zip(given, both, strict=True)
    ]
    card = measure(fuseg.load(path, missing=gone), pairs)
    assert card.subsets[0].miou == 1
    wanted = miou(list(zip(both, rgb, strict=True)))
    assert card.subsets[1].miou == pytest.approx(wanted, abs=1e-6)


def test_one_sensor_has_a_card_without_a_mean_of_others(make_bundle, color_input):
    segmenter = fuseg.load(make_bundle(color_input()).path)
    rgb = np.full((6, 8, 3), 90, np.uint8)
    card = measure(segmenter, [LabelledFrame({"rgb": rgb}, segmenter(rgb=rgb).labels)])
    assert [found.miou for found in card.subsets] == [1.0]
    assert {lost.mean for lost in card.lost_pixels} == {None}
    assert {e.miou for e in card.expected} == {1.0}


@pytest.mark.parametrize("truth", [None, 255])
def test_nothing_that_counts_is_refused(load, labelled, truth):
    segmenter = load()
    given = [] if truth is None else labelled(segmenter, 1)
    for frame in given:
        frame.truth[:] = truth
    with pytest.raises(ArgumentError, match="must be measured on a frame with a label"):
        measure(segmenter, given)


def test_five_sensors_are_too_many(make_bundle, plane_input):
    five = [plane_input(name) for name in "abcde"]
    segmenter = fuseg.load(make_bundle(*five).path)
    with pytest.raises(ArgumentError) as refused:
        measure(segmenter, [])
    assert str(refused.value) == (
        "robustness runs every set of sensors: the bundle must have 1 to 4, got 5."
    )
