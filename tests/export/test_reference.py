"""The float64 definition itself, against torch, OpenCV and Pillow."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from fuseg.manifest import InputTensor, Resize
from fuseg_export.models import REFERENCE
from fuseg_export.reference import picture, preprocess

COLOR, DEPTH = REFERENCE["rgbd"].inputs

# (camera, network): halving, the real frame's size, enlarging, a prime mess.
SIZES = [
    ((48, 64), (24, 32)),
    ((424, 512), (240, 320)),
    ((5, 7), (12, 9)),
    ((37, 53), (17, 29)),
]


def resized(spec, size, filter, fit="stretch"):
    channels = spec.tensor.shape[1]
    return replace(
        spec,
        resize=Resize(*size, filter=filter, fit=fit),
        tensor=InputTensor(spec.tensor.name, (1, channels, *size)),
    )


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
