"""Missing, late and invalid frames: each policy, and the time it goes by."""

from __future__ import annotations

import time

import numpy as np
import pytest

import fuseg
from fuseg import Frame, errors, manifest
from fuseg.runtime.sensor_sync import SensorDecision, decide

MS = 1_000_000
START = 1_700_000_000_000_000_000  # ROS time: does not fit a double
REFUSE = manifest.Missing("refuse")
SUBSTITUTE = manifest.Missing("substitute")
HOLD = manifest.Missing("hold", 200, "substitute")
HOLD_THEN_REFUSE = manifest.Missing("hold", 200, "refuse")
EMPTY = np.zeros((6, 8), np.uint16)  # 0 is no reading


def at(frames, ms):
    """Frames with a stamp, ``ms`` after START."""
    return {name: Frame(array, START + ms * MS) for name, array in frames.items()}


def rgb_at(frames, ms):
    return {"rgb": at(frames, ms)["rgb"]}


def state(result, name):
    source = result.sources[name]
    return source.state, source.age_ms


# Fresh


def test_frames_given_now_are_fresh(load, frames):
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    result = load()(**frames())
    assert before <= result.stamp_ns <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert {name: state(result, name) for name in result.sources} == {
        "rgb": ("fresh", 0.0),
        "depth": ("fresh", 0.0),
    }
    assert (result.degraded, result.reason) == (False, None)


def test_the_moment_is_the_newest_stamp_and_the_others_have_an_age(load, frames):
    given = at(frames(), 0) | {"depth": Frame(frames()["depth"], START - 30 * MS)}
    result = load()(**given)
    assert result.stamp_ns == START
    assert (state(result, "rgb"), state(result, "depth")) == (
        ("fresh", 0.0),
        ("fresh", 30.0),
    )


def test_the_moment_is_the_calls_own_if_given(load, frames):
    result = load()(**at(frames(), 0), stamp_ns=START + 12 * MS)
    assert result.stamp_ns == START + 12 * MS
    assert state(result, "depth") == ("fresh", 12.0)
    early = load()(**at(frames(), 0), stamp_ns=np.int64(START - 5 * MS))
    assert state(early, "depth") == ("fresh", -5.0)


def test_plain_frames_are_of_the_moment_the_call_says(load, frames):
    segmenter = load(depth=HOLD)
    first = segmenter(**frames(), stamp_ns=START)
    assert (first.stamp_ns, state(first, "depth")) == (START, ("fresh", 0.0))
    second = segmenter(rgb=frames()["rgb"], stamp_ns=START + 70 * MS)
    assert state(second, "depth") == ("held", 70.0)


def test_an_invalid_frame_does_not_set_the_moment(load, frames):
    given = rgb_at(frames(), 0) | {"depth": Frame(EMPTY, START + 40 * MS)}
    assert load(depth=SUBSTITUTE)(**given).stamp_ns == START
    # ... unless it is all there is.
    only = load(rgb=SUBSTITUTE, depth=SUBSTITUTE)(depth=given["depth"])
    assert only.stamp_ns == START + 40 * MS


# Refuse


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, r"depth \(no frame\): no usable frame"),
        ({"depth": None}, r"depth \(no frame\)"),
        ({"depth": EMPTY}, r"depth \(no valid pixel\)"),
        ({"rgb": None}, r"rgb \(no frame\), depth \(no frame\)"),
    ],
)
def test_refuse_names_the_sensor_and_why(load, frames, given, says):
    with pytest.raises(errors.FrameError, match=says):
        load()(**{"rgb": frames()["rgb"]} | given)


def test_float_depth_of_nothing_but_nan_and_infinity_has_no_valid_pixel(
    make_bundle, plane_input
):
    made = make_bundle(plane_input(dtype="float32", unit="m", scale=1.0, invalid=()))
    depth = np.full((6, 8), np.nan, np.float32)
    depth[1] = np.inf
    with pytest.raises(errors.FrameError, match=r"depth \(no valid pixel\)"):
        fuseg.load(made.path)(depth=depth)
    depth[2, 3] = 0.0
    tensor = fuseg.load(made.path).preprocess(depth=depth)["depth"][0, 0]
    wanted = np.full((6, 8), -1.0)
    wanted[2, 3] = (0.0 - 2.0) / 1.5
    np.testing.assert_allclose(tensor, wanted, atol=1e-6)


# Substitute


def test_a_substituted_sensor_is_its_fill_in_every_plane(load, frames):
    segmenter = load(rgb=SUBSTITUTE, depth=SUBSTITUTE)
    segmenter(**frames())
    tensors = segmenter.preprocess()
    assert (tensors["rgb"] == 0.25).all()
    assert (tensors["depth"] == -1.0).all()
    result = segmenter(rgb=frames()["rgb"])
    assert state(result, "depth") == ("substituted", None)
    assert result.degraded
    assert result.reason == "depth: substituted (no frame)"


