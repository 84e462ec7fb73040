from __future__ import annotations

import os
import re

import numpy as np
import pytest
from PIL import Image
from runtime.programs import SIBLING, write_program

import fuseg as library
from fuseg.errors import BackendError, DeviceError
from fuseg.manifest import Missing


def picture(path):
    with Image.open(path) as image:
        return image.mode, np.array(image)


def test_labels_are_what_python_gives_at_the_cameras_size(
    fuseg, rgbd, frames, saved, tmp_path
):
    arrays = frames(1, 45, 61)
    words = [f"{name}={saved(f'{name}.png', a)}" for name, a in arrays.items()]
    done = fuseg(
        *("run", rgbd.path, "--input", words[0], "--input", words[1]),
        *("--out", tmp_path / "out"),
    )
    assert (done.code, done.stderr) == (0, "")
    expected = library.load(rgbd.path)(**arrays)
    mode, labels = picture(tmp_path / "out/labels/rgb.png")
    assert mode == "P"
    np.testing.assert_array_equal(labels, expected.labels)
    mode, overlay = picture(tmp_path / "out/overlay/rgb.png")
    assert mode == "RGB"
    np.testing.assert_array_equal(overlay[:45, :61], expected.overlay())


def test_label_maps_and_overlays_show_the_manifests_colours(
    fuseg, rgbd, pair_of_files, tmp_path
):
    done = fuseg("run", rgbd.path, *pair_of_files, "--out", tmp_path, "--json")
    (frame,) = done.json["frames"]
    colors = np.array(
        [c.color for c in library.load(rgbd.path).manifest.outputs[0].classes], np.uint8
    )
    with Image.open(frame["labels"]) as image:
        shown, labels = np.array(image.convert("RGB")), np.array(image)
    np.testing.assert_array_equal(shown, colors[labels])
    legend = picture(frame["overlay"])[1][6:].reshape(-1, 3)
    named = {tuple(color) for color in legend}
    for index, color in enumerate(colors):
        assert (tuple(color) in named) == (frame["classes"][f"class{index}"] > 0)


def test_json_has_the_promised_keys_and_is_all_of_stdout(
    fuseg, rgbd, pair_of_files, tmp_path
):
    done = fuseg("run", rgbd.path, *pair_of_files, "--out", tmp_path, "--json")
    assert done.code == 0
    assert list(done.json) == ["frames", "failed", "unmatched"]
    assert done.json["failed"] == []
    (frame,) = done.json["frames"]
    assert list(frame) == [
        *("key", "labels", "overlay", "degraded", "reason", "sources"),
        *("classes", "outputs", "timing_ms"),
    ]
    assert frame["key"] == "one_rgb"
    assert frame["labels"] == str(tmp_path / "labels/one_rgb.png")
    assert (frame["degraded"], frame["reason"]) == (False, None)
    _, labels = picture(frame["labels"])
    assert frame["classes"] == {
        f"class{i}": np.count_nonzero(labels == i) / 48 for i in range(4)
    }
    assert set(frame["timing_ms"]) == {"pack", "network", "label", "total"}
    assert done.json["unmatched"] == {}


def test_people_read_shares_and_times(fuseg, rgbd, pair_of_files, tmp_path):
    done = fuseg("run", rgbd.path, *pair_of_files, "--out", tmp_path)
    assert "1 frame labelled" in done.stdout
    assert "class3" in done.stdout
    assert "ms per frame (median): pack " in done.stdout


@pytest.fixture
def folders(frames, saved):
    """rgb/{1,2,3}.png and depth/{2,3,4}.png."""
    for index in (3, 1, 2):
        saved(f"rgb/{index}.png", frames(index)["rgb"])
    for index in (2, 3, 4):
        saved(f"depth/{index}.png", frames(index)["depth"])


