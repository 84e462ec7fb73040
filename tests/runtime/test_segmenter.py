"""Frames in, labels out: what a Segmenter computes, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

import fuseg
from fuseg import errors, manifest


def color_planes(frame, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
    """The definition, for a frame of the network's size: (3, H, W) float64."""
    planes = frame.astype(np.float64).transpose(2, 0, 1) / 255
    return (planes - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))


def depth_plane(frame, scale=0.001, mean=2.0, std=1.5, fill=-1.0, invalid=(0, 65535)):
    """The definition, for a frame of the network's size: (1, H, W) float64."""
    plane = (frame.astype(np.float64) * scale - mean) / std
    return np.where(np.isin(frame, invalid) | ~np.isfinite(plane), fill, plane)[None]


# What the network is fed


def test_frames_of_the_networks_size_become_the_manifests_tensors(rgbd, frames):
    given = frames(1)
    tensors = fuseg.load(rgbd.path).preprocess(**given)
    assert sorted(tensors) == ["depth", "rgb"]
    assert tensors["rgb"].dtype == tensors["depth"].dtype == np.float32
    np.testing.assert_allclose(tensors["rgb"][0], color_planes(given["rgb"]), atol=2e-6)
    np.testing.assert_allclose(
        tensors["depth"][0], depth_plane(given["depth"]), atol=2e-6
    )


def test_frames_twice_as_large_are_averaged_in_colour_and_picked_in_depth(rgbd, frames):
    given = frames(2, 12, 16)
    tensors = fuseg.load(rgbd.path).preprocess(**given)
    # Half-pixel bilinear at exactly half the size: the middle of four pixels.
    mean = given["rgb"].reshape(6, 2, 8, 2, 3).mean((1, 3))
    np.testing.assert_allclose(tensors["rgb"][0], color_planes(mean), atol=1e-4)
    picked = given["depth"][::2, ::2]
    np.testing.assert_allclose(tensors["depth"][0], depth_plane(picked), atol=2e-6)


def test_preprocess_returns_copies(rgbd, frames):
    segmenter = fuseg.load(rgbd.path)
    first = segmenter.preprocess(**frames(1))
    kept = {name: tensor.copy() for name, tensor in first.items()}
    segmenter.preprocess(**frames(2))
    segmenter(**frames(3))
    for name, tensor in first.items():
        np.testing.assert_array_equal(tensor, kept[name])


def test_a_unit_given_at_load_scales_readings_but_not_the_raw_invalid_values(
    rgbd, frames
):
    given = frames(1)
    given["depth"][0, 1] = 65535
    segmenter = fuseg.load(rgbd.path, units={"depth": "0.1mm"})
    np.testing.assert_allclose(
        segmenter.preprocess(**given)["depth"][0],
        depth_plane(given["depth"], scale=0.0001),
        atol=2e-6,
    )


def test_a_bgr_camera_feeds_an_rgb_network_in_its_order(rgbd, frames):
    given = frames(1)
    plain = fuseg.load(rgbd.path).preprocess(**given)
    swapped = given | {"rgb": np.ascontiguousarray(given["rgb"][..., ::-1])}
    segmenter = fuseg.load(rgbd.path, channels={"rgb": "BGR"})
    np.testing.assert_array_equal(segmenter.preprocess(**swapped)["rgb"], plain["rgb"])


def test_colour_and_thermal_share_one_tensor(make_bundle, color_input, plane_input):
    made = make_bundle(
        plane_input(
            "thermal",
            kind="thermal",
            unit="0.01K",
            scale=0.01,
            mean=(300.0,),
            std=(10.0,),
            tensor="x",
            channel=3,
        ),
        color_input(tensor="x"),
    )
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    thermal = rng.integers(29000, 31000, (6, 8)).astype(np.uint16)
    segmenter = fuseg.load(made.path)
    tensors = segmenter.preprocess(rgb=rgb, thermal=thermal)
    wanted = np.concatenate(
        [color_planes(rgb), depth_plane(thermal, 0.01, 300.0, 10.0)]
    )
    np.testing.assert_allclose(tensors["x"][0], wanted, atol=1e-4)
    labels = segmenter(rgb=rgb, thermal=thermal).labels
    np.testing.assert_array_equal(labels, made.scores({"x": wanted[None]}).argmax(0))


