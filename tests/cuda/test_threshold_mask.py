"""The CUDA threshold_mask does what the CPU's does."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg import ops


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 8), (37, 53), (3, 1025)])
def test_threshold_mask(gpu, rng, shape):
    confidence = rng.random(shape, dtype=np.float32)
    confidence[rng.random(shape) < 0.1] = np.nan
    out = gpu.put(np.full(shape, 0xA5, np.uint8))
    given = gpu.put(confidence)
    assert ops.threshold_mask(given, threshold=0.5, out=out) is out
    wanted = ops.threshold_mask(confidence, threshold=0.5)
    np.testing.assert_array_equal(gpu.get(out), wanted)
