"""One clock per Segmenter, and a refused call that changes nothing of it."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg import Frame, errors, manifest

MS = 1_000_000
START = 1_700_000_000_000_000_000  # ROS time: does not fit a double
HOLD = manifest.Missing("hold", 200, "substitute")


def at(frames, ms):
    """Frames with a stamp, ``ms`` after START."""
    return {name: Frame(array, START + ms * MS) for name, array in frames.items()}


def rgb_at(frames, ms):
    return {"rgb": at(frames, ms)["rgb"]}


def test_stamped_and_plain_frames_do_not_mix(load, frames):
    plain, stamped = frames(), at(frames(), 0)
    with pytest.raises(errors.ArgumentError, match=r"depth must carry.* rgb does"):
        load()(rgb=stamped["rgb"], depth=plain["depth"])
    segmenter = load()
    segmenter(**stamped)
    with pytest.raises(errors.ArgumentError, match=r"rgb, depth must carry.*clone\(\)"):
        segmenter(**plain)
    segmenter.clone()(**plain)
    other = load()
    other(**plain)
    with pytest.raises(errors.ArgumentError, match="rgb, depth must not carry"):
        other(**stamped)
    with pytest.raises(errors.ArgumentError, match="stamp_ns must not carry"):
        other(**plain, stamp_ns=START)


@pytest.mark.parametrize("stamp", [1.5, "now", True])
def test_a_stamp_is_whole_nanoseconds(load, frames, stamp):
    given = {name: Frame(array, stamp) for name, array in frames().items()}
    with pytest.raises(errors.ArgumentError, match="stamp_ns of rgb must be whole"):
        load()(**given)
    with pytest.raises(errors.ArgumentError, match="stamp_ns must be whole"):
        load()(**frames(), stamp_ns=stamp)


# A refused call changes nothing


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"rgb": None}, errors.FrameError),
        ({"rgb": np.zeros((6, 8), np.uint8)}, errors.ShapeError),
        ({"depth": np.zeros((6, 8))}, errors.DTypeError),
        ({"size": (0, 0)}, errors.ArgumentError),
        ({"out": np.zeros((1, 1), np.uint8)}, errors.ShapeError),
        ({"sonar": np.zeros((6, 8), np.uint16)}, errors.ArgumentError),
    ],
)
@pytest.mark.parametrize("stamped", [True, False])
def test_a_refused_call_changes_nothing(load, frames, bad, error, stamped):
    segmenter = load(depth=manifest.Missing("hold", 60_000, "refuse"))
    given, other = frames(1), frames(2)
    first = {"stamp_ns": START} if stamped else {}
    second = {"stamp_ns": START + 10 * MS} if stamped else {}
    whole = segmenter(**given, **first).labels
    with pytest.raises(error):
        segmenter(**second | other | bad)
    result = segmenter(rgb=given["rgb"], **second)
    assert result.sources["depth"].state == "held"
    assert not stamped or result.sources["depth"].age_ms == 10.0
    np.testing.assert_array_equal(result.labels, whole)


def test_a_refused_first_call_does_not_choose_the_clock(load, frames):
    segmenter = load()
    with pytest.raises(errors.FrameError):
        segmenter(**rgb_at(frames(), 0))
    assert not segmenter(**frames()).degraded


def test_preprocess_follows_the_policies_and_remembers_nothing(load, frames):
    segmenter, given = load(depth=HOLD), frames(1)
    with pytest.raises(errors.FrameError):
        segmenter.preprocess(depth=given["depth"])
    segmenter.preprocess(**at(given, 0))
    segmenter(**given)  # still free to choose the other clock
    tensors = segmenter.preprocess(rgb=given["rgb"])
    np.testing.assert_array_equal(
        tensors["depth"], segmenter.preprocess(**given)["depth"]
    )