# What comes out


def test_labels_are_the_best_class_of_the_networks_scores(rgbd, frames):
    given = frames(3)
    result = fuseg.load(rgbd.path)(**given)
    tensors = {
        "rgb": color_planes(given["rgb"])[None],
        "depth": depth_plane(given["depth"])[None],
    }
    assert result.labels.dtype == np.uint8
    np.testing.assert_array_equal(result.labels, rgbd.scores(tensors).argmax(0))
    assert len(np.unique(result.labels)) > 1


def test_confidence_is_the_softmax_of_the_winning_class(rgbd, frames):
    given = frames(4)
    segmenter = fuseg.load(rgbd.path)
    result = segmenter(**given, confidence=True)
    scores = rgbd.scores(segmenter.preprocess(**given))
    odds = np.exp(scores - scores.max(0))
    assert result.confidence.dtype == np.float32
    np.testing.assert_allclose(result.confidence, 1 / odds.sum(0), atol=2e-5)
    assert segmenter(**given).confidence is None


def test_labels_have_the_size_of_the_manifests_first_input(rgbd, frames):
    given = frames(1, 12, 16) | {"depth": frames(1, 24, 32)["depth"]}
    assert fuseg.load(rgbd.path)(**given).labels.shape == (12, 16)


def test_labels_have_the_size_asked_for(rgbd, frames):
    segmenter = fuseg.load(rgbd.path)
    assert segmenter(**frames(1), size=(11, 7)).labels.shape == (11, 7)
    shrunk = segmenter(**frames(1), size=[3, 4], confidence=True)
    assert shrunk.labels.shape == shrunk.confidence.shape == (3, 4)


