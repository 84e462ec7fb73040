"""Log-mel pictures against definitions that share no code: sums of cosines."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fuseg.manifest import LogMel
from fuseg.sound.log_mel import LogMelPicture
from fuseg_export.mel_filters import hann, mel_filters

RATE = 16000


def spec_of(**changes):
    keys = {"frame": 400, "hop": 160, "frames": 100, "bands": 80}
    return LogMel(window="window.npy", filters="mel.npy", **(keys | changes))


def sound(seconds=1.0, seed=0):
    t = np.arange(int(RATE * seconds)) / RATE
    noise = np.random.default_rng(seed).standard_normal(len(t))
    return 0.3 * np.sin(2 * np.pi * (200 * t + 300 * t * t)) + 0.05 * noise


def energies(x, spec, window, power):
    """|DFT| to a power of each frame, by its own definition, in float64."""
    before = {"none": 0}.get(spec.pad, spec.frame // 2)
    if spec.pad == "reflect":
        at = np.abs(np.arange(-before, len(x) + before))
        at = np.where(at < len(x), at, 2 * (len(x) - 1) - at)
        x = x[at]
    elif spec.pad == "zero":
        x = np.concatenate([np.zeros(before), x, np.zeros(before)])
    angle = np.outer(np.arange(spec.frame), np.arange(spec.frame // 2 + 1))
    basis = np.exp(-2j * np.pi * (angle % spec.frame) / spec.frame)
    cut = np.stack([x[k * spec.hop :][: spec.frame] for k in range(spec.frames)])
    return np.abs((cut * window.astype(np.float64)) @ basis) ** power


@pytest.mark.parametrize("pad", ["reflect", "zero", "none"])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("frame", "hop"), [(400, 160), (512, 128), (401, 200)])
def test_the_energies_of_bands_are_sums_of_cosines(pad, power, frame, hop):
    spec = spec_of(
        frame=frame, hop=hop, frames=70, pad=pad, power=power, log="none", bands=40
    )
    x, window = sound(), hann(min(frame, 400), frame)
    filters = mel_filters(RATE, frame, 40)
    wanted = energies(x, spec, window, power) @ filters.T.astype(np.float64)
    found = LogMelPicture(spec, len(x), window, filters)(x)
    assert np.abs(found - np.maximum(wanted, 1e-10)).max() <= 1e-12 * wanted.max()


LOGS = {
    "ln": np.log,
    "log10": np.log10,
    "db": lambda v: 10 * np.log10(v),
    "none": lambda v: v,
}


@pytest.mark.parametrize("log", LOGS)
@pytest.mark.parametrize("below", [None, 3.0])
def test_floor_logarithm_and_range_in_this_order(log, below):
    spec = spec_of(log=log, range=below, floor=1e-4, pad="zero")
    x, window, filters = sound(), hann(400, 400), mel_filters(RATE, 400, 80)
    x[: len(x) // 2] = 0
    wanted = energies(x, spec, window, 2) @ filters.T.astype(np.float64)
    wanted = LOGS[log](np.maximum(wanted, 1e-4))
    if below is not None:
        wanted = np.maximum(wanted, wanted.max() - below)
    found = LogMelPicture(spec, len(x), window, filters)(x)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_whisper_s_features():
    """``log_mel_spectrogram`` of its repository, which leaves out the last frame."""
    spec, x = spec_of(range=8.0, frames=200), sound(2.0)
    window, filters = hann(400, 400), mel_filters(RATE, 400, 80)
    magnitudes = energies(x, spec_of(frames=201), window, 2)[
        :-1
    ]  # the last is left out
    log_spec = np.log10(np.maximum(magnitudes @ filters.T.astype(np.float64), 1e-10))
    log_spec = np.maximum(log_spec, log_spec.max() - 8.0)
    wanted = (log_spec + 4.0) / 4.0
    found = (LogMelPicture(spec, len(x), window, filters)(x) + 4.0) / 4.0
    assert np.abs(found - wanted).max() < 1e-9


def in_mel(hertz):
    """Slaney's scale: 3 mel every 200 Hz, above 1 kHz 27 for each factor of 6.4."""
    if hertz < 1000:
        return 3 * hertz / 200
    return 15 + 27 * math.log(hertz / 1000) / math.log(6.4)


@pytest.mark.parametrize(
    ("mel", "normalized"),
    [(in_mel, True), (lambda hertz: 2595 * math.log10(1 + hertz / 700), False)],
)
def test_filters_are_triangles_between_equal_steps_in_mel(mel, normalized):
    """Slaney's as librosa and Whisper have them, HTK's as torchaudio: found by halving
    intervals, and one frequency at a time."""
    scale = "slaney" if normalized else "htk"
    found = mel_filters(RATE, 512, 20, scale=scale, normalized=normalized)
    edges = []
    for k in range(22):
        low, high = 0.0, 8000.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if mel(middle) < k * mel(8000) / 21 else (low, middle)
            )
        edges.append(low)
    for band, (left, top, right) in enumerate(
        zip(edges, edges[1:], edges[2:], strict=False)
    ):
        area = 2 / (right - left) if normalized else 1.0
        for k in range(257):
            hertz = k * RATE / 512
            height = min((hertz - left) / (top - left), (right - hertz) / (right - top))
            assert found[band, k] == pytest.approx(area * max(0.0, height), abs=1e-7)


def test_a_stream_cut_in_windows_differs_at_their_edges_alone():
    spec = spec_of(pad="zero", frames=100)
    x, window, filters = sound(2.0), hann(400, 400), mel_filters(RATE, 400, 80)
    picture = LogMelPicture(spec_of(pad="zero", frames=200), len(x), window, filters)
    whole = picture(x)[100:].copy()
    part = LogMelPicture(spec, RATE, window, filters)(x[RATE:])
    differs = np.abs(part - whole).max(1) > 1e-9
    assert 1 <= differs.sum() <= 4
    assert not differs[2:-2].any()