def test_substitution_really_reaches_the_network(load, frames, rgbd):
    segmenter, given = load(depth=SUBSTITUTE), frames()
    tensors = fuseg.load(rgbd.path).preprocess(**given)
    tensors["depth"][:] = -1.0
    wanted = rgbd.scores(tensors).argmax(0)
    for depth in (None, EMPTY):
        segmenter(**given)
        labels = segmenter(rgb=given["rgb"], depth=depth).labels
        np.testing.assert_array_equal(labels, wanted)
    assert not np.array_equal(segmenter(**given).labels, wanted)


def test_one_substituted_sensor_leaves_the_others_planes_of_a_shared_tensor(
    make_bundle, color_input, plane_input, frames
):
    made = make_bundle(
        color_input(tensor="x"),
        plane_input(tensor="x", channel=3, missing=SUBSTITUTE),
    )
    segmenter = fuseg.load(made.path)
    both = segmenter.preprocess(**frames())["x"]
    alone = segmenter.preprocess(rgb=frames()["rgb"])["x"]
    np.testing.assert_array_equal(alone[0, :3], both[0, :3])
    assert (alone[0, 3] == -1.0).all()


# Hold


def test_a_held_frame_is_the_last_good_one_until_it_is_too_old(load, frames):
    segmenter, given = load(depth=HOLD), frames(1)
    whole = segmenter(**at(given, 0)).labels
    at_limit = segmenter(**rgb_at(given, 200))
    assert state(at_limit, "depth") == ("held", 200.0)
    assert at_limit.degraded
    assert at_limit.reason == "depth: held, 200 ms old"
    np.testing.assert_array_equal(at_limit.labels, whole)
    past = segmenter(**rgb_at(given, 201))
    assert state(past, "depth") == ("substituted", None)
    assert past.reason == (
        "depth: substituted (no frame; the held one is 201 ms older than rgb's, "
        "more than 200 ms)"
    )
    # It is gone now, whatever comes next.
    assert state(segmenter(**rgb_at(given, 202)), "depth") == ("substituted", None)


def test_an_expired_frame_is_refused_if_the_policy_says_so_then(load, frames):
    segmenter = load(depth=HOLD_THEN_REFUSE)
    segmenter(**at(frames(), 0))
    with pytest.raises(errors.FrameError, match=r"depth \(no frame; .*300 ms older"):
        segmenter(**rgb_at(frames(), 300))
    with pytest.raises(errors.FrameError, match=r"depth \(no frame; none held\)"):
        load(depth=HOLD_THEN_REFUSE)(**rgb_at(frames(), 0))


def test_an_invalid_frame_does_not_destroy_the_held_one(load, frames):
    segmenter, given = load(depth=HOLD), frames(1)
    wanted = segmenter.preprocess(**given)["depth"]
    whole = segmenter(**at(given, 0)).labels
    invalid = rgb_at(given, 85) | {"depth": Frame(EMPTY, START + 85 * MS)}
    result = segmenter(**invalid)
    assert result.reason == "depth: held, 85 ms old (no valid pixel)"
    np.testing.assert_array_equal(result.labels, whole)
    tensors = segmenter.preprocess(**rgb_at(given, 90))
    np.testing.assert_array_equal(tensors["depth"], wanted)


def test_a_late_frame_is_not_used_and_not_kept(load, frames):
    segmenter, given, other = load(depth=HOLD), frames(1), frames(2)
    whole = segmenter(**at(given, 0)).labels
    late = rgb_at(given, 190) | {"depth": Frame(other["depth"], START - 60 * MS)}
    result = segmenter(**late)
    assert result.reason == (
        "depth: held, 190 ms old (its frame is 250 ms older than rgb's, more than "
        "200 ms)"
    )
    np.testing.assert_array_equal(result.labels, whole)


def test_a_late_colour_frame_is_not_used_and_not_painted_on(load, frames):
    segmenter, given, other = load(rgb=HOLD), frames(1), frames(2)
    whole = segmenter(**at(given, 0)).labels
    late = at(given, 150) | {"rgb": Frame(other["rgb"], START - 60 * MS)}
    result = segmenter(**late)
    assert state(result, "rgb") == ("held", 150.0)
    np.testing.assert_array_equal(result.labels, whole)
    with pytest.raises(errors.ArgumentError, match="frame must be given"):
        result.overlay()