@pytest.mark.usefixtures("folders")
def test_folders_run_in_order_and_list_what_has_no_partner(fuseg, rgbd, tmp_path):
    done = fuseg(
        *("run", rgbd.path, "--out", tmp_path / "out", "--json"),
        *("--input", f"rgb={tmp_path}/rgb", "--input", f"depth={tmp_path}/depth/*.png"),
    )
    assert done.code == 0
    assert [frame["key"] for frame in done.json["frames"]] == ["2", "3"]
    assert done.json["unmatched"] == {
        "rgb": [f"{tmp_path}/rgb/1.png"],
        "depth": [f"{tmp_path}/depth/4.png"],
    }
    assert done.stderr == (
        "warning: files without a partner are skipped: 1 of rgb (the first: "
        f"{tmp_path}/rgb/1.png), 1 of depth (the first: {tmp_path}/depth/4.png).\n"
    )
    for kind in ("labels", "overlay"):
        made = sorted(p.name for p in (tmp_path / "out" / kind).iterdir())
        assert made == ["2.png", "3.png"]


@pytest.mark.usefixtures("folders")
def test_nothing_that_matches_ends_with_1(fuseg, rgbd, tmp_path):
    done = fuseg(
        *("run", rgbd.path, "--out", tmp_path / "out"),
        *("--input", f"rgb={tmp_path}/rgb/1*png", "--input", f"depth={tmp_path}/depth"),
    )
    assert done.code == 1
    assert "error: no frame has a file from every input: " in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_unit_given_by_the_user_scales_the_depth(
    fuseg, rgbd, frames, saved, tmp_path
):
    arrays = frames()
    expected = library.load(rgbd.path)(**arrays).labels
    color = saved("rgb.png", arrays["rgb"])
    tenths = saved("depth.png", arrays["depth"] * np.uint16(10))
    words = "--input", f"rgb={color}", "--input", f"depth={tenths}"
    done = fuseg(
        *("run", rgbd.path, *words, "--out", tmp_path / "a", "--unit", "depth=0.1mm")
    )
    assert done.code == 0
    np.testing.assert_array_equal(picture(tmp_path / "a/labels/rgb.png")[1], expected)
    fuseg("run", rgbd.path, *words, "--out", tmp_path / "b")
    assert (picture(tmp_path / "b/labels/rgb.png")[1] != expected).any()


@pytest.mark.parametrize("suffix", ["png", "npy"])
def test_channels_given_by_the_user_are_the_files_order(
    fuseg, rgbd, frames, saved, tmp_path, suffix
):
    arrays = frames()
    result = library.load(rgbd.path)(**arrays)
    swapped = np.ascontiguousarray(arrays["rgb"][..., ::-1])
    color = saved(f"rgb.{suffix}", swapped)
    depth = saved("depth.png", arrays["depth"])
    fuseg(
        *("run", rgbd.path, "--input", f"rgb={color}", "--input", f"depth={depth}"),
        *("--out", tmp_path, "--channels", "rgb=BGR"),
    )
    labels = picture(tmp_path / "labels/rgb.png")[1]
    np.testing.assert_array_equal(labels, result.labels)
    overlay = picture(tmp_path / "overlay/rgb.png")[1]
    np.testing.assert_array_equal(overlay[:6, :8], result.overlay())


def test_image_files_are_rgb_for_a_bgr_bundle_and_arrays_follow_it(
    fuseg, make_bundle, color_input, frames, saved, tmp_path
):
    path = make_bundle(color_input(channels="BGR")).path
    rgb = frames()["rgb"]
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    expected = library.load(path)(rgb=bgr).labels
    for file in (saved("i.png", rgb), saved("a.npy", bgr)):
        fuseg("run", path, "--input", f"rgb={file}", "--out", tmp_path)
        labels = picture(tmp_path / f"labels/{file.stem}.png")[1]
        np.testing.assert_array_equal(labels, expected)
    first, second = (picture(tmp_path / f"overlay/{n}.png")[1] for n in "ia")
    np.testing.assert_array_equal(first[:6, :8], second[:6, :8])


