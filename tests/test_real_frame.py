"""One frame of a real Kinect: units of 0.1 mm, holes, saturation, an odd size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg.dataset.images import read_frame
from fuseg_export.reference import preprocess

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "rgbd"


@pytest.fixture
def paths():
    if not FOLDER.exists():
        pytest.skip(f"the real frame is not there: {FOLDER}")
    return {"rgb": FOLDER / "real_rgb.png", "depth": FOLDER / "real_depth.png"}


def test_a_user_says_the_unit_and_gets_labels_at_the_camera_s_size(
    paths, rgbd_bundle, tmp_path
):
    words = [f"--input={name}={path}" for name, path in paths.items()]
    words += ["--unit=depth=0.1mm", f"--out={tmp_path}"]
    done = CliRunner().invoke(app, ["run", str(rgbd_bundle), *words])
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "labels" / "real_rgb.png") as image:
        labels = np.asarray(image)
    assert labels.shape == (424, 512)
    assert labels.dtype == np.uint8
    assert len(np.unique(labels)) > 3
    with Image.open(tmp_path / "overlay" / "real_rgb.png") as overlay:
        width, height = overlay.size
        assert width == 512
        assert height > 424  # the legend is beneath


def test_the_unit_scales_readings_and_leaves_holes_and_saturation_alone(
    paths, rgbd_bundle
):
    segmenter = fuseg.load(rgbd_bundle, units={"depth": "0.1mm"})
    frames = {
        "rgb": read_frame(paths["rgb"], "color"),
        "depth": read_frame(paths["depth"], "depth"),
    }
    packed = segmenter.preprocess(**frames)
    tenths = frames["depth"].astype(np.float64)
    in_mm = np.where(np.isin(frames["depth"], (0, 65535)), 0, tenths / 10)
    wanted = preprocess(segmenter.manifest.inputs, frames | {"depth": in_mm})
    for name, tensor in packed.items():
        np.testing.assert_allclose(tensor, wanted[name], atol=1e-4)
    middle = packed["depth"][packed["depth"] != -2.0] * 1.5 + 2.0
    assert 2.2 < np.median(middle) < 2.6  # metres, as the frame's description says
