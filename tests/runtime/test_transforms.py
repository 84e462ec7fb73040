"""Frames that are clipped and transformed before they are resized."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg.errors import ManifestError
from fuseg.manifest import Missing, Resize
from fuseg.robustness.spoil import Spoiler
from fuseg_export import reference
from fuseg_export.network.input_options import describe

FILTERS = ("nearest", "nearest-exact", "bilinear")
CLIPS = (None, (0.3, 4.0))
TRANSFORMS = (None, "log", "inverse", "min-max")
SAID = [(c, t) for c in CLIPS for t in TRANSFORMS if c or t]


def drawn(seed, dtype, camera=(13, 17)):
    """0 to 250, with holes of every sort."""
    rng = np.random.default_rng(seed)
    frame = rng.integers(0, 251, camera).astype(dtype)
    frame[rng.random(camera) < 0.1] = 9  # which is no reading
    if dtype == "float32":
        frame[rng.random(camera) < 0.1] = np.nan
        frame[0, :3] = np.inf, -np.inf, -7.0
    return frame


def defined(frame, spec):
    """One pixel at a time, in Python's numbers; NaN is no reading."""
    said = [float(v) * spec.scale for v in frame.ravel()]
    missing = [v in spec.invalid or not np.isfinite(v) for v in frame.ravel()]
    if spec.clip:
        said = [min(max(v, spec.clip[0]), spec.clip[1]) for v in said]
    readings = [v for v, gone in zip(said, missing, strict=True) if not gone]
    least, most = min(readings), max(readings)
    become = {
        None: lambda v: v,
        "log": lambda v: np.log(v) if v > 0 else np.nan,
        "inverse": lambda v: 1 / v if v else np.nan,
        "min-max": lambda v: (v - least) / (most - least),
    }[spec.transform]
    values = [
        np.nan if gone else become(v) for v, gone in zip(said, missing, strict=True)
    ]
    return np.array(values).reshape(frame.shape)


@pytest.fixture
def depth(plane_input):
    return plane_input(unit="1", invalid=(9,), scale=0.02, fill=-5.0)


