"""nms on a GPU keeps the boxes that the CPU keeps, from poisoned memory."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg import ops
from fuseg.errors import ArgumentError, ShapeError


def crowd(rng, count, kinds):
    """Boxes around a few places, ties and missing numbers among their scores."""
    centres = rng.random((6, 2))[rng.integers(0, 6, count)] * 60
    centres += rng.normal(0, 4, (count, 2))
    sides = rng.random((count, 2)) * 30
    boxes = np.concatenate([centres - sides, centres + sides], 1).astype(np.float32)
    boxes[rng.random(count) < 0.1, 2] -= 50  # from right to left, some
    scores = (rng.integers(-9, 40, count) / 8).astype(np.float32)
    boxes[rng.random(count) < 0.02, 1] = np.nan
    scores[rng.random(count) < 0.05] = np.nan
    scores[rng.random(count) < 0.05] = -0.0
    return boxes, scores, rng.integers(-1, kinds, count).astype(np.int32)


# About the warp of 32, the block of 1,024 threads, and 32 candidates of each.
@pytest.mark.parametrize("count", [1, 31, 33, 500, 1024, 1025, 3000, 33_000])
def test_equals_the_cpu(gpu, rng, poison, count):
    for kinds, most in ((1, 40), (5, 2000 if count < 2000 else 7)):
        inputs = crowd(rng, count, kinds)
        limits = {"iou_threshold": 0.4, "max_boxes": most}
        wanted = poison(most, np.int32)
        kept = ops.nms(*inputs, out=wanted, **limits)
        out = gpu.put(poison(most, np.int32))
        assert ops.nms(*map(gpu.put, inputs), out=out, **limits) is out
        np.testing.assert_array_equal(gpu.get(out), wanted)
        assert (wanted[len(kept) :] == -1).all()


def test_an_object_takes_any_number_up_to_its_most(gpu, rng, poison):
    suppress = ops.Nms(iou_threshold=0.4, max_candidates=1500, max_boxes=50)
    for count in (1500, 3, 700):
        inputs = crowd(rng, count, 3)
        wanted, out = poison(50, np.int32), gpu.put(poison(50, np.int32))
        suppress(*inputs, out=wanted)
        suppress(*map(gpu.put, inputs), out=out)
        np.testing.assert_array_equal(gpu.get(out), wanted)
    with pytest.raises(ShapeError, match="boxes must be at most 1500, got 1501"):
        suppress(*map(gpu.put, crowd(rng, 1501, 3)), out=out)


def test_refuses_arrays_in_two_places_and_no_out(gpu, rng):
    boxes, scores, classes = crowd(rng, 4, 3)
    there = gpu.put(boxes), gpu.put(scores), gpu.put(classes)
    with pytest.raises(ArgumentError, match="classes must be on the GPU like boxes"):
        ops.nms(*there[:2], classes, iou_threshold=0.5)
    with pytest.raises(ArgumentError, match="out must be given when boxes is on the"):
        ops.nms(*there, iou_threshold=0.5)