def interpolated(scores, height, width, align_corners):
    """Bilinear of (C, h, w), clamped at the border: the two definitions."""
    for axis, size in ((1, height), (2, width)):
        old, step = scores.shape[axis], np.arange(size)
        if align_corners:
            at = step * (old - 1) / (size - 1)
        else:
            at = np.clip((step + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, old - 1)
        part = np.reshape(at - low, [-1 if i == axis else 1 for i in range(3)])
        scores = scores.take(low, axis) * (1 - part) + scores.take(high, axis) * part
    return scores


@pytest.mark.parametrize("align_corners", [False, True])
def test_scores_of_a_coarser_grid_are_interpolated_to_the_camera(
    make_bundle, color_input, plane_input, frames, align_corners
):
    made = make_bundle(
        color_input(),
        plane_input(),
        stride=2,
        upsample=manifest.Upsample(align_corners=align_corners),
    )
    segmenter = fuseg.load(made.path)
    given = frames(5, 13, 17)
    coarse = made.scores(segmenter.preprocess(**given))[:, ::2, ::2]
    assert coarse.shape == (4, 3, 4)
    np.testing.assert_array_equal(
        segmenter(**given).labels,
        interpolated(coarse, 13, 17, align_corners).argmax(0),
    )


def test_results_are_the_callers_own(rgbd, frames):
    segmenter = fuseg.load(rgbd.path)
    first = segmenter(**frames(1), confidence=True)
    kept = first.labels.copy(), first.confidence.copy()
    second = segmenter(**frames(2), confidence=True)
    assert not np.array_equal(second.labels, kept[0])
    np.testing.assert_array_equal(first.labels, kept[0])
    np.testing.assert_array_equal(first.confidence, kept[1])


def test_out_is_written_and_is_the_result(rgbd, frames):
    segmenter = fuseg.load(rgbd.path)
    out = np.full((6, 8), 77, np.uint8)
    result = segmenter(**frames(1), out=out)
    assert result.labels is out
    np.testing.assert_array_equal(out, segmenter(**frames(1)).labels)


def test_no_frame_is_written_to(rgbd, frames):
    given = frames(1)
    for frame in given.values():
        frame.setflags(write=False)
    assert fuseg.load(rgbd.path)(**given).degraded is False


def test_stages_take_time_and_add_up_to_no_more_than_the_total(rgbd, frames):
    timing = fuseg.load(rgbd.path)(**frames(1)).timing
    stages = timing.pack_ms, timing.network_ms, timing.label_ms
    assert min(stages) > 0
    assert sum(stages) <= timing.total_ms


def test_classes_and_the_loaded_parts_can_be_read(rgbd, frames):
    segmenter = fuseg.load(rgbd.path)
    result = segmenter(**frames(1))
    assert [c.name for c in result.classes] == ["class0", "class1", "class2", "class3"]
    assert segmenter.backend_name == "onnxruntime"
    assert segmenter.variant.name == "fp32"
    assert segmenter.manifest is segmenter.bundle.manifest
    assert segmenter.bundle.path == rgbd.path


# Overlay


def test_overlay_paints_over_the_frame_of_this_call(rgbd, frames):
    given = frames(1)
    result = fuseg.load(rgbd.path)(**given)
    palette = np.array([c.color for c in result.classes], np.float64)
    wanted = 0.5 * given["rgb"] + 0.5 * palette[result.labels]
    np.testing.assert_allclose(result.overlay(), wanted, atol=0.51)
    np.testing.assert_array_equal(result.overlay(alpha=0.0), given["rgb"])
    other = frames(9)["rgb"]
    np.testing.assert_array_equal(result.overlay(other, alpha=0.0), other)
    solid = result.overlay(alpha=1.0)
    np.testing.assert_array_equal(solid, palette[result.labels].astype(np.uint8))


def test_overlay_follows_the_cameras_channel_order(rgbd, frames):
    result = fuseg.load(rgbd.path, channels={"rgb": "BGR"})(**frames(1))
    palette = np.array([c.color[::-1] for c in result.classes], np.uint8)
    np.testing.assert_array_equal(result.overlay(alpha=1.0), palette[result.labels])


def test_overlay_refuses_a_frame_of_another_size(rgbd, frames):
    result = fuseg.load(rgbd.path)(**frames(1), size=(3, 4))
    with pytest.raises(errors.ShapeError, match=r"frame .*\(3, 4\), got \(6, 8\)"):
        result.overlay()
    assert result.overlay(np.zeros((3, 4, 3), np.uint8)).shape == (3, 4, 3)


def test_overlay_without_a_colour_frame_asks_for_one(make_bundle, plane_input, frames):
    result = fuseg.load(make_bundle(plane_input()).path)(depth=frames(1)["depth"])
    with pytest.raises(errors.ArgumentError, match="frame must be given"):
        result.overlay()
    assert result.overlay(frames(1)["rgb"]).shape == (6, 8, 3)


# Clones


def test_a_clone_gives_the_same_labels_with_the_same_options(rgbd, frames):
    segmenter = fuseg.load(rgbd.path, units={"depth": "0.1mm"}, channels={"rgb": "BGR"})
    np.testing.assert_array_equal(
        segmenter.clone()(**frames(1)).labels, segmenter(**frames(1)).labels
    )
    assert segmenter.clone().variant == segmenter.variant


def test_a_clone_holds_no_frames_and_keeps_its_own(
    make_bundle, color_input, plane_input, frames
):
    hold = manifest.Missing("hold", 1e6, "refuse")
    made = make_bundle(color_input(), plane_input(missing=hold))
    segmenter = fuseg.load(made.path)
    given = frames(1)
    segmenter(**given)
    clone = segmenter.clone()
    with pytest.raises(errors.FrameError, match="depth"):
        clone(rgb=given["rgb"])
    clone(**frames(2))
    tensors = segmenter.preprocess(rgb=given["rgb"])
    np.testing.assert_allclose(
        tensors["depth"][0], depth_plane(given["depth"]), atol=2e-6
    )


def test_the_binary_network_labels_where_its_score_is_above_zero(
    make_bundle, color_input, frames
):
    made = make_bundle(color_input(), classes=1)
    segmenter = fuseg.load(made.path)
    rgb = frames(1)["rgb"]
    scores = made.scores(segmenter.preprocess(rgb=rgb))
    labels = segmenter(rgb=rgb).labels
    np.testing.assert_array_equal(labels, scores[0] > 0)
    assert set(np.unique(labels)) == {0, 1}
