"""Policies and limits changed at load; calls that depend on no earlier one; causes."""

from __future__ import annotations

import ast
import pickle
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

import fuseg
from fuseg import Frame, errors, manifest

MS = 1_000_000
HOUR_MS = 3_600_000
HOLD = manifest.Missing("hold", 200, "substitute")
EMPTY = np.zeros((6, 8), np.uint16)  # 0 is no reading


@pytest.fixture
def rgbd_held(make_bundle, color_input, plane_input):
    """Colour refuses to be missing, depth is held for 200 ms and then substituted."""
    return make_bundle(color_input(), plane_input(missing=HOLD)).path


def at(arrays, **ms):
    """The arrays named in ``ms``, with these stamps."""
    return {name: Frame(arrays[name], when * MS) for name, when in ms.items()}


# Causes


def test_the_causes_are_these_four():
    """Users count by them: a new word is a change of the interface."""
    assert get_args(errors.Cause) == ("absent", "invalid", "late", "early")


@pytest.mark.parametrize(
    ("policy", "state"), [("substitute", "substituted"), ("hold", "held")]
)
@pytest.mark.parametrize(
    ("stamp", "pixels", "cause"),
    [
        (None, None, "absent"),
        (1000, EMPTY, "invalid"),
        (799, None, "late"),
        (800, None, None),
        (1050, None, None),
        (1051, None, "early"),
    ],
)
def test_every_cause_under_every_policy(
    rgbd_held, frames, policy, state, stamp, pixels, cause
):
    limits = {"max_age_ms": 200, "max_ahead_ms": 50}
    then = {"then": "substitute"} if policy == "hold" else {}
    asked = {"depth": {"policy": policy, **limits, **then}}
    segmenter, given = fuseg.load(rgbd_held, missing=asked), frames()
    segmenter(**at(given, rgb=900, depth=900))
    call = at(given, rgb=1000)
    if stamp is not None:
        pixels = given["depth"] if pixels is None else pixels
        call["depth"] = Frame(pixels, stamp * MS)
    result = segmenter(**call, stamp_ns=1000 * MS)
    assert result.sources["depth"].cause == cause
    assert result.sources["depth"].state == (state if cause else "fresh")
    assert result.sources["rgb"] == fuseg.Source("fresh", 0.0, None)
    refusing = fuseg.load(rgbd_held, missing={"depth": {"policy": "refuse", **limits}})
    if cause is None:
        assert not refusing(**call, stamp_ns=1000 * MS).degraded
    else:
        with pytest.raises(errors.FrameError) as refused:
            refusing(**call, stamp_ns=1000 * MS)
        assert refused.value.causes == {"depth": cause}
        assert pickle.loads(pickle.dumps(refused.value)).causes == {"depth": cause}


def test_a_clock_an_hour_ahead_is_named_by_all_it_makes_late(load, frames):
    given = at(frames(), rgb=0, depth=HOUR_MS)
    result = load(rgb=manifest.Missing("substitute"))(**given)
    assert result.reason == (
        "rgb: substituted (its frame is 3600000 ms older than depth's, more than 500"
        " ms)"
    )
    assert result.sources["rgb"].cause == "late"
    with pytest.raises(errors.FrameError, match=r"^rgb .* older than depth's") as late:
        load()(**given)
    assert late.value.causes == {"rgb": "late"}
    # With the time given, the one that is wrong is the one that is not used.
    with pytest.raises(errors.FrameError, match=r"^depth .*ahead of stamp_ns") as early:
        load()(**given, stamp_ns=0)
    assert early.value.causes == {"depth": "early"}


def test_the_newest_frame_too_is_late_by_the_calls_own_stamp(load, frames):
    """As from cameras that have both stopped."""
    with pytest.raises(errors.FrameError) as refused:
        load()(**at(frames(), rgb=0, depth=0), stamp_ns=501 * MS)
    assert refused.value.causes == {"rgb": "late", "depth": "late"}


