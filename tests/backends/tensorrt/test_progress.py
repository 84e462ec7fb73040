"""Phases within phases become one fraction."""

from __future__ import annotations

from fuseg.backends.tensorrt.build_progress import ProgressTracker


def test_progress_of_nested_phases_is_one_fraction():
    meter, seen = ProgressTracker(), []
    meter.start("outer", None, 2)
    for inner in ("a", "b"):
        meter.start(inner, "outer", 4)
        for step in range(4):
            meter.step(inner, step)
            seen.append(meter.fraction)
        meter.finish(inner)
        meter.step("outer", 0 if inner == "a" else 1)
    meter.finish("outer")
    assert seen == [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0]
    assert meter.fraction == 1.0


def test_progress_survives_phases_that_nobody_announced():
    meter = ProgressTracker()
    meter.step("unknown", 3)
    meter.start("x", "gone", 0)
    meter.step("x", 5)
    meter.finish("x")
    meter.finish("x")
    assert meter.fraction == 1.0
