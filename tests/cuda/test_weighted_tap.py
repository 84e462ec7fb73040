"""Where the GPU reads, in float32, is where the CPU reads, in float64."""

from __future__ import annotations

import ctypes

import native
import pytest

FLOAT32_WHOLE = 1 << 24


@pytest.fixture(scope="module")
def different_taps():
    """How many of ``count`` taps on an axis are not the CPU's to the bit; -1 if one is
    off by more than the last bit of its first weight."""
    found = ctypes.CDLL(str(native.test_kernels("weighted_taps"))).different_taps
    found.argtypes = [ctypes.c_int64] * 5
    found.restype = ctypes.c_int64
    return found


def pixels(rng, most):
    return (int(n) for n in rng.integers(1, most, 2))


def test_taps_of_usual_sizes_are_the_same_bits(different_taps, rng):
    for _ in range(300):
        samples, out = pixels(rng, 8192)
        axis = (samples - out, 2 * samples, 2 * out)
        assert different_taps(*axis, samples, out) == 0, axis
        corners = (0, samples - 1, max(out - 1, 1))
        assert different_taps(*corners, samples, out) == 0, corners


def test_large_units_differ_in_the_last_bit_of_one_weight_at_most(different_taps, rng):
    for _ in range(100):
        unit = int(rng.integers(8192, FLOAT32_WHOLE))
        step = int(rng.integers(1, unit))
        different = different_taps(-unit // 2, step, unit, 4000, 4000)
        assert 0 <= different <= 4


def test_units_that_float32_cannot_hold_are_the_same_bits(different_taps, rng):
    for unit in (FLOAT32_WHOLE, FLOAT32_WHOLE + 1, *rng.integers(1 << 25, 1 << 40, 50)):
        step = int(rng.integers(1, unit))
        axis = (-int(unit) // 2, step, int(unit))
        assert different_taps(*axis, 4000, 4000) == 0, axis