def test_what_the_error_suggests_labels_the_frames_that_are_there(load, frames, rgbd):
    segmenter, given = load(), frames()
    with pytest.raises(errors.FrameError) as refused:
        segmenter(rgb=given["rgb"])
    suggested = str(refused.value).partition("missing=")[2].removesuffix(").")
    loaded = fuseg.load(segmenter.bundle.path, missing=ast.literal_eval(suggested))
    tensors = fuseg.load(rgbd.path).preprocess(**given)
    tensors["depth"][:] = -1.0
    wanted = rgbd.scores(tensors).argmax(0)
    np.testing.assert_array_equal(loaded(rgb=given["rgb"]).labels, wanted)


@pytest.mark.parametrize("stamp", [2**63, -(2**63) - 1, 10**400])
def test_a_stamp_of_more_than_64_bits_is_refused(load, frames, stamp):
    with pytest.raises(errors.ArgumentError, match="stamp_ns of rgb must be nano"):
        load()(**{n: Frame(a, stamp) for n, a in frames().items()})
    with pytest.raises(errors.ArgumentError, match="stamp_ns must be nanoseconds"):
        load()(**frames(), stamp_ns=stamp)


# load(missing=)


def test_only_the_keys_that_are_named_change(rgbd_held):
    def found(missing):
        return [
            i.missing for i in fuseg.load(rgbd_held, missing=missing).manifest.inputs
        ]

    refuse = manifest.Missing("refuse")
    assert found(None) == found({}) == [refuse, HOLD]
    longer = manifest.Missing("hold", 300, "substitute")
    assert found({"depth": {"max_age_ms": 300}}) == [refuse, longer]
    assert found({"rgb": {"max_age_ms": None}}) == [
        manifest.Missing("refuse", None),
        HOLD,
    ]
    # `then` belongs to `hold` and goes with it; the limits stay.
    given = {"depth": {"policy": "refuse", "max_ahead_ms": 5}}
    assert found(given)[1] == manifest.Missing("refuse", 200, max_ahead_ms=5)
    both = {"rgb": {"policy": "hold", "then": "refuse"}, "depth": {"then": "refuse"}}
    wanted = [manifest.Missing("hold", age, "refuse") for age in (500, 200)]
    assert found(both) == wanted


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        (
            {"dept": {}},
            "missing must name inputs of the bundle (rgb, depth), got 'dept'",
        ),
        (
            "hold",
            "missing must be a dict, as in {'rgb': {'policy': 'substitute'}}, got",
        ),
        ({"depth": "hold"}, "missing['depth'] must be a dict, as in {'policy': 'subs"),
        ({"depth": {"policy": "drop"}}, "missing['depth'].policy must be one of 'refu"),
        (
            {"depth": {"max_age": 1}},
            "missing['depth'].max_age is not a key of the form",
        ),
        (
            {"depth": {1: 1}},
            "missing['depth'].1 is not a key of the format; known here",
        ),
        (
            {"depth": {"max_age_ms": "1"}},
            "missing['depth'].max_age_ms must be a number",
        ),
        (
            {"depth": {"max_age_ms": None}},
            "missing['depth'].max_age_ms must be above 0",
        ),
        ({"rgb": {"max_ahead_ms": -1}}, "missing['rgb'].max_ahead_ms must not be nega"),
        (
            {"rgb": {"max_age_ms": float("nan")}},
            "missing['rgb'].max_age_ms must be a n",
        ),
        (
            {"rgb": {"max_age_ms": float("inf")}},
            "missing['rgb'].max_age_ms must be a n",
        ),
        (
            {"rgb": {"policy": "hold"}},
            "missing['rgb'].then is missing: it must be 'ref",
        ),
        ({"rgb": {"then": "substitute"}}, "missing['rgb'].then must be absent unless"),
    ],
)
def test_a_policy_that_breaks_the_schema_is_refused(rgbd_held, missing, sentence):
    with pytest.raises(errors.ArgumentError) as refused:
        fuseg.load(rgbd_held, missing=missing)
    assert str(refused.value).startswith(sentence)
    assert str(refused.value).endswith(".")