def test_an_image_file_that_is_said_to_be_bgr_goes_to_a_bgr_bundle_as_it_is(
    fuseg, make_bundle, color_input, frames, saved, tmp_path
):
    path = make_bundle(color_input(channels="BGR")).path
    pixels = frames()["rgb"]
    word = f"rgb={saved('i.png', pixels)}"
    fuseg("run", path, "--input", word, "--channels", "rgb=BGR", "--out", tmp_path)
    expected = library.load(path)(rgb=pixels).labels
    np.testing.assert_array_equal(picture(tmp_path / "labels/i.png")[1], expected)


def test_a_sensor_that_graphs_do_without_may_be_left_out(
    fuseg, make_bundle, color_input, plane_input, frames, saved, tmp_path
):
    path = write_program(
        make_bundle, color_input, plane_input, tmp_path / "program.fuseg", SIBLING
    )
    rgb = frames()["rgb"]
    word = f"rgb={saved('rgb.png', rgb)}"
    done = fuseg("run", path, "--input", word, "--out", tmp_path, "--json")
    assert done.code == 0, done.stderr
    (frame,) = done.json["frames"]
    assert frame["sources"]["depth"]["state"] == "absent"
    wanted = library.load(path, hold=False)(rgb=rgb).labels
    np.testing.assert_array_equal(picture(tmp_path / "labels/rgb.png")[1], wanted)


def test_an_input_that_may_be_missing_may_be_left_out(
    fuseg, make_bundle, color_input, plane_input, frames, saved, tmp_path
):
    depth = plane_input(missing=Missing("hold", 100.0, "substitute"))
    path = make_bundle(color_input(), depth).path
    word = f"rgb={saved('rgb.png', frames()['rgb'])}"
    done = fuseg("run", path, "--input", word, "--out", tmp_path, "--json")
    (frame,) = done.json["frames"]
    assert frame["degraded"] is True
    assert frame["reason"].startswith("depth: substituted (no frame")
    done = fuseg("run", path, "--input", word, "--out", tmp_path)
    assert f"degraded: 1 frame: {frame['reason']}" in done.stdout


@pytest.mark.parametrize("given", [True, False])
def test_missing_substitutes_what_the_bundle_refuses(
    fuseg, rgbd, frames, saved, tmp_path, given
):
    """As the errors of `test_bad_input` suggest."""
    rgb = frames()["rgb"]
    words = ["--input", f"rgb={saved('i.png', rgb)}", "--missing", "depth=substitute"]
    if given:
        blind = saved("d.png", np.zeros((6, 8), np.uint16))
        words += ["--input", f"depth={blind}"]
    done = fuseg("run", rgbd.path, *words, "--out", tmp_path, "--json")
    (frame,) = done.json["frames"]
    cause = "invalid" if given else "absent"
    source = {"state": "substituted", "age_ms": None, "cause": cause}
    assert frame["sources"]["depth"] == source
    tensors = library.load(rgbd.path).preprocess(**frames())
    tensors["depth"][:] = -1.0
    expected = rgbd.scores(tensors).argmax(0)
    np.testing.assert_array_equal(picture(frame["labels"])[1], expected)


def test_no_frame_is_held_from_one_file_to_the_next(
    fuseg, make_bundle, color_input, plane_input, frames, saved, tmp_path
):
    """Although the second comes milliseconds after the first."""
    depth = plane_input(missing=Missing("hold", 60_000.0, "substitute"))
    path = make_bundle(color_input(), depth).path
    for index in (1, 2):
        saved(f"rgb/{index}.png", frames(index)["rgb"])
    saved("depth/1.png", frames(1)["depth"])
    saved("depth/2.png", np.zeros((6, 8), np.uint16))
    done = fuseg(
        *("run", path, "--out", tmp_path / "out", "--json"),
        *("--input", f"rgb={tmp_path}/rgb", "--input", f"depth={tmp_path}/depth"),
    )
    first, second = done.json["frames"]
    assert first["degraded"] is False
    assert second["reason"].startswith("depth: substituted (no valid pixel")
    alone = library.load(path)(rgb=frames(2)["rgb"]).labels
    np.testing.assert_array_equal(picture(second["labels"])[1], alone)


