"""Other sampling rates: what both can carry stays, what the lower cannot vanishes."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg.sound.resample import Resampler, has_few_phases, length_at

EDGE = 150
LOWER = [(16000, 48000), (16000, 44100), (8000, 11025)]


def tone(hertz, rate, samples, phase=0.3):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(samples) / rate + phase)


@pytest.mark.parametrize(
    ("rate", "given"),
    [
        (16000, 48000),
        (16000, 44100),
        (16000, 8000),
        (48000, 16000),
        (22050, 44100),
        (16000, 32000),
        (16000, 22050),
        (8000, 11025),
        (16000, 15000),
    ],
)
@pytest.mark.parametrize("share", [0.01, 0.11, 0.4, 0.8])
def test_a_tone_of_both_bandwidths_stays_itself(rate, given, share):
    hertz, samples = share * min(rate, given) / 2, rate // 8
    resample = Resampler(samples, rate, given)
    assert resample.given == length_at(samples, rate, given)
    out = np.empty(samples)
    resample(tone(hertz, given, resample.given), out)
    error = np.abs(out - tone(hertz, rate, samples))[EDGE:-EDGE]
    assert error.max() < 2e-5


@pytest.mark.parametrize(
    ("rate", "given"), [(16000, 48000), (16000, 44100), (8000, 11025)]
)
@pytest.mark.parametrize("share", [1.02, 1.1, 1.3])
def test_a_tone_that_the_lower_rate_cannot_carry_vanishes(rate, given, share):
    samples = rate // 8
    resample, out = Resampler(samples, rate, given), np.empty(samples)
    resample(tone(share * rate / 2, given, resample.given), out)
    assert np.abs(out[EDGE:-EDGE]).max() < 1e-4


def test_a_constant_is_kept_exactly_and_silence_surrounds_it():
    resample, out = Resampler(1600, 16000, 44100), np.empty(1600)
    resample(np.ones(resample.given), out)
    np.testing.assert_allclose(out[EDGE:-EDGE], 1, atol=1e-12)
    assert out[0] < 0.7
    resample(np.zeros(resample.given), out)
    assert (out == 0).all()


@pytest.mark.parametrize(("samples", "given"), [(1, 48000), (3, 8000), (7, 44100)])
def test_windows_of_a_few_samples_reach_no_foreign_memory(samples, given):
    resample, out = Resampler(samples, 16000, given), np.full(samples, 9.0)
    resample(np.full(resample.given, 0.5), out)
    assert (np.abs(out) <= 0.7).all()


def test_lengths_are_the_nearest_whole_number():
    assert length_at(16000, 16000, 48000) == 48000
    assert length_at(400, 16000, 44100) == 1103  # 1102.5
    assert length_at(1, 48000, 8000) == 1  # 0.17: never none


def test_rates_with_no_small_ratio_are_known():
    assert has_few_phases(16000, 44100)
    assert has_few_phases(48000, 11025)
    assert not has_few_phases(16000, 16001)
