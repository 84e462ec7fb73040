"""Unusual inputs are warned about before anybody trusts their ranges."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg_export.network.input_options import make_inputs
from fuseg_export.precision.calibration_checks import CalibrationChecks

INPUTS = make_inputs(
    ["rgb=color:32x32", "depth=depth:32x32"], [], {"depth": {"fill": -2.0}}
)


def warnings(depth, rgb=None):
    checks = CalibrationChecks(INPUTS)
    rng = np.random.default_rng(0)
    color, distance = (i.tensor for i in INPUTS)
    for frame in depth:
        shown = rng.normal(0, 1, (1, 3, 32, 32)) if rgb is None else rgb
        checks({color: shown.astype(np.float32), distance: frame.astype(np.float32)})
    return checks.warnings()


def readings(count=4, low=-1.0, high=3.0):
    rng = np.random.default_rng(1)
    return rng.uniform(low, high, (count, 1, 1, 32, 32))


def test_usual_frames_raise_no_warning():
    depth = readings()
    assert warnings(depth) == []
    depth[:, :, :, :8] = -2.0
    assert warnings(depth) == []


def test_mostly_holes():
    depth = readings()
    depth[:, :, :, :, :20] = -2.0
    (warning,) = warnings(depth)
    assert warning.startswith("depth: 62% of the calibration's pixels have no reading")


@pytest.mark.parametrize("holes", [False, True])
def test_one_value_far_away(holes):
    depth = readings()
    depth[2, 0, 0, 5, 5] = 60
    if holes:
        depth[:, :, :, :4] = -2.0
    (warning,) = warnings(depth)
    assert warning.startswith("depth: one value lies 29")
    assert warning.endswith("try --calibration-method percentile")


def test_a_tail_in_a_picture():
    rgb = np.random.default_rng(2).normal(0, 1, (1, 3, 32, 32))
    rgb[0, :, 3, :1] = 90  # every third value is looked at
    assert any(d.startswith("rgb: one value lies") for d in warnings(readings(1), rgb))


def test_a_fill_value_beyond_all_readings():
    depth = readings(low=10.0, high=12.0)
    depth[:, :, :, :4] = -2.0
    (warning,) = warnings(depth)
    assert warning.startswith(
        "depth: its fill value -2 lies beyond all readings (10 to 12)"
    )
    assert "takes 86% of INT8's steps" in warning