def test_without_colour_the_overlay_shows_the_labels_alone(
    fuseg, make_bundle, plane_input, frames, saved, tmp_path
):
    path = make_bundle(plane_input()).path
    depth = saved("d.tif", frames()["depth"])
    fuseg("run", path, "--input", f"depth={depth}", "--out", tmp_path)
    labels = picture(tmp_path / "labels/d.png")[1]
    palette = np.array([(10 * i, 255 - i, i) for i in range(4)], np.uint8)
    np.testing.assert_array_equal(
        picture(tmp_path / "overlay/d.png")[1][:6, :8], palette[labels]
    )


def test_the_overlay_has_the_labels_size_where_colour_is_larger(
    fuseg, make_bundle, color_input, plane_input, frames, saved, tmp_path
):
    path = make_bundle(plane_input(), color_input()).path
    depth = saved("d.png", frames(0, 30, 40)["depth"])
    color = saved("c.png", frames(0, 90, 160)["rgb"])
    words = "--input", f"rgb={color}", "--input", f"depth={depth}"
    fuseg("run", path, *words, "--out", tmp_path)
    assert picture(tmp_path / "labels/c.png")[1].shape == (30, 40)
    overlay = picture(tmp_path / "overlay/c.png")[1]
    assert not (overlay[:30, :40] == 255).all(axis=2).any()
    assert (overlay[:30, 40:] == 255).all()  # what the legend needs beside it


def test_float_depth_with_nan_is_taken_where_float_is_declared(
    fuseg, make_bundle, plane_input, frames, saved, tmp_path
):
    path = make_bundle(plane_input(dtype="float32", unit="m", invalid=())).path
    metres = frames()["depth"].astype(np.float32) / 1000
    metres[metres == 0] = np.nan
    expected = library.load(path)(depth=metres).labels
    for name in ("a.npy", "b.tif"):
        word = f"depth={saved(name, metres)}"
        assert fuseg("run", path, "--input", word, "--out", tmp_path).code == 0
        labels = picture(tmp_path / f"labels/{name[0]}.png")[1]
        np.testing.assert_array_equal(labels, expected)


def test_an_input_file_is_never_overwritten(fuseg, rgbd, frames, saved, tmp_path):
    color = saved("labels/1.png", frames()["rgb"])
    depth = saved("1_depth.png", frames()["depth"])
    before = color.read_bytes()
    done = fuseg(
        *("run", rgbd.path, "--input", f"rgb={color}", "--input", f"depth={depth}"),
        *("--out", tmp_path),
    )
    assert done.code == 2
    assert done.stderr == (
        f"error: --out must be another folder, got {tmp_path}: {color} is an input of "
        "this run and would be overwritten.\n"
    )
    assert color.read_bytes() == before
    assert not (tmp_path / "overlay").exists()


def test_results_of_an_earlier_run_are_replaced(fuseg, rgbd, pair_of_files, tmp_path):
    old = tmp_path / "labels/one_rgb.png"
    old.parent.mkdir()
    old.write_text("old")
    fuseg("run", rgbd.path, *pair_of_files, "--out", tmp_path)
    assert picture(old)[1].shape == (6, 8)


@pytest.fixture
def five(frames, saved, tmp_path):
    """Words for five frames, the second cut in half and the fourth of 8 bits."""
    for index in range(5):
        saved(f"rgb/{index}.png", frames(index, 60, 80)["rgb"])
        saved(f"depth/{index}.png", frames(index, 60, 80)["depth"])
    cut = tmp_path / "rgb/1.png"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    saved("depth/3.png", np.full((60, 80), 7, np.uint8))
    return [
        *("--input", f"rgb={tmp_path}/rgb", "--input", f"depth={tmp_path}/depth"),
        *("--out", tmp_path / "out"),
    ]


