"""Live frames that are far from those a bundle was made with are warned about once."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fuseg
from fuseg import bundle, manifest
from fuseg.dataset.images import read_frame
from fuseg.errors import ManifestError
from fuseg_export.frames.statistics import measure

FRAMES = 12


def room(seed):
    """Depth of a room, in millimetres: most of it 0.9 to 5.2 m, a tenth without."""
    rng = np.random.default_rng(seed)
    depth = rng.uniform(900, 5200, (60, 80)) * rng.uniform(0.6, 1)
    depth[rng.random((60, 80)) < 0.1] = 0
    return {
        "rgb": rng.integers(20, 230, (60, 80, 3)).astype(np.uint8),
        "depth": depth.astype(np.uint16),
    }


@pytest.fixture
def known(rgbd):
    """The path of a bundle with statistics of rooms 100 to 111."""
    opened = bundle.Bundle.open(rgbd.path)
    rooms = [room(100 + i) for i in range(FRAMES)]
    inputs = tuple(
        replace(i, statistics=measure(i, [r[i.name] for r in rooms]))
        for i in opened.manifest.inputs
    )
    path = rgbd.path.with_name("known.fuseg")
    network = {"fp32.onnx": opened.read("fp32.onnx")}
    bundle.write(path, replace(opened.manifest, inputs=inputs, files={}), network)
    return path


def labelled(path, change, count=20, **options):
    segmenter = fuseg.load(path, **options)
    for seed in range(count):
        segmenter(**room(seed) | change(room(seed)))
    return segmenter


def test_rooms_like_those_are_nothing_to_tell(known, caplog):
    with caplog.at_level(logging.WARNING, logger="fuseg"):
        assert labelled(known, lambda _: {}).warnings == ()
        metres = labelled(
            known,
            lambda r: {"depth": r["depth"].astype(np.float32) / 1000},
            units={"depth": "m"},
        )
        assert metres.warnings == ()
        near = labelled(known, lambda r: {"depth": r["depth"] // 2})
        assert near.warnings == ()
        dim = labelled(known, lambda r: {"rgb": r["rgb"] // 4})
        assert dim.warnings == ()
    assert not caplog.records


CHANGES = {
    "a step of 0.1 mm": (
        lambda r: {"depth": r["depth"] * np.uint16(10)},
        r"depth: .* median is \d+ mm; 98 %.* between \d+ and \d+ mm\. If .* not in mm",
    ),
    "a step of 1 cm": (
        lambda r: {"depth": r["depth"] // 10},
        r"depth: its median is \d+ mm; ",
    ),
    "almost no reading": (
        lambda r: {"depth": np.where(r["rgb"][..., 0] < 60, r["depth"], 0)},
        r"depth: \d+% of its pixels are readings; .* it was 90%\.",
    ),
    "0 to 1": (
        lambda r: {"rgb": (r["rgb"] / 255).astype(np.uint8)},
        r"rgb: it is dark, 0 of 255 where it is brightest",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_far_outside_is_told_once(known, caplog, change):
    make, says = CHANGES[change]
    with caplog.at_level(logging.WARNING, logger="fuseg"):
        segmenter = labelled(known, make)
    (warning,) = segmenter.warnings
    assert [record.getMessage() for record in caplog.records] == [warning]
    with pytest.raises(AssertionError, match=says):
        raise AssertionError(warning)


def test_metres_that_are_millimetres_are_told(known):
    segmenter = labelled(
        known,
        lambda r: {"depth": r["depth"].astype(np.float32) / 1000},
        count=1,  # as `fuseg run` with one file of each sensor
        units={"depth": "cm"},
    )
    assert "its median is" in segmenter.warnings[0]


@pytest.mark.parametrize("order", ["GRAY", "RGBA"])
def test_a_dark_picture_is_one_of_any_channels(known, order):
    lit = {
        "GRAY": lambda r: np.ascontiguousarray(r["rgb"][..., 0]),
        "RGBA": lambda r: np.dstack([r["rgb"], np.full((60, 80), 255, np.uint8)]),
    }[order]
    options = {"channels": {"rgb": order}}
    assert labelled(known, lambda r: {"rgb": lit(r)}, **options).warnings == ()
    dark = labelled(
        known, lambda r: {"rgb": lit(r | {"rgb": r["rgb"] // 64})}, count=3, **options
    )
    assert "rgb: it is dark" in dark.warnings[0]


def test_two_frames_of_a_camera_that_starts_are_not_told(known):
    segmenter = fuseg.load(known)
    dark = np.zeros((60, 80, 3), np.uint8)
    for seed in range(30):
        segmenter(**room(seed) | ({"rgb": dark} if seed % 3 < 2 else {}))
    assert segmenter.warnings == ()


def test_later_frames_are_looked_at_too(known):
    segmenter = fuseg.load(known)
    for seed in range(8):
        segmenter(**room(seed))
    given = room(9)
    given["depth"] *= np.uint16(10)
    for _ in range(255):
        segmenter(**given)
    assert segmenter.warnings == ()
    segmenter(**given)
    assert len(segmenter.warnings) == 1


def test_statistics_are_those_of_numpy(rgbd):
    color, depth = bundle.Bundle.open(rgbd.path).manifest.inputs
    rooms = [room(i) for i in range(3)]
    found = measure(color, [r["rgb"] for r in rooms])
    pixels = np.concatenate([r["rgb"].reshape(-1, 3) for r in rooms])
    assert (found.frames, found.valid_share) == (3, 1.0)
    for key, percent in (("p1", 1), ("p50", 50), ("p99", 99)):
        np.testing.assert_allclose(
            getattr(found, key), np.percentile(pixels, percent, axis=0), rtol=1e-5
        )
    found = measure(depth, [r["depth"] for r in rooms])
    readings = np.concatenate([r["depth"][r["depth"] > 0] for r in rooms])
    assert found.valid_share == pytest.approx(readings.size / 3 / 4800, abs=1e-6)
    np.testing.assert_allclose(found.p50, [np.median(readings)], rtol=1e-5)
    assert measure(depth, [np.zeros((6, 8), np.uint16)]) is None


def test_few_frames_are_not_gone_by(known):
    opened = bundle.Bundle.open(known)
    inputs = tuple(
        replace(i, statistics=replace(i.statistics, frames=7))
        for i in opened.manifest.inputs
    )
    path = known.with_name("few.fuseg")
    network = {"fp32.onnx": opened.read("fp32.onnx")}
    bundle.write(path, replace(opened.manifest, inputs=inputs, files={}), network)
    assert labelled(path, CHANGES["a step of 1 cm"][0]).warnings == ()


GOOD = {"frames": 9, "valid_share": 0.9, "p1": (1.0,), "p50": (2.0,), "p99": (3.0,)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"frames": 0}, "frames must be at least 1"),
        ({"valid_share": 0}, "valid_share must be above 0"),
        ({"valid_share": 1.5}, "valid_share must be above 0 and at most 1, got 1.5"),
        ({"p50": (1.0, 2.0)}, "p50 must be a list of 1 like p1"),
        ({"p99": (1.5,)}, r"p50\[0\] must lie between p1 and p99"),
    ],
)
def test_statistics_that_are_none_are_refused(change, says):
    manifest.Statistics(**GOOD)
    with pytest.raises(ManifestError, match=says):
        manifest.Statistics(**GOOD | change)


def test_statistics_have_a_number_for_each_plane(color_input):
    with pytest.raises(ManifestError, match=r"statistics\.p1 must be a list of 3"):
        color_input(statistics=manifest.Statistics(**GOOD))


REAL = Path(__file__).parents[3] / "shared" / "data" / "rgbd"


def test_an_exported_bundle_knows_its_frames(rgbd_bundle):
    segmenter = fuseg.load(rgbd_bundle)
    rgb, depth = (i.statistics for i in segmenter.manifest.inputs)
    assert rgb.frames == depth.frames == 16
    assert 500 < depth.p1[0] < depth.p50[0] < depth.p99[0] < 7000  # rooms, in mm
    assert depth.valid_share > 0.9
    (given, _), _ = segmenter.bundle.samples()
    for _ in range(3):
        segmenter(**given)
    assert segmenter.warnings == ()
    for _ in range(3):
        segmenter(**given | {"depth": given["depth"] // 10})
    assert "depth: its median is" in segmenter.warnings[0]


@pytest.mark.skipif(not REAL.exists(), reason=f"the real frame is not there: {REAL}")
def test_a_real_room_is_like_the_rendered_ones_if_its_unit_is_said(rgbd_bundle):
    given = {
        "rgb": read_frame(REAL / "real_rgb.png", "color"),
        "depth": read_frame(REAL / "real_depth.png", "depth"),
    }
    segmenter = fuseg.load(rgbd_bundle, units={"depth": "0.1mm"})
    unsegmenter = fuseg.load(rgbd_bundle)
    for _ in range(3):
        segmenter(**given)
        unsegmenter(**given)
    assert segmenter.warnings == ()
    assert "If its frames are not in mm, say so when loading" in unsegmenter.warnings[0]