def test_a_clone_has_the_policies_it_was_made_with(rgbd_held, frames):
    keys = {"policy": "substitute"}
    segmenter = fuseg.load(rgbd_held, missing={"rgb": keys}, hold=False)
    keys["policy"] = "refuse"  # what was given may change afterwards
    twin = segmenter.clone()
    assert twin.manifest == segmenter.manifest
    assert twin(depth=frames()["depth"]).sources["rgb"].state == "substituted"
    twin(**frames(), stamp_ns=0)
    twin(**frames())  # another clock


# load(hold=False)


def test_without_hold_no_frame_is_held(rgbd_held, frames):
    segmenter = fuseg.load(rgbd_held, hold=False)
    segmenter(**at(frames(), rgb=0, depth=0))
    result = segmenter(**at(frames(), rgb=1))
    assert result.sources["depth"] == fuseg.Source("substituted", None, "absent")
    assert result.reason == "depth: substituted (no frame)"
    refusing = {"depth": {"then": "refuse"}}
    segmenter = fuseg.load(rgbd_held, missing=refusing, hold=False)
    segmenter(**at(frames(), rgb=0, depth=0))
    with pytest.raises(errors.FrameError):
        segmenter(**at(frames(), rgb=1))
    # The limits stay.
    with pytest.raises(errors.FrameError):
        segmenter(**at(frames(), rgb=201, depth=0))


def test_without_hold_each_call_has_a_clock_of_its_own(rgbd_held, frames):
    segmenter = fuseg.load(
        rgbd_held, missing={"rgb": {"policy": "substitute"}}, hold=False
    )
    segmenter(**frames())
    segmenter(**frames(), stamp_ns=5)
    segmenter(**at(frames(), rgb=0, depth=0))
    segmenter()  # what time it is there is of no use: nothing is held
    segmenter(**frames())
    with pytest.raises(errors.ArgumentError, match="depth must carry a stamp"):
        segmenter(rgb=Frame(frames()["rgb"], 0), depth=frames()["depth"])


def test_without_hold_no_cameras_size_is_remembered(
    make_bundle, color_input, plane_input, frames
):
    sized = [
        replace(i, resize=replace(i.resize, fit="letterbox"), missing=HOLD)
        for i in (color_input(), plane_input())
    ]
    path = make_bundle(*sized).path
    big, small = frames(1, 24, 16), frames(2, 9, 20)
    segmenter = fuseg.load(path, hold=False)
    fresh = segmenter(depth=small["depth"])
    assert fresh.labels.shape == (9, 20)
    segmenter(**big)
    again = segmenter(depth=small["depth"])
    np.testing.assert_array_equal(again.labels, fresh.labels)


def test_hold_is_a_bool(rgbd_held):
    with pytest.raises(errors.ArgumentError, match="hold must be True or False, got 0"):
        fuseg.load(rgbd_held, hold=0)


# The camera of what is held


def test_a_late_frame_of_another_size_does_not_move_the_held_picture(
    make_bundle, color_input, plane_input, frames
):
    fit = manifest.Resize(6, 8, filter="bilinear", fit="letterbox")
    depth = plane_input(resize=replace(fit, filter="nearest"))
    segmenter = fuseg.load(
        make_bundle(color_input(resize=fit, missing=HOLD), depth).path
    )
    wide, tall = frames(1, 12, 32), frames(2, 32, 12)
    whole = segmenter(**at(wide, rgb=0, depth=0)).labels
    late = at(wide, depth=150) | {"rgb": Frame(tall["rgb"], -100 * MS)}
    result = segmenter(**late)
    assert result.sources["rgb"] == fuseg.Source("held", 150.0, "late")
    np.testing.assert_array_equal(result.labels, whole)
