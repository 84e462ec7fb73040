"""The float64 reference itself, against torch, OpenCV, Pillow and exact fractions."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from fuseg.manifest import Resize
from fuseg.ops import upsample_argmax
from fuseg_export.models import REFERENCE
from fuseg_export.reference import (
    confidence,
    labels,
    picture,
    preprocess,
    threshold,
    upsample,
)

COLOR, DEPTH = REFERENCE["rgbd"].inputs

# (camera, network): halving, the real frame's size, enlarging, a prime mess.
SIZES = [
    ((48, 64), (24, 32)),
    ((424, 512), (240, 320)),
    ((5, 7), (12, 9)),
    ((37, 53), (17, 29)),
]


def resized(spec, size, filter, fit="stretch"):
    return replace(spec, resize=Resize(*size, filter=filter, fit=fit))


@pytest.mark.parametrize(("camera", "network"), SIZES)
def test_bilinear_color_is_what_torch_computes(camera, network):
    frame = np.random.default_rng(0).integers(0, 256, (*camera, 3), np.uint8)
    ours = preprocess([resized(COLOR, network, "bilinear")], {"rgb": frame})["rgb"]
    planes = torch.from_numpy(frame).double().permute(2, 0, 1)[None] / 255
    planes = torch.nn.functional.interpolate(planes, network, mode="bilinear")
    mean, std = (
        torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1)
        for v in (COLOR.mean, COLOR.std)
    )
    np.testing.assert_allclose(ours, ((planes - mean) / std).numpy(), atol=1e-12)


@pytest.mark.parametrize(("camera", "network"), SIZES)
def test_bilinear_antialias_is_what_torch_computes(camera, network):
    frame = np.random.default_rng(0).integers(0, 256, (*camera, 3), np.uint8)
    spec = replace(
        resized(COLOR, network, "bilinear-antialias"), mean=(0.0,) * 3, std=(1.0,) * 3
    )
    ours = preprocess([spec], {"rgb": frame})["rgb"]
    planes = torch.from_numpy(frame).double().permute(2, 0, 1)[None] / 255
    wanted = torch.nn.functional.interpolate(
        planes, network, mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(ours, wanted.numpy(), atol=1e-7)


@pytest.mark.parametrize(
    ("camera", "wanted"),
    [
        ((480, 640), (0, 0, 24, 32)),
        ((100, 400), (8, 0, 8, 32)),
        ((101, 400), (8, 0, 8, 32)),
        ((400, 100), (0, 13, 24, 6)),
        ((1, 9999), (11, 0, 1, 32)),
        ((107, 400), (7, 0, 9, 32)),
    ],
)
def test_a_letterboxed_picture_keeps_its_aspect_and_is_centred(camera, wanted):
    spec = resized(COLOR, (24, 32), "bilinear", "letterbox")
    assert picture(spec, camera) == wanted


def test_a_letterbox_is_the_picture_stretched_into_its_place_and_fill_around_it():
    frame = np.random.default_rng(0).integers(0, 256, (100, 400, 3), np.uint8)
    spec = replace(resized(COLOR, (24, 32), "bilinear", "letterbox"), fill=-7.5)
    tensor = preprocess([spec], {"rgb": frame})["rgb"]
    alone = preprocess([resized(COLOR, (8, 32), "bilinear")], {"rgb": frame})["rgb"]
    np.testing.assert_array_equal(tensor[:, :, 8:16], alone)
    assert (tensor[:, :, :8] == -7.5).all()
    assert (tensor[:, :, 16:] == -7.5).all()


def test_bilinear_depth_blends_the_readings_and_leaves_the_others_out():
    frame = np.array([[1000, 3000], [0, 2000]], np.uint16)
    spec = replace(resized(DEPTH, (1, 1), "bilinear"), mean=(0.0,), std=(1.0,))
    assert preprocess([spec], {"depth": frame})["depth"].item() == pytest.approx(2.0)
    wide = replace(resized(DEPTH, (2, 4), "bilinear"), mean=(0.0,), std=(1.0,))
    plane = preprocess([wide], {"depth": frame})["depth"][0, 0]
    np.testing.assert_allclose(plane[0], [1.0, 1.5, 2.5, 3.0])
    np.testing.assert_allclose(plane[1], [wide.fill, 2.0, 2.0, 2.0])


@pytest.mark.parametrize(("camera", "network"), SIZES)
def test_nearest_depth_is_what_torch_and_opencv_compute(camera, network):
    frame = np.random.default_rng(1).integers(1, 60000, camera).astype(np.uint16)
    ours = preprocess([resized(DEPTH, network, "nearest")], {"depth": frame})["depth"]
    by_opencv = cv2.resize(frame, network[::-1], interpolation=cv2.INTER_NEAREST)
    by_torch = torch.nn.functional.interpolate(
        torch.from_numpy(frame.astype(np.float64))[None, None], network, mode="nearest"
    )[0, 0].numpy()
    np.testing.assert_allclose(ours[0, 0], (by_opencv * 0.001 - 2.0) / 1.5, atol=1e-12)
    np.testing.assert_array_equal(by_opencv, by_torch)


@pytest.mark.parametrize(("camera", "network"), SIZES)
def test_nearest_exact_depth_is_what_torch_computes(camera, network):
    frame = np.random.default_rng(2).integers(1, 60000, camera).astype(np.float64)
    spec = resized(DEPTH, network, "nearest-exact")
    ours = preprocess([spec], {"depth": frame.astype(np.uint16)})["depth"]
    by_torch = torch.nn.functional.interpolate(
        torch.from_numpy(frame)[None, None], network, mode="nearest-exact"
    ).numpy()
    np.testing.assert_allclose(ours, (by_torch * 0.001 - 2.0) / 1.5, atol=1e-12)


def test_nearest_exact_is_pillow_s_nearest_and_nearest_is_not():
    """Sizes without a source at a whole number: there Pillow's sum rounds down."""
    frame = np.random.default_rng(3).integers(1, 60000, (37, 53)).astype(np.uint16)
    pillow = Image.fromarray(frame.astype(np.int32)).resize(
        (29, 17), Image.Resampling.NEAREST
    )
    wanted = (np.asarray(pillow) * 0.001 - 2.0) / 1.5

    def plane(filter):
        spec = resized(DEPTH, (17, 29), filter)
        return preprocess([spec], {"depth": frame})["depth"][0, 0]

    np.testing.assert_allclose(plane("nearest-exact"), wanted, atol=1e-12)
    assert np.mean(plane("nearest") != plane("nearest-exact")) > 0.5