@pytest.mark.parametrize(("clip", "transform"), SAID)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_frame_at_the_network_s_size_is_what_the_words_say(
    make_bundle, depth, dtype, clip, transform
):
    spec = replace(depth, dtype=dtype, clip=clip, transform=transform)
    spec = replace(spec, resize=Resize(13, 17, filter="nearest"))
    frame = drawn(1, dtype)
    values = defined(frame, spec)
    wanted = np.where(np.isnan(values), -5.0, (values - 2.0) / 1.5)
    found = fuseg.load(make_bundle(spec).path).preprocess(depth=frame)["depth"][0, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert 0 < np.isnan(values).mean() < 0.5


@pytest.mark.parametrize(("clip", "transform"), SAID)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_values_are_transformed_before_they_are_resized(
    make_bundle, depth, dtype, clip, transform
):
    for number, filter in enumerate(FILTERS):
        for fit in ("stretch", "letterbox"):
            spec = replace(depth, copies=2, mean=(2.0, 0.5), std=(1.5, 0.25))
            spec = replace(spec, dtype=dtype, clip=clip, transform=transform)
            spec = replace(spec, resize=Resize(7, 9, filter=filter, fit=fit))
            segmenter = fuseg.load(make_bundle(spec).path)
            for seed in (number, number + 3):  # into the buffers of the first
                frame = drawn(seed, dtype)
                wanted = reference.preprocess([spec], {"depth": frame})["depth"]
                found = segmenter.preprocess(depth=frame)["depth"]
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("transform", TRANSFORMS[1:])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_each_plane_of_a_map_is_transformed(make_bundle, map_input, dtype, transform):
    for planes in (1, 3):
        spec = map_input(
            planes=planes, dtype=dtype, transform=transform, clip=(0.1, 1.5)
        )
        shape = (13, 17) if planes == 1 else (13, 17, planes)
        frame = np.random.default_rng(planes).integers(0, 251, shape).astype(dtype)
        wanted = reference.preprocess([spec], {"hha": frame})["hha"]
        segmenter = fuseg.load(make_bundle(spec).path)
        for given in (frame, np.asfortranarray(frame)):
            found = segmenter.preprocess(hha=given)["hha"]
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("percentiles", [(2, 98), (25, 100)])
def test_percentiles_take_the_place_of_the_least_and_the_largest(
    make_bundle, depth, dtype, percentiles
):
    spec = replace(depth, dtype=dtype, transform="min-max", percentiles=percentiles)
    spec = replace(spec, resize=Resize(13, 17, filter="nearest"))
    segmenter = fuseg.load(make_bundle(spec).path)
    frame = drawn(8, dtype)
    readings = frame.ravel()[np.isfinite(frame.ravel()) & (frame.ravel() != 9)]
    ordered = np.sort(readings.astype(np.float64))
    least, most = np.interp(percentiles, np.linspace(0, 100, len(ordered)), ordered)
    share = np.clip((frame.astype(np.float64) - least) / (most - least), 0, 1)
    missing = ~np.isfinite(frame) | (frame == 9)
    wanted = np.where(missing, -5.0, (share - 2.0) / 1.5)
    found = segmenter.preprocess(depth=frame)["depth"]
    np.testing.assert_allclose(found[0, 0], wanted, rtol=1e-5, atol=1e-5)
    defined = reference.preprocess([spec], {"depth": frame})["depth"]
    np.testing.assert_allclose(found, defined, rtol=1e-5, atol=1e-5)
    blind = replace(spec, missing=Missing("substitute"))
    blind = fuseg.load(make_bundle(blind).path)(depth=np.full((9, 9), 9, dtype))
    assert blind.sources["depth"].cause == "invalid"


def test_a_frame_of_one_value_is_0_between_its_least_and_largest(make_bundle, depth):
    spec = replace(depth, transform="min-max", mean=(0.0,), std=(1.0,))
    segmenter = fuseg.load(make_bundle(spec).path)
    frame = np.full((9, 9), 700, np.uint16)
    assert (segmenter.preprocess(depth=frame)["depth"] == 0).all()


def test_a_frame_whose_values_have_no_logarithm_is_invalid(make_bundle, depth):
    spec = replace(depth, transform="log", missing=Missing("substitute"))
    segmenter = fuseg.load(make_bundle(spec).path)
    frame = np.zeros((9, 9), np.uint16)
    assert segmenter(depth=frame).sources["depth"].cause == "invalid"
    frame[4, 4] = 50
    assert segmenter(depth=np.repeat(frame, 8, 0)).sources["depth"].state == "fresh"
    clipped = replace(spec, clip=(0.5, 9.0))
    segmenter = fuseg.load(make_bundle(clipped).path)
    assert (
        segmenter(depth=np.zeros((9, 9), np.uint16)).sources["depth"].state == "fresh"
    )


def test_the_unit_said_when_loading_is_of_the_raw_values(make_bundle, plane_input):
    path = make_bundle(plane_input(clip=(0.5, 4.0), transform="inverse")).path
    frame = drawn(2, "uint16") * np.uint16(30)
    frame[0, 0] = 65535
    wanted = fuseg.load(path).preprocess(depth=frame)["depth"]
    metres = np.where(frame == 0, np.nan, frame / 1000).astype(np.float32)
    metres[0, 0] = 70  # what 16 bits of millimetres cannot hold
    found = fuseg.load(path, units={"depth": "m"}).preprocess(depth=metres)["depth"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_frame_is_not_changed_and_may_be_used_again(make_bundle, depth):
    spec = replace(depth, dtype="float32", clip=(0.3, 4.0), transform="min-max")
    segmenter = fuseg.load(make_bundle(spec).path)
    frame = drawn(3, "float32")
    before = frame.copy()
    first = segmenter.preprocess(depth=frame)["depth"]
    np.testing.assert_array_equal(frame, before)
    frame[...] = drawn(4, "float32")  # the same array, another picture
    second = segmenter.preprocess(depth=frame)["depth"]
    wanted = segmenter.preprocess(depth=drawn(4, "float32"))["depth"]
    np.testing.assert_array_equal(second, wanted)
    assert (first != second).any()


def test_what_a_mask_hides_is_no_reading(make_bundle, depth):
    spec = replace(depth, transform="min-max")
    segmenter = fuseg.load(make_bundle(spec).path)
    frame, hidden = drawn(5, "uint16"), np.random.default_rng(6).random((13, 17)) < 0.3
    found = segmenter.preprocess(depth=np.ma.masked_array(frame, hidden))["depth"]
    wanted = segmenter.preprocess(depth=np.where(hidden, 9, frame).astype(np.uint16))
    np.testing.assert_array_equal(found, wanted["depth"])


def test_noise_is_in_the_frame_s_own_deviations(depth):
    spoiler = Spoiler(replace(depth, transform="min-max", invalid=()))
    frame = drawn(7, "uint16", (60, 80)) + np.uint16(1000)
    noisy = spoiler.add_noise(frame, "low", np.random.default_rng(0)).astype(float)
    assert 0.05 < np.std(noisy - frame) / np.std(frame) < 1
    assert (spoiler.hide(frame, frame > 1100)[frame > 1100] == 0).all()


def test_what_is_said_of_an_input_names_them(make_bundle, depth):
    spec = replace(depth, clip=(0.3, 4.0), transform="log")
    assert "times 0.02, clipped to 0.3 to 4, log, minus 2," in describe(spec)
    result = CliRunner().invoke(app, ["inspect", str(make_bundle(spec).path)])
    assert "no reading: 9, clipped to 0.3 to 4, log" in result.stdout
    spec = replace(depth, transform="min-max", percentiles=(2, 98))
    assert ", min-max of percentiles 2 to 98, minus" in describe(spec)
    result = CliRunner().invoke(app, ["inspect", str(make_bundle(spec).path)])
    assert "no reading: 9, min-max of percentiles 2 to 98" in result.stdout


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"clip": (2.0, 2.0)}, "clip must begin with the lower one, got 2.0 and 2.0."),
        ({"clip": (2.0,)}, "clip must be a list of 2, got a list of 1."),
        ({"transform": "sqrt"}, "transform must be one of 'log', 'inverse', 'min-max'"),
    ],
)
def test_what_cannot_be_is_refused(depth, said, sentence):
    with pytest.raises(ManifestError) as refusal:
        replace(depth, **said)
    assert str(refusal.value).startswith(sentence)
