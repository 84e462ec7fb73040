"""One sensor in several planes: each has the same frame, its own mean and std."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

import fuseg
from fuseg.errors import ManifestError
from fuseg.manifest import Missing, Resize
from fuseg.robustness.spoil import Spoiler
from fuseg_export import reference
from fuseg_export.frames.statistics import measure
from fuseg_export.network.input_options import make_inputs
from fuseg_export.peers import opencv_planes

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FILTERS = ("nearest", "nearest-exact", "bilinear")


@pytest.fixture
def thermal(plane_input):
    """8 bits of heat, three times, as CMX, SGFNet and CMNeXt take them."""
    return plane_input(
        name="heat",
        kind="thermal",
        dtype="uint8",
        unit="1",
        invalid=(),
        copies=3,
        scale=1 / 255,
        mean=MEAN,
        std=STD,
    )


def drawn(seed, dtype, camera=(13, 17)):
    """A frame with holes: 0, or NaN."""
    rng = np.random.default_rng(seed)
    frame = rng.integers(1, 250, camera).astype(dtype)
    frame[rng.random(camera) < 0.2] = np.nan if dtype == "float32" else 0
    return frame


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("invalid", [(), (0,)])
def test_every_plane_is_what_the_definition_says(
    make_bundle, thermal, dtype, fit, invalid
):
    for number, filter in enumerate(FILTERS):
        resize = Resize(7, 9, filter=filter, fit=fit)
        spec = replace(thermal, dtype=dtype, resize=resize, invalid=invalid)
        frame = drawn(number, dtype)
        wanted = reference.preprocess([spec], {"heat": frame})["heat"]
        found = fuseg.load(make_bundle(spec).path).preprocess(heat=frame)["heat"]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)


def test_it_is_what_users_compute_who_repeat_the_plane(make_bundle, thermal):
    spec = replace(thermal, resize=Resize(13, 17, filter="nearest"))
    frame = drawn(3, "uint8")
    planes = torch.from_numpy(frame)[None].repeat(3, 1, 1).double() / 255
    mean, std = (torch.tensor(v).double()[:, None, None] for v in (MEAN, STD))
    found = fuseg.load(make_bundle(spec).path).preprocess(heat=frame)["heat"][0]
    np.testing.assert_allclose(found, ((planes - mean) / std).numpy(), atol=1e-6)


def test_it_is_stacked_behind_colours_and_before_others(
    make_bundle, color_input, plane_input, thermal, frames
):
    inputs = (
        color_input(tensor="all"),
        replace(thermal, tensor="all", channel=3),
        plane_input(tensor="all", channel=6),
    )
    given = frames(2) | {"heat": drawn(4, "uint8")}
    wanted = reference.preprocess(inputs, given)["all"]
    found = fuseg.load(make_bundle(*inputs).path).preprocess(**given)["all"]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_a_missing_frame_is_the_fill_in_every_plane(make_bundle, thermal):
    spec = replace(thermal, missing=Missing("substitute"))
    found = fuseg.load(make_bundle(spec).path).preprocess(heat=None)["heat"]
    assert (found == spec.fill).all()


def test_a_unit_said_when_loading_holds_for_every_plane(make_bundle, plane_input):
    spec = plane_input(copies=2, mean=(2.0, 1.0), std=(1.5, 0.5))
    path = make_bundle(spec).path
    frame = np.full((13, 17), 1500, np.uint16)
    wanted = fuseg.load(path).preprocess(depth=frame)["depth"]
    tenths = fuseg.load(path, units={"depth": "0.1mm"})
    found = tenths.preprocess(depth=frame * 10)["depth"]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert found[0, :, 0, 0] == pytest.approx([-1 / 3, 1.0])


def test_statistics_are_of_the_one_number_of_a_pixel(thermal):
    found = measure(thermal, [np.full((4, 4), 7, np.uint8)])
    assert (found.p50, found.valid_share) == ((7.0,), 1.0)
    assert replace(thermal, statistics=found).statistics == found
    with pytest.raises(ManifestError, match=r"statistics\.p1 must be a list of 1 "):
        replace(
            thermal, statistics=replace(found, p1=(1,) * 3, p50=(1,) * 3, p99=(1,) * 3)
        )


def test_a_spec_says_it_with_a_number_for_each_plane():
    spec = {"x": {"planes": 3, "mean": list(MEAN), "std": list(STD)}}
    words = ["rgb=color:6x8", "x=depth:6x8"]
    _, x = make_inputs(words, ["rgb,x"], spec)
    assert (x.planes, x.channel, x.mean, x.std) == (3, 3, MEAN, STD)
    (plain,) = make_inputs(["x=depth:6x8"], [], {"x": {"planes": 3}})
    assert (plain.mean, plain.std) == ((0.0,) * 3, (1.0,) * 3)
    with pytest.raises(
        ValueError, match="mean must be a list of 3 for kind 'depth' with planes 3, got"
    ):
        make_inputs(["x=depth:6x8"], [], {"x": {"planes": 3, "mean": [0.5]}})
    for wrong in (0, 65, 10**9, "3", True):
        with pytest.raises(ValueError, match="input x: planes must be "):
            make_inputs(["x=depth:6x8"], [], {"x": {"planes": wrong}})


def test_a_pixel_is_lost_and_noisy_in_the_one_frame(thermal):
    spoiler, rng = Spoiler(thermal), np.random.default_rng(0)
    frame = drawn(5, "uint8")
    hidden = spoiler.hide(frame, frame > 100)
    lost = 255 * (thermal.fill * np.array(STD) + MEAN)  # what gives the fill
    assert set(np.unique(hidden[frame > 100])) == {round(lost.mean())}
    assert spoiler.add_noise(frame, "low", rng).shape == frame.shape


def test_the_peer_of_a_benchmark_fills_every_plane(thermal):
    spec = replace(thermal, invalid=(0,), resize=Resize(13, 17, filter="nearest"))
    frame = drawn(6, "uint8")
    wanted = reference.preprocess([spec], {"heat": frame})["heat"][0]
    np.testing.assert_allclose(opencv_planes(cv2, spec, frame), wanted, atol=1e-5)
