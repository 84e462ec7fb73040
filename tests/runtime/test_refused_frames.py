"""Frames and options that are refused: one sentence that names them, and a way out."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import fuseg
from fuseg import errors


@pytest.mark.parametrize(
    ("name", "bad", "error", "says"),
    [
        ("rgb", [[1]], errors.DTypeError, "rgb must be a NumPy array, got list"),
        ("rgb", fuseg.Frame(None), errors.DTypeError, "rgb .* got NoneType"),
        ("rgb", np.zeros((6, 8, 3)), errors.DTypeError, "rgb must be uint8, got fl"),
        ("rgb", np.zeros((6, 8), "u1"), errors.ShapeError, r"rgb .*\(H, W, 3\).*\(6, "),
        ("rgb", np.zeros((6, 8, 4), "u1"), errors.ShapeError, "rgb .*channels=.*RGBA"),
        ("rgb", np.zeros((3, 6, 8), "u1"), errors.ShapeError, "rgb .*transpose"),
        ("rgb", np.zeros((0, 8, 3), "u1"), errors.ShapeError, "rgb must not be empty"),
        (
            "rgb",
            np.zeros((6, 8, 4), "u1")[..., :3],
            errors.LayoutError,
            r"rgb .*np\.ascontiguousarray\(rgb\)",
        ),
        ("rgb", np.zeros((6, 16, 3), "u1")[:, ::2], errors.LayoutError, "rgb must"),
        (
            "depth",
            np.zeros((6, 8), "u1"),
            errors.DTypeError,
            "depth .*has lost the",
        ),
        ("depth", np.zeros((6, 8), ">u2"), errors.DTypeError, r"depth must be uint16"),
        ("depth", np.zeros((6, 8, 1), "u2"), errors.ShapeError, r"depth\[\.\.\., 0\]"),
        ("depth", np.zeros((6, 0), "u2"), errors.ShapeError, "depth must not be empty"),
        ("depth", np.zeros((8, 6), "u2").T, errors.LayoutError, "depth must have"),
    ],
)
def test_a_wrong_frame_is_refused_by_name(rgbd, frames, name, bad, error, says):
    with pytest.raises(error, match=says):
        fuseg.load(rgbd.path)(**frames(1) | {name: bad})


def test_rows_may_lie_anywhere(rgbd, frames):
    given = frames(1)
    segmenter = fuseg.load(rgbd.path)
    wanted = segmenter(**given).labels
    padded = {
        "rgb": np.pad(given["rgb"], ((2, 1), (3, 5), (0, 0)))[2:-1, 3:-5],
        "depth": np.pad(given["depth"][::-1], ((0, 0), (0, 9)))[::-1, :-9],
    }
    assert not any(frame.flags.c_contiguous for frame in padded.values())
    np.testing.assert_array_equal(segmenter(**padded).labels, wanted)


def test_a_name_that_is_no_input_is_refused_with_those_that_are(rgbd, frames):
    with pytest.raises(
        errors.ArgumentError, match=r"thermal: no such input.*rgb, depth"
    ):
        fuseg.load(rgbd.path)(**frames(1), thermal=np.zeros((6, 8), np.uint16))


@pytest.mark.parametrize("size", [(0, 4), (4,), 4, (4.0, 4), "ab"])
def test_a_size_that_is_none_is_refused(rgbd, frames, size):
    with pytest.raises(errors.ArgumentError, match="size must be"):
        fuseg.load(rgbd.path)(**frames(1), size=size)


def test_an_unfit_out_is_refused(rgbd, frames):
    segmenter, given = fuseg.load(rgbd.path), frames(1)
    with pytest.raises(errors.ShapeError, match=r"out must have shape \(6, 8\)"):
        segmenter(**given, out=np.zeros((8, 6), np.uint8))
    with pytest.raises(errors.DTypeError, match="out must be uint8"):
        segmenter(**given, out=np.zeros((6, 8), np.int8))
    locked = np.zeros((6, 8), np.uint8)
    locked.setflags(write=False)
    with pytest.raises(errors.ArgumentError, match="out must be writable"):
        segmenter(**given, out=locked)
    shared = given["depth"].view(np.uint8)[:3].reshape(6, 8)
    with pytest.raises(errors.ArgumentError, match="share memory with the frame depth"):
        segmenter(**given, out=shared)


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"units": {"sonar": "m"}}, "units must name inputs .*rgb, depth.*'sonar'"),
        ({"units": {"rgb": "m"}}, "units must name depth-like inputs, got 'rgb'"),
        ({"units": {"depth": "furlong"}}, r"units\['depth'\] must be m, cm"),
        ({"units": {"depth": "K"}}, r"units\['depth'\] must measure length"),
        ({"units": ["mm"]}, r"units must be a dict, as in .*, got \['mm'\]"),
        ({"units": 0}, "units must be a dict, as in .*, got 0"),
        ({"channels": []}, r"channels must be a dict, as in .*, got \[\]"),
        ({"channels": "BGR"}, "channels must be a dict, as in .*, got 'BGR'"),
        ({"channels": {"sonar": "RGB"}}, "channels must name inputs .*'sonar'"),
        ({"channels": {"depth": "RGB"}}, "channels must name colour inputs"),
        ({"channels": {"rgb": "GRB"}}, r"channels\['rgb'\] must be one of"),
        ({"variant": "int8"}, "variant must be one of fp32, got 'int8'"),
        ({"threads": 0}, "threads must be a whole number above 0"),
        ({"threads": 1.5}, "threads must be a whole number above 0"),
        ({"backend": "replay"}, "ReplayBackend"),
        (
            {"backend": "cuda"},
            r"backend must be one of auto, tensorrt, tensorrt-rtx, onnxruntime-cuda, ",
        ),
    ],
)
def test_a_wrong_option_of_load_is_refused(rgbd, option, says):
    with pytest.raises(errors.ArgumentError, match=says):
        fuseg.load(rgbd.path, **option)


def test_auto_says_in_the_log_what_it_chose(rgbd, caplog):
    with caplog.at_level(logging.INFO, logger="fuseg"):
        fuseg.load(rgbd.path, backend="auto")
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{rgbd.path}: variant fp32 on onnxruntime, by default: no NVIDIA GPU here; "
        "nothing is tuned here (fuseg tune)"
    )
