"""The float64 definition itself, against torch, OpenCV and Pillow."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from fuseg.manifest import InputTensor, Resize
from fuseg_export.definition import preprocess
from fuseg_export.models import REFERENCE

COLOR, DEPTH = REFERENCE["rgbd"].inputs

# (camera, network): halving, the real frame's size, enlarging, a prime mess.
SIZES = [
    ((48, 64), (24, 32)),
    ((424, 512), (240, 320)),
    ((5, 7), (12, 9)),
    ((37, 53), (17, 29)),
]


def resized(spec, size, filter):
    channels = spec.tensor.shape[1]
    return replace(
        spec,
        resize=Resize(*size, filter=filter, fit="stretch"),
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
