"""Frames to verify on: rendered for every kind of sensor, or the user's own."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from fuseg.errors import ArgumentError, InputFileError
from fuseg_export.frames import frame_set
from fuseg_export.frames.files import FileDataset
from fuseg_export.frames.frame_set import FrameSet, first, with_examples
from fuseg_export.frames.rendered import as_frame_set, labelled_rooms, rooms
from fuseg_export.network.input_options import make_inputs
from fuseg_export.network.inputs import read_inputs
from fuseg_export.reference import preprocess
from fuseg_export.scenes import HELD_OUT_SEEDS, render


@pytest.fixture(scope="module")
def scene():
    return render(HELD_OUT_SEEDS[0], 48, 64)


def seen(word, scene, **spec):
    inputs = make_inputs([word], [], {word.partition("=")[0]: spec})
    (array,) = as_frame_set(inputs, scene, labelled=False).arrays.values()
    return array


def test_colour_is_the_scene_s_in_the_camera_s_order(scene):
    rgb = seen("c=color:8x8", scene)
    assert rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, scene.color)
    bgr = seen("c=color:8x8", scene, channels="BGR")
    assert bgr.flags.c_contiguous
    np.testing.assert_array_equal(bgr[..., ::-1], scene.color)


@pytest.mark.parametrize(
    ("unit", "dtype", "steps_a_mm"),
    [
        ("mm", "uint16", 1),
        ("0.1mm", "uint16", 10),
        ("m", "float32", 1e-3),
        ("cm", "uint8", 0.1),
        ("1", "uint16", 1),
    ],
)
def test_depth_is_the_scene_s_in_the_declared_unit(scene, unit, dtype, steps_a_mm):
    frame = seen("d=depth:8x8", scene, unit=unit, dtype=dtype, invalid=[0])
    assert frame.dtype == dtype
    hole = scene.depth == 0
    assert hole.any()
    expected = scene.depth[~hole] * steps_a_mm
    if dtype == "float32":
        assert np.isnan(frame[hole]).all()
        np.testing.assert_allclose(frame[~hole], expected, 1e-6)
    else:
        assert (frame[hole] == 0).all()
        top = np.iinfo(dtype).max
        np.testing.assert_allclose(frame[~hole], np.clip(expected, 0, top), atol=0.51)


def test_every_plane_of_a_map_is_the_brightness(scene):
    frame = seen("m=plane:8x8", scene, planes=2, dtype="uint8")
    assert (frame.shape, frame.dtype) == ((48, 64, 2), np.uint8)
    assert len(np.unique(frame)) > 50
    np.testing.assert_array_equal(frame[..., 0], frame[..., 1])
    assert seen("m=plane:8x8", scene).max() <= 1.0


def test_a_hole_is_the_sensor_s_own_word_for_it(scene):
    frame = seen("d=depth:8x8", scene, invalid=[65535])
    assert (frame[scene.depth == 0] == 65535).all()


@pytest.mark.parametrize(
    ("unit", "dtype", "low", "high"),
    [
        ("1", "uint16", 0, 65535),
        ("1", "uint8", 0, 255),
        ("1", "float32", 0, 1),
        ("0.01K", "uint16", 28500, 31000),
        ("K", "float32", 285, 310),
        ("C", "float32", 12, 37),
    ],
)
def test_thermal_is_the_brightness_on_the_sensor_s_scale(scene, unit, dtype, low, high):
    frame = seen("t=thermal:8x8", scene, unit=unit, dtype=dtype)
    assert frame.dtype == dtype
    gray = scene.color @ np.array([0.299, 0.587, 0.114]) / 255
    step = 0.51 if dtype != "float32" else 1e-3
    np.testing.assert_allclose(frame, low + gray * (high - low), atol=step)


def test_rendered_rooms_are_those_that_no_training_saw():
    inputs = make_inputs(["c=color:8x8", "d=depth:8x8"], [], {})
    frame = labelled_rooms(inputs, range(1))[0]
    scene = render(HELD_OUT_SEEDS[0], 480, 640)
    np.testing.assert_array_equal(frame.arrays["c"], scene.color)
    np.testing.assert_array_equal(frame.truth, scene.labels)
    assert rooms(inputs, range(1))[0].truth is None


@pytest.fixture
def folders(tmp_path):
    """Three frame sets of colour and depth, and a colour picture without a partner."""
    rng = np.random.default_rng(0)
    for i in range(4):
        folder = tmp_path / "rgb"
        folder.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "depth").mkdir()
    for i in range(3):
        np.save(tmp_path / "depth" / f"{i}.npy", np.full((6, 8), i + 1, np.uint16))
    return tmp_path


INPUTS = make_inputs(["rgb=color:8x8", "depth=depth:8x8"], [], {})


def read(inputs, sources):
    return first(FileDataset(inputs, sources), frame_set.STAGE_FRAMES)


def test_the_user_s_frames_are_paired_by_stem(folders):
    sources = {"depth": str(folders / "depth"), "rgb": str(folders / "rgb" / "*.png")}
    frames = read(INPUTS, sources)
    assert [frame.arrays["depth"][0, 0] for frame in frames] == [1, 2, 3]
    for i, frame in enumerate(frames):
        picture = np.array(Image.open(folders / "rgb" / f"{i}.png"))
        np.testing.assert_array_equal(frame.arrays["rgb"], picture)
        assert frame.truth is None


def test_pictures_are_turned_to_the_declared_order_and_arrays_are_not(folders):
    inputs = make_inputs(["rgb=color:8x8"], [], {"rgb": {"channels": "BGR"}})
    picture = np.array(Image.open(folders / "rgb" / "0.png"))
    (frame,) = read(inputs, {"rgb": str(folders / "rgb" / "0.png")})
    np.testing.assert_array_equal(frame.arrays["rgb"], picture[..., ::-1])
    np.save(folders / "bgr.npy", picture)
    (frame,) = read(inputs, {"rgb": str(folders / "bgr.npy")})
    np.testing.assert_array_equal(frame.arrays["rgb"], picture)


def test_only_the_first_frames_are_read(folders, monkeypatch):
    monkeypatch.setattr(frame_set, "STAGE_FRAMES", 2)
    sources = {"depth": str(folders / "depth"), "rgb": str(folders / "rgb")}
    assert len(read(INPUTS, sources)) == 2


@pytest.mark.parametrize(
    ("rgb", "depth", "sentence"),
    [
        ("rgb", None, "given for each of rgb, depth, got rgb"),
        ("rgb/3.png", "depth/*.npy", "no frame has a file of each input"),
        ("rgb", "nowhere", "--frames depth: .*nowhere"),
        ("depth", "depth", r"rgb: .*0\.npy must be uint8 \(H, W, 3\), got uint16 \(6"),
        ("rgb", "float", "depth: .* must be uint16 .* got float32 .*--spec"),
        (
            "rgb",
            "bytes",
            "depth: .* must be uint16 .* uint8 .*has lost the sensor",
        ),
        ("rgb", "empty", "depth: .* must be uint16 .*: it holds no pixel"),
        ("rgb", "cube", "depth: .* must be uint16 .*: give frames of one plane"),
    ],
)
def test_frames_that_do_not_fit_are_refused(folders, rgb, depth, sentence):
    for name, array in (
        ("float", np.ones((6, 8), np.float32)),
        ("bytes", np.ones((6, 8), np.uint8)),
        ("empty", np.ones((0, 8), np.uint16)),
        ("cube", np.ones((6, 8, 3), np.uint16)),
    ):
        (folders / name).mkdir()
        for i in range(3):
            np.save(folders / name / f"{i}.npy", array)
    sources = {"rgb": str(folders / rgb)}
    if depth:
        sources["depth"] = str(folders / depth)
    with pytest.raises((ArgumentError, InputFileError)) as caught:
        read(INPUTS, sources)
    assert re.search(sentence, str(caught.value))


@pytest.mark.parametrize("declared", ["uint16", "float32"])
def test_the_spec_that_is_told_takes_the_frames_as_they_are(tmp_path, declared):
    """Of the same scene in millimetres and in metres the tensors are the same."""
    settings = (
        {}
        if declared == "uint16"
        else {"depth": {"dtype": "float32", "unit": "m", "scale": 1.0, "invalid": [0]}}
    )
    inputs = make_inputs(["depth=depth:6x8"], [], settings)
    depth = np.random.default_rng(0).integers(300, 6000, (6, 8)).astype(np.uint16)
    depth[0, 0] = 0
    metres = depth.astype(np.float32) / 1000
    own, other = (depth, metres) if declared == "uint16" else (metres, depth)
    path = tmp_path / "depth.npy"
    np.save(path, other)
    with pytest.raises(ArgumentError) as caught:
        read(inputs, {"depth": str(path)})
    advice = json.loads(re.search(r"such as (\{.*\}) in a file", str(caught.value))[1])
    changed = make_inputs(["depth=depth:6x8"], [], {**settings, **advice["inputs"]})
    (frame,) = read(changed, {"depth": str(path)})
    made = preprocess(changed, frame.arrays)["depth"]
    wanted = preprocess(inputs, {"depth": own})["depth"]
    np.testing.assert_allclose(made, wanted, atol=1e-6)


def test_what_a_scene_gives_to_an_input_that_is_no_picture_is_not_replaced():
    (sound,) = read_inputs(["rgb=color:8x8", "sound=audio:4"], [], {}).others
    heard = np.array([1, 2, 3, 4], np.int16)
    own = with_examples(FrameSet({}, others={"sound": heard}), 0, [sound])
    np.testing.assert_array_equal(own.others["sound"], heard)
    np.testing.assert_array_equal(own.tensors["sound"], sound.tensor(heard))
    made = with_examples(FrameSet({}), 0, [sound])
    np.testing.assert_array_equal(made.others["sound"], sound.example(0))
    assert not np.array_equal(made.others["sound"], heard)


@pytest.mark.parametrize(
    ("word", "dtype"),
    [
        ("heat=thermal:6x8", "uint8"),
        ("depth=depth:6x8", "uint8"),
        ("heat=thermal:6x8", "float32"),
        ("heat=thermal:6x8:uint8", "uint16"),
    ],
)
def test_the_input_that_is_told_takes_the_frames_as_they_are(tmp_path, word, dtype):
    name = word.partition("=")[0]
    frame = np.random.default_rng(0).integers(0, 256, (6, 8)).astype(dtype)
    frame[0, 0] = 0
    np.save(tmp_path / "x.npy", frame)
    source = {name: str(tmp_path / "x.npy")}
    with pytest.raises(ArgumentError) as caught:
        read(make_inputs([word], [], {}), source)
    (told,) = re.findall(r"say --input (\S+)\.$", str(caught.value))
    inputs = make_inputs([told], [], {})
    (given,) = read(inputs, source)
    np.testing.assert_array_equal(given.arrays[name], frame)
    largest = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    made = preprocess(inputs, given.arrays)[name][0, 0]
    np.testing.assert_allclose(made, frame / largest, rtol=1e-12)


def test_frames_of_no_type_that_is_read_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((6, 8), np.int32))
    with pytest.raises(ArgumentError, match="give frames of uint8, uint16 or float32"):
        read(make_inputs(["x=depth:6x8"], [], {}), {"x": str(tmp_path / "x.npy")})