def test_bad_files_of_a_batch_are_named_and_the_others_labelled(
    fuseg, rgbd, five, tmp_path
):
    done = fuseg("run", rgbd.path, *five, "--json")
    assert done.code == 1
    assert [frame["key"] for frame in done.json["frames"]] == ["0", "2", "4"]
    first, second = done.json["failed"]
    assert first["key"] == "1"
    assert first["files"]["rgb"] == f"{tmp_path}/rgb/1.png"
    assert first["error"]["type"] == "InputFileError"
    assert first["error"]["message"].startswith(f"{tmp_path}/rgb/1.png is damaged")
    assert second["error"]["message"] == (
        f"{tmp_path}/depth/3.png must be uint16, got uint8. An 8-bit image has lost "
        "the sensor's values: give the one that the sensor's driver stored."
    )
    assert done.stderr.splitlines() == [
        f"error: {failure['error']['message']}" for failure in (first, second)
    ]
    made = sorted(path.name for path in (tmp_path / "out/labels").iterdir())
    assert made == ["0.png", "2.png", "4.png"]
    shown = fuseg("run", rgbd.path, *five)
    assert shown.code == 1
    assert "2 frames failed: 1, 3\n3 frames labelled: " in shown.stdout


def test_on_error_stop_ends_with_the_first_and_tells_what_was_done(fuseg, rgbd, five):
    done = fuseg("run", rgbd.path, *five, "--json", "--on-error", "stop")
    assert done.code == 2
    assert [frame["key"] for frame in done.json["frames"]] == ["0"]
    (failure,) = done.json["failed"]
    assert done.json["error"] == failure["error"]
    assert done.stderr == f"error: {failure['error']['message']}\n"
    done = fuseg("run", rgbd.path, *five, "--on-error", "ignore")
    assert done.code == 2
    assert "--on-error must be go-on or stop, got 'ignore'" in done.stderr


@pytest.mark.parametrize(
    ("error", "keys", "code"),
    [
        (BackendError("the scores hold NaN."), ["0", "4"], 1),
        (DeviceError("the GPU was lost."), ["0"], 2),
    ],
)
def test_scores_that_are_none_cost_a_frame_and_a_lost_gpu_all(
    fuseg, rgbd, five, monkeypatch, error, keys, code
):
    call, calls = library.Segmenter.__call__, []

    def fail_second(self, **frames):
        calls.append(frames)
        if len(calls) == 2:
            raise error
        return call(self, **frames)

    monkeypatch.setattr(library.Segmenter, "__call__", fail_second)
    done = fuseg("run", rgbd.path, *five, "--json")
    assert done.code == code
    assert [frame["key"] for frame in done.json["frames"]] == keys
    assert str(error) in done.stderr


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_ctrl_c_tells_what_was_done_and_leaves_no_part_of_a_file(
    fuseg, rgbd, five, tmp_path, monkeypatch, more
):
    replace = os.replace

    def interrupt(source, target):
        if str(target).endswith("labels/2.png"):
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", interrupt)
    done = fuseg("run", rgbd.path, *five, *more)
    assert done.code == 130
    assert done.stderr.endswith("error: interrupted, 3 frames not labelled.\n")
    if more:
        assert [frame["key"] for frame in done.json["frames"]] == ["0"]
        assert done.json["error"]["type"] == "KeyboardInterrupt"
    else:
        assert "1 frame labelled: " in done.stdout
    files = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files == ["0.png", "0.png"]


