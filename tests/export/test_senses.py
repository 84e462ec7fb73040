"""What other sensors make of scenes: sound, heat, ranges, video and another style."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg_export.scenes.raycast import cast
from fuseg_export.scenes.senses.bad_light import badly_lit
from fuseg_export.scenes.senses.lidar import LINES, scan
from fuseg_export.scenes.senses.sound import RATE, SAMPLES, TIMBRES, sound_of
from fuseg_export.scenes.senses.style import negative
from fuseg_export.scenes.senses.thermal import KELVIN, measure_heat
from fuseg_export.scenes.senses.video import FRAMES, clips_of, render_clips, spoil
from fuseg_export.scenes.things import KINDS, Attributes, make_named_world

SEEDS = range(20)
KNOCKS, CHIRPS, HUM, WHISTLE, SCRAPE = range(5)


def rng(seed=0):
    return np.random.default_rng([11, seed])


def spectrum(sound):
    """Energies, and the frequencies that they are of."""
    windowed = sound / 32768 * np.hanning(len(sound))
    return np.abs(np.fft.rfft(windowed)) ** 2, np.fft.rfftfreq(len(sound), 1 / RATE)


def loudest(sound):
    energies, hertz = spectrum(sound)
    return hertz[energies.argmax()]


def test_a_sound_is_a_window_of_int16_that_its_seed_decides():
    assert len(TIMBRES) == len(KINDS)
    for timbre in (*range(5), None):
        sound = sound_of(timbre, rng())
        assert (sound.dtype, sound.shape) == (np.int16, (SAMPLES,))
        np.testing.assert_array_equal(sound, sound_of(timbre, rng()))
        assert (sound != sound_of(timbre, rng(1))).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_timbres_are_what_their_names_say(seed):
    sounds = [sound_of(timbre, rng(seed)).astype(float) for timbre in range(5)]
    assert 80 <= loudest(sounds[HUM]) <= 145
    assert 1450 <= loudest(sounds[WHISTLE]) <= 2350
    energies, hertz = spectrum(sounds[SCRAPE])
    assert energies[hertz < RATE / 8].sum() > 4 * energies[hertz > RATE / 8].sum()
    parts = sounds[KNOCKS].reshape(-1, 128).std(1)
    assert parts.max() > 3 * np.median(parts)  # loud for a short while
    pitches = [loudest(part) for part in sounds[CHIRPS].reshape(-1, 256)]
    rises = np.diff(pitches)
    assert (rises >= 0).mean() > 0.6
    assert rises.min() < -300  # where it starts anew


def test_silence_is_quieter_than_any_thing_and_sometimes_complete():
    silent = [sound_of(None, rng(seed)).std() for seed in range(100)]
    loud = [sound_of(t, rng(seed)).std() for seed in SEEDS for t in range(5)]
    assert max(silent) < min(loud)
    assert min(silent) == 0


def test_hot_things_glow_whatever_they_are_made_of():
    things = [Attributes(kind, 0, hot) for kind in range(5) for hot in (False, True)]
    instances = np.zeros((80, 110), np.uint8)
    for number in range(10):
        instances[10:70, 5 + 10 * number : 13 + 10 * number] = number + 1
    seen = np.mean([measure_heat(instances, things, rng(s)) for s in SEEDS], axis=0)
    celsius = seen * KELVIN - 273.15
    inside = [celsius[15:65, 7 + 10 * n : 11 + 10 * n].mean() for n in range(10)]
    cold, hot = np.array(inside[0::2]), np.array(inside[1::2])
    assert cold == pytest.approx([21] * 5, abs=1)
    assert (hot > 33).all()
    assert hot[[2, 3]].max() < hot[[0, 1, 4]].min()  # metal mirrors the cool room
    assert celsius[:, 0].mean() == pytest.approx(21, abs=1)


def test_a_scanner_reads_distances_along_its_rays_on_a_few_lines():
    world = make_named_world(rng()).world
    hits = cast(world, 96, 128)
    sparse = scan(hits, rng())
    read = sparse > 0
    assert 0.28 < read.mean() < 0.34
    assert 0 < read.sum(0).max() <= LINES
    offsets = np.stack(
        [
            hits.depth,
            hits.depth * hits.rays.a[None, :],
            hits.depth * hits.rays.b[:, None],
        ]
    )
    distance = np.linalg.norm(offsets, axis=0)
    assert np.abs(sparse - distance)[read].max() < 0.06
    assert (distance - hits.depth)[read].max() > 0.3  # which depth is not
    assert ((scan(hits, rng(1)) > 0) != read).any()


def test_bad_light_leaves_noise_in_the_dark_and_white_around_a_lamp():
    picture = np.full((48, 64, 3), 60, np.uint8)
    picture[:, 32:] = 120
    seen = np.stack([badly_lit(picture, rng(seed)) for seed in range(400)])
    contrast = seen[:, :, 36:].mean((1, 2, 3)) - seen[:, :, :28].mean((1, 2, 3))
    noise = np.diff(seen[:, :, :28].astype(float), axis=1).std((1, 2, 3))
    by_day = (seen == picture).all((1, 2, 3))
    dark, blinded = noise > 30, ~by_day & (noise < 10)
    assert (by_day ^ dark ^ blinded).all()
    assert dark.mean() == pytest.approx(0.4, abs=0.06)
    assert blinded.mean() == pytest.approx(0.2, abs=0.05)
    assert (seen[blinded].min(3) == 255).mean((1, 2)).min() > 0.02
    assert (contrast[dark] > 5).mean() > 0.95  # something is left
    assert (noise[dark] > 2 * contrast[dark]).mean() > 0.5  # but little in a pixel


def test_the_other_style_is_a_negative_of_one_colour():
    picture = np.full((40, 60, 3), (10, 20, 30), np.uint8)
    picture[:, 30:] = (240, 220, 200)
    other = negative(picture, rng())
    assert (other.dtype, other.shape) == (np.uint8, picture.shape)
    dark, light = other[:, 32:].mean((0, 1)), other[:, :28].mean((0, 1))
    assert (light > 4 * dark).all()
    assert light / light[1] == pytest.approx([0.7, 1, 0.55], abs=0.02)


@pytest.fixture(scope="module")
def clips():
    return render_clips(range(3), 48, 64)


def test_a_clip_is_of_one_scene_that_moves(clips):
    assert clips.color.shape == (3, FRAMES, 48, 64, 3)
    assert clips.labels.max() <= len(KINDS)
    steps = (clips.labels[:, 1:] != clips.labels[:, :-1]).mean((1, 2, 3))
    whole = (clips.labels[:, -1] != clips.labels[:, 0]).mean((1, 2))
    assert (steps < 0.1).all()
    assert (whole > 2 * steps).all()
    np.testing.assert_array_equal(render_clips([1], 48, 64).color[0], clips.color[1])


def test_clips_are_kept_in_files(clips, tmp_path):
    for _ in range(2):
        kept = clips_of(range(3), 48, 64, tmp_path)
        np.testing.assert_array_equal(kept.color, clips.color)
        np.testing.assert_array_equal(kept.labels, clips.labels)
    assert len(list(tmp_path.iterdir())) == 2


def test_spoilt_frames_are_dark_or_lack_a_block_and_all_are_noisy(clips):
    many = np.concatenate([clips.color[0]] * 40)
    noisy, spoilt = spoil(many, rng())
    assert spoilt.mean() == pytest.approx(0.4, abs=0.08)
    change = np.abs(noisy.astype(float) - many).mean((1, 2, 3))
    assert change[~spoilt].min() > 4
    dark = spoilt & (noisy.mean((1, 2, 3)) < 0.4 * many.mean((1, 2, 3)))
    assert dark.mean() == pytest.approx(0.2, abs=0.07)
    for hit in (dark, spoilt & ~dark):
        assert change[hit].mean() > 1.5 * change[~spoilt].mean()
    assert (many == np.concatenate([clips.color[0]] * 40)).all()