def test_a_hole_gets_the_fill_and_nothing_else_does():
    frame = np.array([[0, 1], [65534, 65535]], np.uint16)
    spec = resized(DEPTH, (2, 2), "nearest")
    plane = preprocess([spec], {"depth": frame})["depth"][0, 0]
    assert (plane == spec.fill).tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("grid", "size"), [((6, 8), (24, 32)), ((5, 7), (5, 7)), ((9, 13), (4, 29))]
)
def test_upsampled_scores_are_what_torch_computes(grid, size, align_corners):
    scores = np.random.default_rng(4).standard_normal((5, *grid))
    wanted = torch.nn.functional.interpolate(
        torch.from_numpy(scores)[None],
        size,
        mode="bilinear",
        align_corners=align_corners,
    )[0]
    ours = upsample(scores, size, align_corners=align_corners)
    np.testing.assert_allclose(ours, wanted.numpy(), atol=1e-12)
    best = wanted.argmax(0).numpy()
    np.testing.assert_array_equal(labels(ours), best)
    sure = wanted.softmax(0).amax(0).numpy()
    np.testing.assert_allclose(confidence(ours), sure, atol=1e-12)


@pytest.mark.parametrize("align_corners", [False, True])
def test_a_crop_is_the_part_of_the_whole_picture(align_corners):
    """Crops whose pixels are the picture's own: those of the whole, cut out."""
    scores = np.random.default_rng(5).standard_normal((3, 6, 8))
    whole = upsample(scores, (24, 32), align_corners=align_corners)
    part = upsample(
        scores,
        (8, 32),
        align_corners=align_corners,
        crop=(8, 0, 8, 32),
        input_size=(24, 32),
    )
    np.testing.assert_allclose(part, whole[:, 8:16], atol=1e-12)


