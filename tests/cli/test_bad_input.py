"""Whatever is wrong with what the user gave: one sentence, exit 2, nothing written."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg.manifest import Missing


@pytest.fixture
def refused(fuseg, rgbd, tmp_path):
    """``refused(rgb=..., depth=..., bundle=..., more=[...])``: the error's sentence."""

    def call(*, bundle=rgbd.path, more=(), **inputs):
        words = [f"--input={name}={path}" for name, path in inputs.items()]
        out = tmp_path / "out"
        done = fuseg("run", bundle, *words, "--out", out, *more)
        assert done.code == 2
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert not out.exists()
        done = fuseg("run", bundle, *words, "--out", out, *more, "--json")
        assert done.code == 2
        sentence = done.stderr.removeprefix("error: ").rstrip("\n")
        assert done.json["error"]["message"] == sentence
        return done.json["error"]["type"], sentence

    return call


@pytest.fixture
def rgb(saved, frames):
    return saved("rgb.png", frames()["rgb"])


@pytest.fixture
def depth(saved, frames):
    return saved("depth.png", frames()["depth"])


def test_a_missing_input(refused, rgb):
    assert refused(rgb=rgb) == (
        "ArgumentError",
        (
            "--input must be given for depth (the bundle's inputs: rgb, depth): "
            "--input depth=PATH, or label without it: --missing depth=substitute."
        ),
    )


def test_a_missing_input_whose_hold_ends_in_refusal(
    refused, make_bundle, color_input, plane_input, rgb
):
    held = plane_input(missing=Missing("hold", 100.0, "refuse"))
    bundle = make_bundle(color_input(), held).path
    assert "must be given for depth" in refused(bundle=bundle, rgb=rgb)[1]


def test_no_input_at_all_even_if_each_may_be_missing(refused, make_bundle, color_input):
    bundle = make_bundle(color_input(missing=Missing("substitute"))).path
    assert "--input must be given for rgb" in refused(bundle=bundle)[1]


def test_an_input_the_bundle_does_not_have(refused, rgb, depth):
    assert refused(rgb=rgb, depth=depth, thermal=depth) == (
        "ArgumentError",
        "--input must name an input of the bundle (rgb, depth), got 'thermal'.",
    )


@pytest.mark.parametrize("word", ["rgb", "=a.png", "rgb="])
def test_an_input_that_is_not_name_and_path(refused, word):
    assert refused(more=["--input", word])[1] == (
        f"--input must be NAME=VALUE, got {word!r}."
    )


def test_an_input_given_twice(refused, rgb, depth):
    words = ["--input", f"rgb={rgb}"]
    assert refused(rgb=rgb, depth=depth, more=words)[1] == (
        "--input must name rgb once, got it twice."
    )


def test_depth_of_eight_bits_where_sixteen_are_declared(refused, rgb, saved, frames):
    path = saved("d.png", frames()["rgb"][..., 0])
    assert refused(rgb=rgb, depth=path) == (
        "DTypeError",
        (
            f"{path} must be uint16, got uint8. An 8-bit image has lost the sensor's "
            "values: give the one that the sensor's driver stored."
        ),
    )


@pytest.mark.parametrize("name", ["d.npy", "d.tif"])
def test_float_depth_where_uint16_is_declared(refused, rgb, saved, frames, name):
    path = saved(name, frames()["depth"].astype(np.float32))
    kind, sentence = refused(rgb=rgb, depth=path)
    assert kind == "DTypeError"
    assert sentence == (
        f"{path} must be uint16, got float32. Say its unit, such as --unit depth=m."
    )


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 4), (1, 6, 8, 3)])
def test_colour_of_another_shape(refused, saved, depth, shape):
    path = saved("rgb.npy", np.zeros(shape, np.uint8))
    kind, sentence = refused(rgb=path, depth=depth)
    assert kind == "ShapeError"
    assert sentence.startswith(f"{path} must have shape (H, W, 3), got {shape}.")


@pytest.mark.parametrize("shape", [(0, 8), (6, 0)])
def test_an_empty_frame(refused, rgb, saved, shape):
    kind, _ = refused(rgb=rgb, depth=saved("d.npy", np.zeros(shape, np.uint16)))
    assert kind == "ShapeError"


def test_gray_given_for_colour(refused, saved, frames, depth):
    path = saved("g.png", frames()["rgb"][..., 0])
    kind, sentence = refused(rgb=path, depth=depth)
    assert kind == "InputFileError"
    assert sentence.startswith(f"{path} must be a colour image, got a 8-bit gray")


