"""Numbers of every pixel, at the camera's size, where the camera's pixels are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from runtime.detector import SIZE, write_detector
from typer.testing import CliRunner

import fuseg
from fuseg import manifest
from fuseg.backends.replay import ReplayBackend
from fuseg.cli import app
from fuseg.errors import BackendError, ManifestError
from fuseg.runtime.outputs.plane import PlaneAdapter
from fuseg_export import reference


def output(align_corners=False):
    return manifest.PlaneOutput(
        "far", "found", manifest.Upsample(align_corners=align_corners)
    )


@pytest.fixture
def made(color_input, tmp_path):
    color, path = color_input(size=SIZE), tmp_path / "plane.fuseg"
    return lambda spec, **options: write_detector(path, color, spec, **options)


def drawn(axes, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((1, *axes)) * 5 + 20).astype(np.float32)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("axes", [(1, 24, 32), (6, 8), (1, 7, 9), (1, 1), (48, 64)])
@pytest.mark.parametrize("camera", [(48, 96), (97, 61), (24, 32), (5, 7)])
def test_a_plane_is_that_of_the_definition(made, camera, axes, fit, align_corners):
    tensor = drawn(axes)
    path = made(output(align_corners), fit=fit, axes=axes).path
    segmenter = fuseg.load(path, backend=ReplayBackend([tensor]))
    found = segmenter(rgb=np.zeros((*camera, 3), np.uint8))["far"]
    (color,) = segmenter.manifest.inputs
    crop = reference.picture(color, camera)
    wanted = reference.upsample(
        tensor.reshape(1, *axes[-2:]),
        camera,
        align_corners=align_corners,
        crop=None if fit == "stretch" else crop,
        input_size=None if fit == "stretch" else SIZE,
    )
    assert (found.dtype, found.shape) == (np.float32, camera)
    np.testing.assert_allclose(found, wanted[0], rtol=2e-6)


def test_a_result_stays_when_the_next_frame_comes(made):
    tensors = [drawn((6, 8), seed) for seed in range(3)]
    path = made(output(), axes=(6, 8)).path
    segmenter = fuseg.load(path, backend=ReplayBackend(tensors))
    frame = np.zeros((12, 16, 3), np.uint8)
    results = [segmenter(rgb=frame)["far"] for _ in tensors]
    wanted = [segmenter(rgb=frame)["far"].copy() for _ in tensors]
    np.testing.assert_array_equal(results, wanted)
    larger = segmenter(rgb=frame, size=(24, 32))["far"]
    assert larger.shape == (24, 32)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(made, wrong):
    tensor = drawn((6, 8))
    tensor[0, 3, 3] = wrong
    path = made(output(), axes=(6, 8)).path
    segmenter = fuseg.load(path, backend=ReplayBackend([tensor]))
    with pytest.raises(BackendError, match="gave values of far that are no numbers"):
        segmenter(rgb=np.zeros((12, 16, 3), np.uint8))


def test_how_alike_two_planes_are():
    one = np.full((4, 4), 2.0, np.float32)
    agreement = PlaneAdapter.agreement
    assert agreement(one, one) == 1.0
    assert agreement(one, one * np.float32(1.25)) == pytest.approx(0.75)
    assert agreement(one, one * 9) == 0.0
    assert agreement(one * 0, one * 0) == 1.0
    assert agreement(one * 0, one) == 0.0


@pytest.mark.parametrize(
    ("dtype", "shape", "sentence"),
    [
        ("float32", (1, 2, 6, 8), r"tensor must be \[1, 1, height, width\] or \[1, he"),
        ("float32", (1, 8), r"tensor must be \[1, 1, height, width\]"),
        ("int64", (1, 6, 8), "float32"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused(dtype, shape, sentence):
    with pytest.raises(ManifestError, match=sentence):
        output().require_fits(dtype, shape)


def test_samples_are_replayed_and_run_writes_files(made, frames, tmp_path):
    frame = frames(1, 48, 64)["rgb"]
    expected = fuseg.load(made(output(), axes=(6, 8)).path)(rgb=frame)["far"]
    path = made(output(), axes=(6, 8), samples=[(frame, expected)]).path
    runner = CliRunner()
    assert runner.invoke(app, ["verify", str(path)]).exit_code == 0
    shown = runner.invoke(app, ["inspect", str(path)]).output
    assert "a number for every pixel, bilinear, half-pixel" in shown
    picture, out = tmp_path / "rgb.png", tmp_path / "out"
    Image.fromarray(frame).save(picture)
    run = runner.invoke(
        app, ["run", str(path), "--input", f"rgb={picture}", "--out", str(out)]
    )
    assert run.exit_code == 0, run.output
    (written,) = out.rglob("*.npy")
    np.testing.assert_array_equal(np.load(written), expected)
    path = made(output(), axes=(6, 8), samples=[(frame, expected * 2)]).path
    assert runner.invoke(app, ["verify", str(path)]).exit_code == 1