def test_pixels_of_a_crop_lie_where_fractions_say():
    """The middle two of four pixels' width, on a grid of two samples."""
    ramp = np.array([[[0.0, 1.0]]])
    crop = {"crop": (0, 1, 1, 2), "input_size": (1, 4)}
    np.testing.assert_allclose(upsample(ramp, (1, 2), **crop), [[[0.25, 0.75]]])
    aligned = upsample(ramp, (1, 2), align_corners=True, **crop)
    np.testing.assert_allclose(aligned, [[[1 / 3, 2 / 3]]])


def test_the_smallest_class_wins_a_tie_and_nan_never_wins():
    inf, nan = np.inf, np.nan
    columns = [
        ((1, 1, 0), 0),
        ((0, 2, 2), 1),
        ((nan, -5, nan), 1),
        ((nan, nan, nan), 0),
        ((-inf, -inf, -inf), 0),
        ((-inf, nan, -inf), 0),
        ((0, inf, nan), 1),
    ]
    scores = np.array([column for column, _ in columns], np.float64).T[:, None]
    assert labels(scores)[0].tolist() == [wanted for _, wanted in columns]


def test_a_sample_of_weight_0_is_not_read():
    scores = np.array([[[1.0, np.inf]], [[2.0, np.nan]]])
    np.testing.assert_array_equal(upsample(scores, (1, 2)), scores)
    assert labels(upsample(scores, (1, 2))).tolist() == [[1, 0]]


def test_a_single_class_is_compared_with_its_threshold():
    scores = np.array([[[-0.1, 0.0, 0.5, 0.6, np.nan]]])
    assert labels(scores).tolist() == [[0, 0, 1, 1, 0]]
    assert labels(scores, threshold=0.5).tolist() == [[0, 0, 0, 1, 0]]
    assert (threshold(()), threshold(("Resize", "Sigmoid"))) == (0.0, 0.5)
    sides = [0.525, 0.5, 0.622, 0.646]  # 1 / (1 + exp(-|score|))
    np.testing.assert_allclose(confidence(scores)[0, :4], sides, atol=5e-4)


def test_confidence_is_nan_where_there_is_no_probability():
    inf, nan = np.inf, np.nan
    scores = np.array([[[nan, inf, -inf, -inf]], [[0.0, 0.0, -inf, 0.0]]])
    np.testing.assert_array_equal(confidence(scores), [[nan, nan, nan, 1.0]])


@pytest.mark.parametrize("align_corners", [False, True])
def test_the_kernel_labels_as_the_reference_does(align_corners):
    scores = np.random.default_rng(6).standard_normal((7, 12, 16), np.float32)
    crop = {"crop": (8, 0, 32, 64), "input_size": (48, 64)}
    for size, part in (((12, 16), {}), ((96, 128), {}), ((50, 100), crop)):
        sure = np.empty(size, np.float32)
        ours = upsample_argmax(
            scores, size=size, align_corners=align_corners, confidence=sure, **part
        )
        exact = upsample(scores, size, align_corners=align_corners, **part)
        np.testing.assert_allclose(sure, confidence(exact), atol=1e-5)
        differs = ours != labels(exact)
        second, first = np.sort(exact[:, differs], axis=0)[-2:]
        assert np.max(first - second, initial=0) < 1e-5
        assert differs.mean() < 1e-3
