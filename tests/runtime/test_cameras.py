"""Cameras as they come: any aspect, order and row stride, two of different size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import fuseg
from fuseg import ops
from fuseg.errors import ShapeError
from fuseg_export import reference

# Wider than the network's 24 x 32, taller, rounded to no padding at all, one column of
# padding, and smaller than the network.
CAMERAS = [(30, 90), (90, 30), (60, 79), (61, 79), (7, 9)]


def boxed(spec, filter=None):
    resize = replace(spec.resize, fit="letterbox")
    return replace(spec, resize=replace(resize, filter=filter or resize.filter))


@pytest.fixture
def boxes(make_bundle, color_input, plane_input):
    inputs = color_input(size=(24, 32), fill=0.5), plane_input(size=(24, 32))
    return make_bundle(*(boxed(spec) for spec in inputs), stride=4)


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_letterboxed_camera_feeds_what_the_definition_says(boxes, frames, camera):
    given = frames(3, *camera)
    segmenter = fuseg.load(boxes.path)
    wanted = reference.preprocess(segmenter.manifest.inputs, given)
    made = segmenter.preprocess(**given)
    np.testing.assert_allclose(made["rgb"], wanted["rgb"], atol=1e-3)
    np.testing.assert_allclose(made["depth"], wanted["depth"], atol=1e-5)
    picture = reference.picture(segmenter.manifest.inputs[0], camera)
    assert (made["rgb"] == 0.5).any() == (picture != (0, 0, 24, 32))


@pytest.mark.parametrize("camera", CAMERAS)
def test_labels_of_a_letterboxed_camera_are_those_of_its_picture(boxes, frames, camera):
    """The padded tensor's scores at four times the grid, the padding cut away, sampled
    at the centres of the camera's pixels: what a user of a letterbox does by hand."""
    given = frames(4, *camera)
    segmenter = fuseg.load(boxes.path)
    result = segmenter(**given)
    assert result.labels.shape == camera
    scores = boxes.scores(segmenter.preprocess(**given))[:, ::4, ::4]
    top, left, height, width = reference.picture(segmenter.manifest.inputs[0], camera)

    def positions(first, length, count, samples, ratio=4):
        at = first + (np.arange(count) + 0.5) * length / count  # in tensor pixels
        return np.clip(at / ratio - 0.5, 0, samples - 1)

    ys = positions(top, height, camera[0], 6)
    xs = positions(left, width, camera[1], 8)
    y0, x0 = (np.minimum(p.astype(int), n - 2) for p, n in ((ys, 6), (xs, 8)))
    wy, wx = (ys - y0)[:, None], xs - x0
    rows = scores[:, y0] * (1 - wy)[None] + scores[:, y0 + 1] * wy[None]
    dense = rows[:, :, x0] * (1 - wx) + rows[:, :, x0 + 1] * wx
    top_two = np.sort(dense, axis=0)[-2:]
    clear = top_two[1] - top_two[0] > 1e-4
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(result.labels[clear], dense.argmax(0)[clear])


def test_labels_at_a_size_asked_for_still_leave_the_padding_out(boxes, frames):
    given = frames(5, 30, 90)
    segmenter = fuseg.load(boxes.path)
    large = segmenter(**given, size=(270, 810)).labels  # an odd ratio shares centres
    np.testing.assert_array_equal(large[4::9, 4::9], segmenter(**given).labels)


@pytest.mark.parametrize("order", ["RGB", "BGR", "RGBA", "BGRA"])
def test_a_camera_of_any_order_feeds_the_same_network(rgbd, frames, order):
    given = frames(6, 12, 16)
    alpha = np.full((12, 16, 1), 99, np.uint8)
    pixels = given["rgb"][..., ::-1] if order.startswith("BGR") else given["rgb"]
    delivered = np.concatenate([pixels, alpha], axis=2)[..., : len(order)].copy()
    plain = fuseg.load(rgbd.path)
    segmenter = fuseg.load(rgbd.path, channels={"rgb": order})
    wanted, made = plain(**given), segmenter(rgb=delivered, depth=given["depth"])
    np.testing.assert_array_equal(made.labels, wanted.labels)
    painted = made.overlay()
    assert painted.shape == (12, 16, 3)
    if order.startswith("BGR"):
        painted = painted[..., ::-1]
    np.testing.assert_array_equal(painted, wanted.overlay())


