"""One sensor, two element types: ROS sends 16UC1 millimetres and 32FC1 metres."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fuseg
from fuseg import errors
from fuseg_export import reference

SIZE = (60, 80)
BOTH = {"depth": {"uint16": "mm", "float32": "m"}}


def metres(depth):
    """As a driver converts it: no reading is NaN, or an infinity."""
    made = np.float32(depth) * np.float32(0.001)
    made[depth == 0] = np.nan
    made[depth == 65535] = np.inf
    return made


@pytest.fixture
def scene(frames):
    given = frames(5, *SIZE)
    given["depth"][::5, ::3] = 65535
    return given


@pytest.fixture
def ranged(make_bundle, color_input, plane_input):
    """Depth in float32 metres, where 0 is no reading."""
    depth = plane_input(dtype="float32", unit="m", scale=1.0, invalid=(0,))
    return make_bundle(color_input(), depth)


@pytest.mark.parametrize("filter", ["nearest", "bilinear"])
def test_metres_label_like_the_millimetres(
    make_bundle, color_input, plane_input, scene, filter
):
    depth = plane_input()
    depth = replace(depth, resize=replace(depth.resize, filter=filter))
    bundle = make_bundle(color_input(), depth)
    plain, converted = (
        fuseg.load(bundle.path),
        fuseg.load(bundle.path, units={"depth": "m"}),
    )
    given = scene | {"depth": metres(scene["depth"])}
    tensor = plain.preprocess(**scene)["depth"]
    np.testing.assert_allclose(
        converted.preprocess(**given)["depth"], tensor, atol=2e-6
    )
    np.testing.assert_array_equal(converted(**given).labels, plain(**scene).labels)


def test_millimetres_label_like_the_metres(ranged, scene):
    given = scene | {"depth": metres(scene["depth"])}
    plain = fuseg.load(ranged.path)
    converted = fuseg.load(ranged.path, units={"depth": "mm"})
    tensor = plain.preprocess(**given)["depth"]
    np.testing.assert_allclose(
        converted.preprocess(**scene)["depth"], tensor, atol=2e-6
    )
    np.testing.assert_array_equal(converted(**scene).labels, plain(**given).labels)


@pytest.mark.parametrize("which", ["rgbd", "ranged"])
def test_the_type_may_change_from_frame_to_frame(request, scene, which):
    bundle = request.getfixturevalue(which)
    segmenter = fuseg.load(bundle.path, units=BOTH)
    given = scene | {"depth": metres(scene["depth"])}
    wanted = segmenter(**scene).labels
    for frames in (given, scene, given):
        np.testing.assert_array_equal(segmenter(**frames).labels, wanted)


NO_READING = [
    *(0.0, -0.0, -1.5, 0.0004, 65.535, 65.6, 70.0, 3.4028235e38, -3.4028235e38),
    *(np.nan, np.inf, -np.inf),
]


@pytest.mark.parametrize("value", NO_READING)
def test_what_16_bits_cannot_deliver_is_no_reading(rgbd, frames, value):
    segmenter = fuseg.load(rgbd.path, units={"depth": "m"})
    depth = np.full((6, 8), 1.25, np.float32)
    depth[2, 3] = value
    plane = segmenter.preprocess(**frames(0) | {"depth": depth})["depth"][0, 0]
    wanted = np.full((6, 8), (1.25 - 2.0) / 1.5)
    wanted[2, 3] = -1  # the manifest's fill
    np.testing.assert_allclose(plane, wanted, atol=1e-6)
    with pytest.raises(errors.FrameError, match=r"depth \(no valid pixel\)"):
        segmenter(**frames(0) | {"depth": np.full((6, 8), value, np.float32)})


@pytest.mark.parametrize("value", [0.0006, 65.534])
def test_what_16_bits_hold_is_a_reading(rgbd, frames, value):
    segmenter = fuseg.load(rgbd.path, units={"depth": "m"})
    depth = np.full((6, 8), value, np.float32)
    plane = segmenter.preprocess(**frames(0) | {"depth": depth})["depth"]
    np.testing.assert_allclose(plane, (value - 2.0) / 1.5, atol=1e-5)


def test_a_mark_among_the_readings_is_none_in_metres_too(make_bundle, plane_input):
    """2047 is what the first Kinect sends for no reading."""
    bundle = make_bundle(plane_input(invalid=(2047,)))
    segmenter = fuseg.load(bundle.path, units={"depth": "m"})
    depth = np.float32([[0.0, 2.046, 2.048, 2047 * np.float32(0.001), 2.047]])
    depth = np.ascontiguousarray(np.repeat(depth, 6, 0)[:, [0, 1, 2, 3, 4, 4, 4, 4]])
    plane = segmenter.preprocess(depth=depth)["depth"][0, 0, 0]
    wanted = [-2 / 1.5, 0.046 / 1.5, 0.048 / 1.5, -1, -1, -1, -1, -1]
    np.testing.assert_allclose(plane, wanted, atol=1e-6)


def test_a_type_without_a_unit_is_not_guessed(rgbd, ranged, scene):
    given = metres(scene["depth"])
    with pytest.raises(errors.DTypeError, match=r"units=\{'depth': 'm'\}"):
        fuseg.load(rgbd.path)(**scene | {"depth": given})
    with pytest.raises(errors.DTypeError, match="'uint16': 'mm'"):
        fuseg.load(ranged.path)(**scene)


def test_whole_numbers_of_metres_are_taken_for_a_mistake(rgbd, scene):
    """units={"depth": "m"} is said for 32FC1; 16UC1 of the same topic is in mm."""
    segmenter = fuseg.load(rgbd.path, units={"depth": "m"})
    with pytest.raises(
        errors.DTypeError, match="must be float32, got uint16"
    ) as caught:
        segmenter(**scene)
    assert str(BOTH) in str(caught.value)


def test_8_bits_are_never_taken_for_more(rgbd, scene):
    segmenter = fuseg.load(rgbd.path, units={"depth": "mm"})
    with pytest.raises(errors.DTypeError, match="An 8-bit image has lost the sensor's"):
        segmenter(**scene | {"depth": (scene["depth"] >> 8).astype(np.uint8)})


@pytest.mark.parametrize(
    ("units", "says"),
    [
        ({"uint8": "mm"}, r"units\['depth'\] must name .* uint16 or float32, got 'u"),
        ({"float32": "K"}, r"units\['depth'\] must measure length"),
        ({"float32": None}, r"units\['depth'\] must be m, cm,"),
        (5, r"units\['depth'\] must be m, cm,"),
    ],
)
def test_a_wrong_unit_of_a_type_is_refused(rgbd, units, says):
    with pytest.raises(errors.ArgumentError, match=says):
        fuseg.load(rgbd.path, units={"depth": units})


def test_temperatures_too(make_bundle, plane_input):
    thermal = plane_input("thermal", kind="thermal", unit="0.01K", scale=0.01)
    bundle = make_bundle(replace(thermal, mean=(290.0,), std=(10.0,), invalid=(0,)))
    raw = np.arange(28000, 28048, dtype=np.uint16).reshape(6, 8)
    plain = fuseg.load(bundle.path).preprocess(thermal=raw)
    converted = fuseg.load(bundle.path, units={"thermal": "K"})
    kelvin = (raw / 100).astype(np.float32)
    made = converted.preprocess(thermal=kelvin)
    np.testing.assert_allclose(made["thermal"], plain["thermal"], atol=1e-5)


def test_no_return_of_the_largest_float_is_no_reading(make_bundle, plane_input):
    """A LiDAR driver's 3.4e38, divided by a std below 1, was infinity in the tensor."""
    spec = plane_input("range", kind="range", dtype="float32", unit="m", invalid=())
    for filter in ("nearest", "bilinear"):
        resize = replace(spec.resize, filter=filter)
        odd = replace(spec, scale=1.0, std=(0.5,), resize=resize)
        bundle = make_bundle(odd)
        given = {"range": np.full((30, 40), 3.0, np.float32)}
        given["range"][10:20, 10:20] = np.float32(3.4028235e38)
        tensor = fuseg.load(bundle.path).preprocess(**given)["range"]
        wanted = reference.preprocess([odd], given)["range"]
        assert (wanted == -1).any()
        np.testing.assert_allclose(tensor, wanted, atol=1e-5)
