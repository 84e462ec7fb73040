"""Frames for calibration: paired by name, checked, and read one at a time."""

from __future__ import annotations

import random

import numpy as np
import pytest

from fuseg.dataset.images import write_png
from fuseg.dataset.label_ids import TruthReader
from fuseg.errors import ArgumentError
from fuseg_export.frames.files import FileDataset
from fuseg_export.frames.selection import split
from fuseg_export.network.input_options import make_inputs
from fuseg_export.network.spec import default_classes
from fuseg_export.network.target import Target

INPUTS = tuple(
    make_inputs(
        ["rgb=color:8x8", "depth=depth:8x8"], [], {"depth": {"dtype": "float32"}}
    )
)
NUMBERS = list(range(1, 13))


def target(*, known=False):
    return Target("w", "n", None, INPUTS, (), known, ())


@pytest.fixture
def folders(tmp_path):
    """Frame n is of colour n and n metres away; files were written in two orders."""
    for name in ("rgb", "depth", "truth"):
        (tmp_path / name).mkdir()
        for n in random.Random(name).sample(NUMBERS, len(NUMBERS)):
            if name == "depth":
                frame = np.full((8, 8), 1000 * n, np.float32)
                np.save(tmp_path / name / f"frame{n:02}.npy", frame)
            else:
                frame = np.full((8, 8, 3), n, np.uint8)
                write_png(
                    tmp_path / name / f"frame{n:02}.png",
                    frame if name == "rgb" else frame[..., 0],
                )
    return tmp_path


def of(folders, truth=None, **more):
    sources = {name: str(folders / name) for name in ("rgb", "depth")}
    given = {"calibration": sources, "frames": None, **more}
    calibration, frames = given["calibration"], given["frames"]
    if calibration is not None:
        calibration = FileDataset(INPUTS, calibration, option="--calibration")
    if frames is not None:
        frames = FileDataset(INPUTS, frames, truth).with_truth(
            TruthReader(default_classes(20), 255)
        )
    return split(target(), INPUTS, (4, 4), calibration=calibration, frames=frames)


def test_frames_are_paired_by_name_whatever_the_order_of_the_files(folders):
    found = list(of(folders).calibration_tensors())
    assert len(found) == len(NUMBERS)
    first, rest = found[0], found[1:]
    for n, tensors in enumerate(rest, 2):
        (rgb, depth) = (tensors[i.tensor] for i in INPUTS)
        # What the runtime's packing makes of colour n and n metres is linear in n.
        for tensor, one in ((rgb, first[INPUTS[0].tensor]),):
            assert (tensor > one).all()
        step = depth - first[INPUTS[1].tensor]
        np.testing.assert_allclose(step, (n - 1) * step_of(found), rtol=1e-5)


def step_of(found):
    name = INPUTS[1].tensor
    return found[1][name] - found[0][name]


def test_a_missing_partner_is_told_and_the_rest_is_used(folders):
    (folders / "depth" / "frame05.npy").unlink()
    data = of(folders)
    assert len(data.calibration) == len(NUMBERS) - 1
    (warning,) = (w for w in data.warnings if "partner" in w)
    assert warning.startswith("--calibration rgb: 1 without a partner are left out, ")
    assert warning.endswith("frame05.png")


@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_frame_without_a_valid_pixel_is_named(folders, value):
    np.save(folders / "depth" / "frame03.npy", np.full((8, 8), value, np.float32))
    with pytest.raises(ArgumentError, match=r"^--calibration depth: frame 2 has no "):
        list(of(folders).calibration_tensors())


def test_a_frame_of_another_size_is_named(folders):
    np.save(folders / "depth" / "frame04.npy", np.ones((8, 9), np.float32))
    words = r"^--calibration depth: every frame must be 8 x 8 like .* 8 x 9 in frame 3"
    with pytest.raises(ArgumentError, match=words):
        list(of(folders).calibration_tensors())


def test_a_frame_of_another_type_is_named(folders):
    np.save(folders / "depth" / "frame04.npy", np.ones((8, 8), np.uint16))
    with pytest.raises(
        ArgumentError, match=r"^--calibration depth: .*frame04.npy must"
    ):
        list(of(folders).calibration_tensors())


def test_truth_comes_with_the_frames_it_is_of(folders):
    sources = {name: str(folders / name) for name in ("rgb", "depth")}
    data = of(folders, frames=sources, truth=str(folders / "truth"))
    frames = list(data.held_out_frames())
    assert [int(frame.truth[0, 0]) for frame in frames] == NUMBERS
    assert frames[0].truth.shape == (4, 4)
    assert all(frame.truth is None for frame in data.ranking_frames())
    assert data.only_held_out_has_truth


def test_evaluating_on_the_frames_of_the_calibration_is_told(folders):
    sources = {name: str(folders / name) for name in ("rgb", "depth")}
    data = of(folders, calibration=None, frames=sources)
    assert any(
        "calibrated and evaluated on the same frames" in d for d in data.warnings
    )
    data = of(folders, calibration=None)
    assert any("rendered rooms" in d for d in data.warnings)
    assert (
        split(
            target(known=True),
            INPUTS,
            (4, 4),
            calibration=None,
            frames=None,
        ).warnings
        == ()
    )


def test_rendered_rooms_to_calibrate_on_are_none_of_those_to_evaluate_on():
    data = split(target(known=True), INPUTS, (4, 4), calibration=None, frames=None)
    assert len(data.calibration) == 64
    assert len(data.held_out) == 200
    first, held = (d[0].arrays["rgb"] for d in (data.calibration, data.held_out))
    assert not np.array_equal(first, held)
    seeds = set(data.calibration._seeds) & set(data.held_out._seeds)
    assert not seeds