def test_a_gray_camera_fills_all_three_planes(rgbd, frames):
    given = frames(7, 12, 16)
    gray = np.ascontiguousarray(given["rgb"][..., 0])
    given["rgb"] = np.repeat(gray[..., None], 3, axis=2)
    wanted = fuseg.load(rgbd.path)(**given)
    segmenter = fuseg.load(rgbd.path, channels={"rgb": "GRAY"})
    for frame in (gray, gray[..., None]):
        made = segmenter(rgb=frame, depth=given["depth"])
        np.testing.assert_array_equal(made.labels, wanted.labels)
        np.testing.assert_array_equal(made.overlay(), wanted.overlay())


@pytest.mark.parametrize(
    ("shape", "order"), [((6, 8, 4), "RGBA"), ((6, 8), "GRAY"), ((6, 8, 1), "GRAY")]
)
def test_a_frame_of_other_channels_is_refused_with_the_word_to_say(
    rgbd, frames, shape, order
):
    given = frames(0) | {"rgb": np.zeros(shape, np.uint8)}
    with pytest.raises(ShapeError, match=rf"channels={{'rgb': '{order}'}}"):
        fuseg.load(rgbd.path)(**given)


def test_two_cameras_of_different_size_label_at_the_first_ones(rgbd, frames):
    given = {"rgb": frames(8, 48, 64)["rgb"], "depth": frames(9, 30, 33)["depth"]}
    segmenter = fuseg.load(rgbd.path)
    result = segmenter(**given)
    assert result.labels.shape == (48, 64)
    wanted = reference.preprocess(segmenter.manifest.inputs, given)
    for name, made in segmenter.preprocess(**given).items():
        np.testing.assert_allclose(made, wanted[name], atol=1e-3)


def test_a_camera_may_change_its_size_between_frames(boxes, frames):
    segmenter, fresh = (fuseg.load(boxes.path) for _ in range(2))
    for camera in [(30, 90), (90, 30), (30, 90)]:
        given = frames(10, *camera)
        labels = segmenter(**given).labels
        np.testing.assert_array_equal(labels, fresh.clone()(**given).labels)


def test_colour_with_antialias_is_what_torch_computes(make_bundle, color_input, frames):
    bundle = make_bundle(boxed(color_input(), "bilinear-antialias"))
    frame = frames(11, 60, 80)["rgb"]
    made = fuseg.load(bundle.path).preprocess(rgb=frame)["rgb"]
    planes = torch.from_numpy(frame).permute(2, 0, 1)[None].double() / 255
    wanted = torch.nn.functional.interpolate(
        planes, (6, 8), mode="bilinear", antialias=True
    )[0].numpy()
    mean = np.reshape([0.485, 0.456, 0.406], (3, 1, 1))
    std = np.reshape([0.229, 0.224, 0.225], (3, 1, 1))
    np.testing.assert_allclose(made[0], (wanted - mean) / std, atol=1e-3)


def test_depth_that_may_be_blended_blends_readings_only(make_bundle, plane_input):
    spec = plane_input(size=(1, 1))
    spec = replace(spec, resize=replace(spec.resize, filter="bilinear"))
    frame = np.array([[1000, 3000], [0, 2000]], np.uint16)
    made = fuseg.load(make_bundle(spec).path).preprocess(depth=frame)["depth"]
    assert made.item() == pytest.approx(0.0, abs=1e-6)  # 2 m, as the manifest's mean


def test_the_plan_is_kept_between_frames(rgbd, frames, monkeypatch):
    made = []
    plain = ops.UpsampleArgmax.__init__
    monkeypatch.setattr(
        ops.UpsampleArgmax,
        "__init__",
        lambda self, *args, **options: (made.append(1), plain(self, *args, **options))[
            1
        ],
    )
    segmenter = fuseg.load(rgbd.path)
    for seed in range(3):
        segmenter(**frames(seed))
    assert len(made) == 1