def test_depth_without_one_valid_pixel_names_the_file(refused, rgb, saved):
    path = saved("d.png", np.zeros((6, 8), np.uint16))
    assert refused(rgb=rgb, depth=path) == (
        "FrameError",
        (
            f"{path}: depth (no valid pixel): no usable frame, and the policy is to "
            "refuse then. Leave the frame out, or label it without: "
            "--missing depth=substitute."
        ),
    )


def test_a_policy_of_an_input_that_there_is_not(refused, rgb, depth):
    assert refused(rgb=rgb, depth=depth, more=["--missing", "ir=refuse"]) == (
        "ArgumentError",
        "--missing must name inputs of the bundle (rgb, depth), got 'ir'.",
    )


def test_where_no_option_helps_none_is_named(fuseg, rgbd, rgb, saved):
    blind = saved("d.png", np.zeros((6, 8), np.uint16))
    done = fuseg("bench", rgbd.path, f"--input=rgb={rgb}", f"--input=depth={blind}")
    assert done.code == 2
    assert done.stderr == (
        f"error: {blind}: depth (no valid pixel): no usable frame, and the policy is "
        "to refuse then. Leave the frame out.\n"
    )


def test_a_policy_that_is_none(refused, rgb, depth):
    assert refused(rgb=rgb, depth=depth, more=["--missing", "depth=hold"]) == (
        "ArgumentError",
        "--missing must be NAME=refuse or NAME=substitute, got depth=hold.",
    )


def test_an_image_that_cannot_be_read(refused, depth, tmp_path):
    broken = tmp_path / "rgb.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    kind, sentence = refused(rgb=broken, depth=depth)
    assert kind == "InputFileError"
    assert sentence.startswith(str(broken))


def test_a_file_that_is_not_there(refused, depth):
    assert refused(rgb="/nowhere/a.png", depth=depth) == (
        "InputFileError",
        "rgb: there is no file /nowhere/a.png.",
    )


def test_a_bundle_that_is_not_there(refused, tmp_path):
    kind, sentence = refused(bundle=tmp_path / "gone.fuseg")
    assert kind == "InputFileError"
    assert (
        sentence == f"{tmp_path}/gone.fuseg cannot be read: No such file or directory."
    )


@pytest.mark.parametrize("length", [0, 3, 100, -1])
def test_a_truncated_bundle(refused, rgbd, tmp_path, length):
    cut = tmp_path / "cut.fuseg"
    cut.write_bytes(rgbd.path.read_bytes()[:length])
    kind, sentence = refused(bundle=cut)
    assert kind == "BundleError"
    assert sentence.startswith(str(cut))


def test_a_foreign_file_as_bundle(refused, rgb):
    kind, sentence = refused(bundle=rgb)
    assert kind == "BundleError"
    assert sentence.startswith(f"{rgb}: it is not a bundle")


def test_a_bundle_with_one_changed_byte(refused, rgbd, tmp_path):
    data = bytearray(rgbd.path.read_bytes())
    data[data.index(b"Conv")] ^= 1
    changed = tmp_path / "changed.fuseg"
    changed.write_bytes(data)
    assert refused(bundle=changed)[0] in ("BundleError", "ManifestError")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--unit", "depth=furlong"], "--unit depth must be m, cm, mm,"),
        (["--unit", "depth=K"], "--unit depth must measure length like 'mm', got 'K'"),
        (["--unit", "rgb=mm"], "--unit must name depth-like inputs, got 'rgb'."),
        (["--unit", "thermal=K"], "--unit must name inputs of the bundle (rgb, depth)"),
        (["--unit", "depth"], "--unit must be NAME=VALUE, got 'depth'."),
        (["--channels", "rgb=RBG"], "--channels rgb must be one of 'RGB', 'BGR'"),
        (["--channels", "rgb=bgr8"], "got 'bgr8'. Say --channels rgb=BGR."),
        (["--channels", "depth=BGR"], "--channels must name colour inputs, got 'dep"),
        (["--channels", "BGR"], "--channels must be NAME=VALUE, got 'BGR'."),
    ],
)
def test_units_and_channels_that_are_none(refused, rgb, depth, words, part):
    kind, sentence = refused(rgb=rgb, depth=depth, more=words)
    assert kind == "ArgumentError"
    assert part in sentence


def test_two_files_with_one_key(refused, saved, frames, depth, tmp_path):
    saved("many/a.png", frames()["rgb"])
    saved("many/a.jpg", frames()["rgb"])
    sentence = refused(rgb=tmp_path / "many", depth=depth)[1]
    assert "have the same key 'a'" in sentence