def test_a_held_frame_is_used_from_the_future_up_to_the_limit(load, frames):
    segmenter = load(depth=HOLD)
    segmenter(**at(frames(), 1000))
    result = segmenter(**rgb_at(frames(), 950))  # the default is 100 ms
    assert state(result, "depth") == ("held", -50.0)
    assert result.reason == "depth: held, 50 ms ahead"
    result = segmenter(**rgb_at(frames(), 0))  # the clock went backwards
    assert result.reason == (
        "depth: substituted (no frame; the held one lies 1000 ms ahead of rgb's, "
        "more than 100 ms)"
    )
    assert result.sources["depth"].cause == "absent"
    assert state(segmenter(**rgb_at(frames(), 1001)), "depth")[0] == "substituted"


def test_frames_without_stamps_are_held_by_the_time_they_arrived(load, frames):
    segmenter = load(depth=manifest.Missing("hold", 60_000, "refuse"))
    first = segmenter(**frames())
    time.sleep(0.02)
    result = segmenter(rgb=frames()["rgb"])
    name, age = state(result, "depth")
    assert name == "held"
    assert age == (result.stamp_ns - first.stamp_ns) / MS
    assert 20 <= age < 60_000


def test_what_is_held_grows_old_while_the_machine_sleeps(load, frames, monkeypatch):
    segmenter = load(depth=HOLD)
    segmenter(**frames())
    awake = time.clock_gettime_ns

    def after_an_hour_of_sleep(clock):
        return awake(clock) + 3_600_000 * MS * (clock == time.CLOCK_BOOTTIME)

    monkeypatch.setattr(time, "clock_gettime_ns", after_an_hour_of_sleep)
    result = segmenter(rgb=frames()["rgb"])
    assert state(result, "depth") == ("substituted", None)
    assert "the held one is 36000" in result.reason


def test_a_call_without_any_frame_follows_the_policies(load, frames):
    segmenter = load(rgb=HOLD, depth=HOLD)
    whole = segmenter(**at(frames(), 0)).labels
    result = segmenter(stamp_ns=START + 50 * MS)
    assert result.reason == "rgb: held, 50 ms old; depth: held, 50 ms old"
    np.testing.assert_array_equal(result.labels, whole)
    with pytest.raises(errors.ArgumentError, match="stamp_ns must be given"):
        segmenter()
    never = load(rgb=SUBSTITUTE, depth=SUBSTITUTE)()
    assert never.degraded
    assert never.labels.shape == (6, 8)  # the network's own size: no camera is known
    with pytest.raises(errors.FrameError, match="rgb"):
        load(depth=HOLD)()


def test_labels_keep_the_size_of_a_held_camera(load, frames):
    segmenter = load(rgb=HOLD, depth=HOLD)
    depth = frames(1, 10, 9)["depth"]
    assert segmenter(depth=depth).labels.shape == (10, 9)  # all there is
    segmenter(rgb=frames(1, 12, 16)["rgb"], depth=depth)
    assert segmenter(depth=depth).labels.shape == (12, 16)


# The rule by itself


@pytest.mark.parametrize("then", ["refuse", "substitute"])
@pytest.mark.parametrize("age", [None, -50.1, -50.0, 0.0, 200.0, 200.1])
@pytest.mark.parametrize("held", [None, -50.1, -50.0, 0.0, 200.0, 200.1])
def test_hold_prefers_the_given_frame_then_the_held_one_then_the_other_policy(
    then, age, held
):
    decision = decide(
        manifest.Missing("hold", 200, then, max_ahead_ms=50),
        cause="absent" if age is None else None,
        age_ms=age,
        held_age_ms=held,
        against="rgb's",
    )
    cause = {None: "absent", 200.1: "late", -50.1: "early"}.get(age)
    if cause is None:
        assert decision == SensorDecision("fresh", age, None, None)
    elif held in (-50.0, 0.0, 200.0):
        wanted = ("held", held, cause)
        assert (decision.state, decision.age_ms, decision.cause) == wanted
    else:
        wanted = ({"refuse": "refused", "substitute": "substituted"}[then], None, cause)
        assert (decision.state, decision.age_ms, decision.cause) == wanted


@pytest.mark.parametrize(
    ("policy", "state"), [("refuse", "refused"), ("substitute", "substituted")]
)
@pytest.mark.parametrize(
    ("age", "cause"),
    [(500.0, None), (500.000001, "late"), (-100.0, None), (-100.000001, "early")],
)
def test_every_policy_has_a_limit_in_both_directions(policy, state, age, cause):
    asked = {"cause": None, "age_ms": age, "held_age_ms": None, "against": "rgb's"}
    decision = decide(manifest.Missing(policy), **asked)
    assert (decision.state, decision.cause) == (state if cause else "fresh", cause)
    endless = manifest.Missing(policy, None, max_ahead_ms=None)
    assert decide(endless, **asked | {"age_ms": age * 1e9}).state == "fresh"