def test_a_full_disk_stops_a_batch_and_tells_what_was_done(
    fuseg, rgbd, five, monkeypatch
):
    def full(source, target):
        if str(target).endswith("labels/2.png"):
            raise OSError(28, "No space left on device")
        os.rename(source, target)

    monkeypatch.setattr(os, "replace", full)
    done = fuseg("run", rgbd.path, *five, "--json")
    assert done.code == 2
    assert [frame["key"] for frame in done.json["frames"]] == ["0"]
    assert [failure["key"] for failure in done.json["failed"]] == ["1"]
    assert done.json["error"]["type"] == "OutputFileError"
    assert done.stderr.endswith(
        "labels/2.png cannot be written: No space left on device.\n"
    )


def test_keys_of_several_parts_are_folders_of_the_results(
    fuseg, rgbd, frames, saved, tmp_path
):
    for city in "ab":
        for name, array in frames().items():
            saved(f"{name}/{city}/1_{name}.png", array)
    words = [f"{name}={tmp_path}/{name}/*/*_{name}.png" for name in ("rgb", "depth")]
    done = fuseg(
        *("run", rgbd.path, "--input", words[0], "--input", words[1]),
        *("--out", tmp_path / "out", "--json"),
    )
    assert [frame["key"] for frame in done.json["frames"]] == ["a/1", "b/1"]
    assert (tmp_path / "out/overlay/b/1.png").is_file()


@pytest.fixture
def stamped(frames, saved, tmp_path):
    """Words for rgb at 0, 33 and 66 ms and depth at 10 and 80 ms."""
    for index, ms in enumerate((0, 33, 66)):
        saved(f"rgb/17.0{ms:02d}.png", frames(index)["rgb"])
    for index, ms in enumerate((10, 80)):
        saved(f"depth/17.0{ms:02d}.png", frames(index)["depth"])
    return [
        *("--input", f"rgb={tmp_path}/rgb", "--input", f"depth={tmp_path}/depth"),
        *("--out", tmp_path / "out", "--json"),
    ]


def test_files_match_by_stamp_and_what_is_dropped_is_one_line(
    fuseg, rgbd, stamped, tmp_path
):
    done = fuseg("run", rgbd.path, *stamped, "--match", "stamp", "--slop", "15ms")
    assert done.code == 0
    assert [frame["key"] for frame in done.json["frames"]] == ["17.000", "17.066"]
    assert done.stderr == (
        "warning: files without a partner are skipped: 1 of rgb (the first: "
        f"{tmp_path}/rgb/17.033.png).\n"
    )
    done = fuseg(
        *("run", rgbd.path, *stamped, "--match", "stamp", "--reference", "depth")
    )
    assert [frame["key"] for frame in done.json["frames"]] == ["17.010", "17.080"]


def test_where_stamps_do_not_match_by_name_the_option_is_named_and_works(
    fuseg, rgbd, stamped
):
    done = fuseg("run", rgbd.path, *stamped)
    assert done.code == 1
    advice = re.search(r"--match stamp --slop \w+", done.stderr)
    done = fuseg("run", rgbd.path, *stamped, *advice[0].split())
    assert done.code == 0
    assert done.json["frames"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--match", "time"], "--match must be name or stamp, got 'time'."),
        (["--slop", "20ms"], "--slop needs --match stamp."),
        (["--reference", "rgb"], "--reference needs --match stamp."),
        (["--match", "stamp", "--slop", "x"], "--slop must be a time such as 20ms"),
        (["--plane", "x=A"], "--plane must name an input of the bundle (rgb, depth)"),
        (["--plane", "rgb=A"], "--plane rgb must be RGB, got 'A'."),
        (["--plane", "depth=RGB"], "--plane depth must be R or G or B or A or L, got"),
    ],
)
def test_options_that_do_not_fit_are_refused(fuseg, rgbd, stamped, words, sentence):
    done = fuseg("run", rgbd.path, *stamped, *words)
    assert done.code == 2
    assert sentence in done.stderr


