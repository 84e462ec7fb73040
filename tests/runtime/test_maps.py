"""Maps of numbers, of one plane or several: read as declared, or refused in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fuseg
from fuseg import errors
from fuseg.manifest import Missing, Resize
from fuseg_export import reference
from fuseg_export.frames.statistics import measure

FILTERS = ("nearest", "nearest-exact", "bilinear")


def drawn(seed, dtype, planes, height=13, width=17):
    """A frame with holes."""
    rng = np.random.default_rng(seed)
    shape = (height, width) if planes == 1 else (height, width, planes)
    frame = rng.integers(0, 200, shape).astype(dtype)
    frame[rng.random(shape) < 0.2] = np.nan if dtype == "float32" else 0
    return frame


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("planes", [1, 2, 3, 5])
def test_a_map_feeds_what_the_definition_says(
    make_bundle, map_input, planes, dtype, fit
):
    for number, filter in enumerate(FILTERS):
        resize = Resize(6, 8, filter=filter, fit=fit)
        spec = map_input(planes=planes, dtype=dtype, resize=resize)
        segmenter = fuseg.load(make_bundle(spec).path)
        frame = drawn(number, dtype, planes)
        wanted = reference.preprocess([spec], {"hha": frame})["hha"]
        for given_frame in (frame, np.asfortranarray(frame)):
            found = segmenter.preprocess(hha=given_frame)["hha"]
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
        assert (found == -2).any() or filter == "bilinear"


def test_planes_of_one_tensor_may_come_from_several_sensors(
    make_bundle, color_input, map_input, frames
):
    color = color_input(tensor="all")
    spec = map_input(tensor="all", channel=3, planes=2)
    segmenter = fuseg.load(make_bundle(color, spec).path)
    given_frames = {"rgb": frames(1)["rgb"], "hha": drawn(1, "uint8", 2)}
    wanted = reference.preprocess([color, spec], given_frames)
    found = segmenter.preprocess(**given_frames)
    np.testing.assert_allclose(found["all"], wanted["all"], atol=1e-4)


def test_a_map_without_a_reading_in_any_plane_is_invalid(make_bundle, map_input):
    spec = map_input(planes=2, missing=Missing("substitute"))
    segmenter = fuseg.load(make_bundle(spec).path)
    frame = np.zeros((9, 9, 2), np.uint8)
    blind = segmenter(hha=frame)
    assert blind.sources["hha"].cause == "invalid"
    assert (segmenter.preprocess(hha=frame)["hha"] == -2).all()
    frame[..., 1] = 7
    assert segmenter(hha=frame).sources["hha"].state == "fresh"


@pytest.mark.parametrize(("dtype", "none"), [("uint8", 0), ("float32", np.nan)])
def test_what_a_mask_hides_is_no_reading(make_bundle, map_input, dtype, none):
    segmenter = fuseg.load(make_bundle(map_input(dtype=dtype)).path)
    frame = drawn(2, dtype, 3)
    hidden = np.random.default_rng(3).random(frame.shape) < 0.3
    masked = np.ma.masked_array(frame, hidden)
    wanted = segmenter.preprocess(hha=np.where(hidden, none, frame).astype(dtype))
    np.testing.assert_array_equal(
        segmenter.preprocess(hha=masked)["hha"], wanted["hha"]
    )


ADVICE = {
    "float64": ({"dtype": "float32"}, lambda a: a.astype(np.float64)),
    "wider integers": ({}, lambda a: a.astype(np.int32)),
    "floats of bytes": ({}, lambda a: a.astype(np.float32)),
    "planes first": ({}, lambda a: np.moveaxis(a, -1, 0)),
    "an axis too many": ({}, lambda a: a[None]),
    "one plane with its axis": ({"planes": 1}, lambda a: a[..., None]),
}


@pytest.mark.parametrize("name", ADVICE)
def test_what_a_refusal_says_to_do_is_done(make_bundle, map_input, name):
    changes, change = ADVICE[name]
    spec = map_input(**changes)
    segmenter = fuseg.load(make_bundle(spec).path)
    frame = np.maximum(np.nan_to_num(drawn(4, spec.dtype, spec.planes)), 9)
    given_frame = change(frame)
    with pytest.raises(errors.FusegError) as caught:
        segmenter(hha=given_frame)
    advice = caught.value.fault.advice
    code = advice[advice.index(": ") + 2 :].removesuffix(".")
    followed = eval(code, {"np": np, "hha": given_frame})
    np.testing.assert_array_equal(
        segmenter(hha=followed).labels, segmenter(hha=frame).labels
    )


def test_a_mask_has_a_way_out_without_a_value_for_no_reading(make_bundle, map_input):
    segmenter = fuseg.load(make_bundle(map_input(invalid=())).path)
    frame = drawn(4, "uint8", 3)
    hidden = np.ma.masked_array(frame, frame < 40)
    with pytest.raises(errors.DTypeError, match=r"may be 0: hha.filled\(0\)\.$"):
        segmenter(hha=hidden)
    black = np.where(frame < 40, 0, frame).astype(np.uint8)
    np.testing.assert_array_equal(
        segmenter(hha=hidden.filled(0)).labels, segmenter(hha=black).labels
    )


def test_statistics_are_of_each_plane(map_input):
    spec = map_input(planes=2)
    frame = np.zeros((10, 10, 2), np.uint8)
    frame[..., 0] = 3
    frame[:5, :, 1] = 8
    found = measure(spec, [frame])
    assert (found.p50, found.valid_share) == ((3.0, 8.0), 0.75)
    assert measure(spec, [np.zeros((2, 2, 2), np.uint8)]) is None


def test_a_plane_far_from_what_the_bundle_was_made_with_is_told(make_bundle, map_input):
    spec = map_input(planes=2)
    known = replace(measure(spec, [drawn(5, "uint8", 2)]), frames=20)
    spec = replace(spec, statistics=replace(known, p99=(60.0, 60.0), p50=(30.0, 30.0)))
    segmenter = fuseg.load(make_bundle(spec).path)
    frame = np.full((9, 9, 2), 20, np.uint8)
    segmenter(hha=frame)
    assert segmenter.warnings == ()
    frame[..., 1] = 250
    segmenter(hha=frame)
    assert "hha: the median of its plane 1 is 250" in segmenter.warnings[0]
