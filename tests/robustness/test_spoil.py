"""Spoilt frames: what is lost, what noise changes, and by how much in the tensor."""

from __future__ import annotations

import numpy as np
import pytest
from runtime.sounds import audio_input

from fuseg.robustness.spoil import LEVELS, Spoiler

SIZE = (120, 160)


@pytest.fixture
def random():
    return np.random.default_rng(4)


def color_frame(random, channels=3):
    return random.integers(60, 180, (*SIZE, channels)).astype(np.uint8)


def depth_frame(random):
    frame = random.integers(4000, 6000, SIZE).astype(np.uint16)
    frame[:30] = 0
    return frame


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_share_of_the_pixels_is_no_reading(plane_input, random, share):
    frame = depth_frame(random)
    spoilt = Spoiler(plane_input()).lose_pixels(frame, share, random)
    lost = (spoilt == 0) & (frame != 0)
    assert lost.sum() / (frame != 0).sum() == pytest.approx(share, abs=0.015)
    assert (spoilt[~lost] == frame[~lost]).all()
    metres = frame.astype(np.float32) / 1000
    spoilt = Spoiler(plane_input(), "m").lose_pixels(metres, share, random)
    assert np.isnan(spoilt).mean() == pytest.approx(share, abs=0.015)


def test_a_sensor_without_a_word_for_no_reading_loses_to_its_fill_value(
    plane_input, random
):
    frame = depth_frame(random)
    entry = plane_input(invalid=(), fill=1.0)  # at mean 2 and std 1.5 metres: 3.5
    spoilt = Spoiler(entry).lose_pixels(frame, 0.5, random)
    assert np.unique(spoilt[spoilt != frame]).tolist() == [3500]
    centimetres = Spoiler(entry, "cm").lose_pixels(frame // 10, 0.5, random)
    assert np.unique(centimetres[centimetres != frame // 10]).tolist() == [350]


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        (None, [182, 173, 161]),  # (1 * std + mean) * 255
        ("BGR", [161, 173, 182]),
        ("RGBA", [182, 173, 161, 255]),
        ("GRAY", 172),
    ],
)
def test_a_lost_pixel_of_a_camera_is_its_fill_value(color_input, random, order, wanted):
    frame = color_frame(random, 1 if order == "GRAY" else len(wanted))
    frame = frame[..., 0] if order == "GRAY" else frame
    spoiler = Spoiler(color_input(fill=1.0), channels=order)
    spoilt = spoiler.lose_pixels(frame, 0.5, random)
    lost = (spoilt != frame).reshape(*SIZE, -1).any(axis=2)
    assert np.unique(spoilt[lost], axis=0).tolist() == [wanted]
    assert lost.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("level", LEVELS)
def test_noise_has_its_deviation_in_the_tensor(plane_input, random, level):
    """By the manifest's own formula, (v * scale - mean) / std."""
    _, deviation = LEVELS[level]
    entry, frame = plane_input(), depth_frame(random)
    spoilt = Spoiler(entry).add_noise(frame, level, random)
    readings = frame > 0
    assert (spoilt[~readings] == 0).all()
    change = (spoilt[readings].astype(float) - frame[readings]) * 0.001 / 1.5
    middle = np.percentile(change, [16, 50, 84])  # of most pixels, without salt
    assert middle[1] == pytest.approx(0, abs=0.05)
    assert (middle[2] - middle[0]) / 2 == pytest.approx(deviation, rel=0.35)
    metres = frame.astype(np.float32) / 1000
    metres[frame == 0] = np.nan
    own = Spoiler(entry, "m").add_noise(metres, level, np.random.default_rng(9))
    same = Spoiler(entry).add_noise(frame, level, np.random.default_rng(9))
    np.testing.assert_allclose(own[readings], same[readings] / 1000, atol=0.001)


def test_salt_and_pepper_are_the_largest_and_smallest_reading(color_input, random):
    frame = np.full((*SIZE, 3), 100, np.uint8)
    frame[0, 0], frame[0, 1] = 250, 10
    quiet = color_input(std=(1e-6, 1e-6, 1e-6))  # so that no Gaussian is seen
    spoilt = Spoiler(quiet).add_noise(frame, "high", random)
    for value in (250, 10):
        share = (spoilt == value).all(axis=2).mean()
        assert share == pytest.approx(0.1, abs=0.01)
    assert (spoilt == 100).all(axis=2).mean() == pytest.approx(0.8, abs=0.02)


def test_a_sensor_that_sees_nothing_has_no_noise(plane_input, random):
    nothing = np.zeros(SIZE, np.uint16)
    assert (Spoiler(plane_input()).add_noise(nothing, "high", random) == 0).all()


def test_planes_are_spoilt_each_by_its_own_numbers(map_input, random):
    frame = np.full((*SIZE, 3), 128, np.uint8)
    frame[0, 0, 2] = 0  # no reading in one plane
    spoiler = Spoiler(map_input())  # std 1, 2, 3 at a scale of 1 / 128
    noisy = spoiler.add_noise(frame, "low", random).astype(float)
    assert noisy[0, 0, 2] == 0
    deviations = [noisy[1:, :, n].std() for n in range(3)]
    assert deviations == pytest.approx([12.8, 25.6, 38.4], rel=0.1)
    assert ((spoiler.lose_pixels(frame, 0.5, random) == 0).sum(axis=2) % 3 <= 1).all()


def test_lost_sound_is_silence_and_its_noise_as_loud_as_it(random):
    sound = (np.sin(np.arange(1600)) * 8000).astype(np.int16)
    spoiler = Spoiler(audio_input())
    lost = spoiler.lose_pixels(sound, 0.5, random)
    assert (lost == 0).mean() == pytest.approx(0.5, abs=0.05)
    noisy = spoiler.add_noise(sound, "low", random).astype(float) - sound
    middle = np.percentile(noisy, [16, 84])
    assert (middle[1] - middle[0]) / 2 == pytest.approx(0.1 * sound.std(), rel=0.2)
    silence = np.zeros(1600, np.int16)
    assert (spoiler.add_noise(silence, "high", random) == 0).all()