def test_rgb_and_thermal_come_from_one_file_as_the_error_says(
    fuseg, make_bundle, color_input, plane_input, frames, saved, tmp_path
):
    thermal = plane_input(
        "thermal", kind="thermal", dtype="uint8", unit="1", invalid=(), scale=1 / 255
    )
    path = make_bundle(color_input(), thermal).path
    rgb, warmth = frames()["rgb"], frames(1)["rgb"][..., 0].copy()
    file = saved("mf/00001D.png", np.dstack([rgb, warmth]))
    words = "--input", f"rgb={file}", "--input", f"thermal={file}"
    words = "run", path, *words, "--out", tmp_path / "out"
    done = fuseg(*words)
    assert done.code == 2
    advice = re.findall(r"--plane (\w+=\w+)", done.stderr)
    assert advice == ["rgb=RGB", "OTHER=A"]
    done = fuseg(*words, "--plane", "rgb=RGB", "--plane", "thermal=A")
    assert (done.code, done.stderr) == (0, "")
    expected = library.load(path)(rgb=rgb, thermal=warmth).labels
    found = picture(tmp_path / "out/labels/00001D.png")[1]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["g.png", "g.npy"])
def test_a_gray_camera_is_taken_as_the_error_says(
    fuseg, rgbd, frames, saved, tmp_path, name
):
    arrays = frames()
    gray = arrays["rgb"][..., 1].copy()
    files = saved(name, gray), saved("d.png", arrays["depth"])
    words = "--input", f"rgb={files[0]}", "--input", f"depth={files[1]}"
    words = "run", rgbd.path, *words, "--out", tmp_path / "out"
    done = fuseg(*words)
    assert done.code == 2
    advice = re.search(r"--channels rgb=GRAY", done.stderr)
    assert fuseg(*words, *advice[0].split()).code == 0
    expected = library.load(rgbd.path, channels={"rgb": "GRAY"})
    expected = expected(rgb=gray, depth=arrays["depth"]).labels
    found = picture(tmp_path / "out/labels/g.png")[1]
    np.testing.assert_array_equal(found, expected)
    overlay = picture(tmp_path / "out/overlay/g.png")[1]
    assert overlay.shape[0] >= 6


@pytest.mark.parametrize(("order", "turn"), [("RGBA", 1), ("BGRA", -1)])
def test_files_with_a_fourth_channel_that_means_nothing(
    fuseg, rgbd, frames, saved, tmp_path, order, turn
):
    arrays = frames()
    result = library.load(rgbd.path)(**arrays)
    four = np.dstack([arrays["rgb"][..., ::turn], arrays["rgb"][..., 0]])
    words = [f"rgb={saved('c.png', four)}", f"depth={saved('d.png', arrays['depth'])}"]
    done = fuseg(
        *("run", rgbd.path, "--input", words[0], "--input", words[1]),
        *("--out", tmp_path / "out", "--channels", f"rgb={order}"),
    )
    assert done.code == 0
    np.testing.assert_array_equal(
        picture(tmp_path / "out/labels/c.png")[1], result.labels
    )
    overlay = picture(tmp_path / "out/overlay/c.png")[1][:6, :8]
    np.testing.assert_array_equal(overlay, result.overlay())


@pytest.mark.usefixtures("folders")
def test_frames_without_a_file_of_a_slower_sensor_follow_its_policy(
    fuseg, rgbd, frames, tmp_path
):
    words = "--input", f"rgb={tmp_path}/rgb", "--input", f"depth={tmp_path}/depth"
    done = fuseg(
        *("run", rgbd.path, *words, "--out", tmp_path / "out", "--json"),
        *("--missing", "depth=substitute"),
    )
    assert done.code == 0
    degraded = {frame["key"]: frame["degraded"] for frame in done.json["frames"]}
    assert degraded == {"1": True, "2": False, "3": False}
    segmenter = library.load(rgbd.path, missing={"depth": {"policy": "substitute"}})
    expected = segmenter(rgb=frames(1)["rgb"], depth=None).labels
    found = picture(tmp_path / "out/labels/1.png")[1]
    np.testing.assert_array_equal(found, expected)
