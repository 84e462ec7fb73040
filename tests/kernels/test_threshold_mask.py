"""threshold_mask: the definition, edges, buffers, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg.errors import ArgumentError, DTypeError, LayoutError, ShapeError
from fuseg.ops import ThresholdMask, threshold_mask

pytestmark = pytest.mark.usefixtures("every_level")

SHAPES = [(1, 1), (1, 7), (2, 8), (3, 5), (37, 53)]


@pytest.mark.parametrize("shape", SHAPES)
def test_marks_what_is_at_least_the_threshold(shape, rng):
    confidence = rng.integers(0, 5, shape).astype(np.float32) / 4
    mask = threshold_mask(confidence, threshold=0.5)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[int(c >= 0.5) for c in row] for row in confidence]


def test_nan_is_never_high_enough():
    confidence = np.full((3, 11), np.nan, np.float32)
    confidence[1] = np.inf
    mask = threshold_mask(confidence, threshold=-1e30)
    assert mask.tolist() == [[0] * 11, [1] * 11, [0] * 11]


@pytest.mark.parametrize("shape", SHAPES)
def test_reads_and_writes_its_buffers_and_nothing_else(shape, fenced, rng):
    confidence, out = fenced(shape, np.float32), fenced(shape, np.uint8)
    confidence[...] = rng.random(shape)
    mask = ThresholdMask(shape, threshold=0.5)
    assert mask(confidence, out=out) is out
    np.testing.assert_array_equal(out, confidence >= 0.5)


GOOD = np.zeros((2, 3), np.float32)


@pytest.mark.parametrize(
    ("confidence", "options", "error", "words"),
    [
        (GOOD[0], {}, ShapeError, r"confidence must have shape \(H, W\), got \(3,\)"),
        (GOOD[:, ::2], {}, LayoutError, "confidence must be C-contiguous"),
        (GOOD.astype(np.float64), {}, DTypeError, "confidence must be float32"),
        (GOOD, {"threshold": np.nan}, ArgumentError, "threshold must be"),
        (GOOD, {"out": np.zeros((2, 2), np.uint8)}, ShapeError, "out must have shape"),
    ],
)
def test_refuses(confidence, options, error, words):
    with pytest.raises(error, match=words):
        threshold_mask(confidence, **{"threshold": 0.5, **options})
