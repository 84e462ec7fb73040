"""What the command line says to do about a frame is done: it must then be labelled as
the sensor's own files are."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

PYTHON = re.compile(r"\b(np|cv2)\.|astype|units=|channels=|[\[\]{}]")


@pytest.fixture
def run(fuseg, rgbd, tmp_path):
    """``run(rgb, depth, *options)``: the labels, or the sentence of the refusal."""

    def call(rgb, depth, *options, bundle=rgbd.path):
        inputs = [f"--input=rgb={rgb}", f"--input=depth={depth}"]
        done = fuseg("run", bundle, *inputs, "--out", tmp_path / "out", *options)
        if done.code == 0:
            with Image.open(tmp_path / "out" / "labels" / f"{rgb.stem}.png") as image:
                return np.array(image)
        assert done.code == 2
        assert not PYTHON.search(done.stderr)
        return done.stderr.removeprefix("error: ").rstrip("\n")

    return call


@pytest.fixture
def scene(frames):
    return frames(4, 30, 40)


def options_in(sentence):
    return re.search(r"(--\w+) (\w+=\w+)", sentence).groups()


def test_metres_for_millimetres(run, saved, scene):
    rgb, depth = saved("rgb.png", scene["rgb"]), saved("depth.png", scene["depth"])
    wanted = run(rgb, depth)
    metres = np.where(scene["depth"] == 0, np.nan, scene["depth"] / 1000)
    for name in ("metres.npy", "metres.tif"):
        path = saved(name, metres.astype(np.float32))
        sentence = run(rgb, path)
        assert sentence.startswith(f"{path} must be uint16, got float32.")
        np.testing.assert_array_equal(run(rgb, path, *options_in(sentence)), wanted)


def test_millimetres_for_metres(
    run, saved, scene, make_bundle, color_input, plane_input
):
    plane = plane_input(dtype="float32", unit="m", scale=1.0, invalid=(0,))
    bundle = make_bundle(color_input(), plane).path
    metres = scene["depth"].astype(np.float32) / 1000
    rgb, depth = saved("rgb.png", scene["rgb"]), saved("depth.tif", metres)
    wanted = run(rgb, depth, bundle=bundle)
    path = saved("depth.png", scene["depth"])
    sentence = run(rgb, path, bundle=bundle)
    assert sentence.startswith(f"{path} must be float32, got uint16.")
    made = run(rgb, path, *options_in(sentence), bundle=bundle)
    np.testing.assert_array_equal(made, wanted)
    told_wrong = run(rgb, path, "--unit", "depth=m", bundle=bundle)
    made = run(rgb, path, *options_in(told_wrong), bundle=bundle)
    np.testing.assert_array_equal(made, wanted)


def test_channels_of_arrays(run, saved, scene):
    depth = saved("depth.png", scene["depth"])
    wanted = run(saved("rgb.png", scene["rgb"]), depth)
    alpha = np.concatenate([scene["rgb"], scene["rgb"][..., :1]], axis=2)
    path = saved("rgba.npy", alpha)
    sentence = run(path, depth)
    assert sentence.startswith(f"{path} must have shape (H, W, 3), got (30, 40, 4).")
    np.testing.assert_array_equal(run(path, depth, *options_in(sentence)), wanted)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((30, 40, 3), np.uint16), "8 bits per channel, the high ones"),
        (np.zeros((30, 40, 3), np.float32), "8 bits per channel, 0 to 255"),
        (np.zeros((30, 40, 3), np.int64), "Save it as uint8"),
        (np.zeros((3, 30, 40), np.uint8), "Save it with the channels last"),
        (np.zeros((30, 40, 2), np.uint8), "YUYV or UYVY, convert it to RGB"),
        (np.zeros((30, 40), np.uint8), "NV12 or raw Bayer, convert it to RGB"),
        (np.zeros((0, 40, 3), np.uint8), "It holds no pixel"),
        (np.zeros((1, 30, 40, 3), np.uint8), "Save one frame per file"),
    ],
)
def test_what_no_option_mends_is_said_of_the_file(run, saved, scene, array, says):
    path = saved("rgb.npy", array)
    sentence = run(path, saved("depth.png", scene["depth"]))
    assert sentence.startswith(f"{path} must ")
    assert says in sentence


@pytest.mark.parametrize("command", ["verify", "bench"])
def test_other_commands_name_the_file_too(fuseg, sampled, saved, frames, command):
    given = frames(0, 60, 80)
    rgb = saved("rgb.png", given["rgb"])
    depth = saved("depth.npy", given["depth"].astype(np.float32))
    words = [f"--input=rgb={rgb}", f"--input=depth={depth}"]
    if command == "verify":
        words += ["--truth", saved("truth.png", np.zeros((60, 80), np.uint8))]
    done = fuseg(command, sampled(), *words)
    assert done.code == 2
    assert done.stderr.startswith(f"error: {depth} must be uint16, got float32. ")
    assert not PYTHON.search(done.stderr)
    assert "--unit depth=m" in done.stderr
