"""Windows of sound: read as declared, at the rate that is said, or refused in words."""

from __future__ import annotations

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from runtime.sounds import MEL, audio_input, npy, tables, write_hearing
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg.errors import (
    ArgumentError,
    BundleError,
    DTypeError,
    FrameError,
    FusegError,
    ManifestError,
    ShapeError,
)
from fuseg.manifest import Missing

MS = 1_000_000


@pytest.fixture
def hearing(tmp_path):
    return lambda spec=None, **options: fuseg.load(
        write_hearing(tmp_path / "hearing.fuseg", spec).path, **options
    )


def sound(samples=1600, rate=16000, dtype="int16", seed=0):
    t = np.arange(samples) / rate
    noise = np.random.default_rng(seed).standard_normal(samples) * 1e-3
    wave = 0.4 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.sin(2 * np.pi * 3000 * t)
    wave = wave + (noise if rate == 16000 else 0)
    return (wave * 32767).astype(dtype) if dtype == "int16" else wave.astype(dtype)


def features(spec, array):
    """By the definition, in float64: cosines and sines, no Fourier transform."""
    made, x = spec.features, array.astype(np.float64) * spec.scale
    before = made.frame // 2
    at = np.abs(np.arange(-before, len(x) + before))
    x = x[np.where(at < len(x), at, 2 * (len(x) - 1) - at)]
    window, filters = (
        np.load(__import__("io").BytesIO(t)) for t in tables(spec).values()
    )
    turn = 2 * np.pi * np.outer(np.arange(made.frame), np.arange(made.frame // 2 + 1))
    turn /= made.frame
    columns = []
    for k in range(made.frames):
        cut = x[k * made.hop :][: made.frame] * window
        energy = (cut @ np.cos(turn)) ** 2 + (cut @ np.sin(turn)) ** 2
        columns.append(np.log(np.maximum(filters.astype(np.float64) @ energy, 1e-6)))
    return (np.stack(columns, 1) - spec.mean) / spec.std


@pytest.mark.parametrize("order", ["bands-frames", "frames-bands"])
@pytest.mark.parametrize("channel_axis", [False, True])
def test_a_window_feeds_what_the_definition_says(hearing, order, channel_axis):
    spec = audio_input(features=replace(MEL, order=order), channel_axis=channel_axis)
    segmenter, array = hearing(spec), sound()
    wanted = features(spec, array)
    wanted = wanted if order == "bands-frames" else wanted.T
    for given in (array, array[::-1].copy()[::-1], np.repeat(array, 2)[::2]):
        found = segmenter(sound=given)["felt"]
        assert found.shape == spec.shape
        np.testing.assert_allclose(found.reshape(wanted.shape), wanted, atol=1e-5)


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_samples_themselves_may_be_the_tensor(hearing, dtype):
    scale = 1 / 32768 if dtype == "int16" else 1.0
    spec = audio_input(features=None, dtype=dtype, scale=scale, mean=0.5, std=2.0)
    array = sound(dtype=dtype)
    wanted = (array * np.float64(scale) - 0.5) / 2
    np.testing.assert_allclose(hearing(spec)(sound=array)["felt"][0], wanted, atol=1e-7)


@pytest.mark.parametrize(
    ("rate", "samples"), [(48000, 4800), (44100, 4410), (8000, 800)]
)
def test_another_rate_is_resampled(hearing, rate, samples):
    spec = audio_input(features=None, mean=0.0, std=1.0)
    segmenter = hearing(spec, rates={"sound": rate})
    t = np.arange(samples) / rate
    array = np.round(np.sin(2 * np.pi * 440 * t) * 20000).astype(np.int16)
    wanted = np.sin(2 * np.pi * 440 * np.arange(1600) / 16000) * 20000 / 32768
    found = segmenter(sound=array)["felt"][0]
    assert np.abs(found - wanted)[100:-100].max() < 5e-5
    with pytest.raises(ShapeError, match=rf"sound must have shape \({samples},\)"):
        segmenter(sound=sound())


def test_the_same_sound_at_two_rates_has_the_same_features(hearing):
    plain = hearing()(sound=sound(1600, 16000))["felt"]
    fast = hearing(rates={"sound": 48000})(sound=sound(4800, 48000))["felt"]
    loud = plain > plain.max() - 2
    assert np.abs(plain - fast)[..., 4:-4][loud[..., 4:-4]].max() < 0.02


def test_silence_is_a_reading(hearing):
    result = hearing()(sound=np.zeros(1600, np.int16))
    assert result.sources["sound"].state == "fresh"
    floor = (np.log(1e-6) + 4) / 2
    np.testing.assert_allclose(result["felt"], floor, rtol=1e-6)


def test_policies_are_those_of_other_sensors(hearing):
    spec = audio_input(missing=Missing("hold", 100.0, then="substitute"))
    segmenter = hearing(spec)
    first = segmenter(sound=fuseg.Frame(sound(), 0))["felt"]
    held = segmenter(sound=None, stamp_ns=100 * MS)
    assert held.sources["sound"].state == "held"
    np.testing.assert_array_equal(held["felt"], first)
    gone = segmenter(sound=None, stamp_ns=101 * MS)
    assert gone.sources["sound"].state == "substituted"
    assert (gone["felt"] == spec.fill).all()
    with pytest.raises(FrameError, match=r"sound \(no frame\): no usable frame"):
        hearing()(sound=None)


@pytest.mark.parametrize("scale", [1.0, 32768.0])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 3e38])
def test_a_sample_that_is_no_number_is_no_reading(hearing, wrong, scale):
    spec = audio_input(dtype="float32", scale=scale, missing=Missing("substitute"))
    segmenter, array = hearing(spec), sound(dtype="float32")
    array[7] = wrong
    result = segmenter(sound=array)
    assert result.sources["sound"].cause == "invalid"
    assert result.reason == "sound: substituted (not all numbers)"
    assert (result["felt"] == spec.fill).all()


ADVICE = {
    "one channel with its axis": ({}, lambda a: a[:, None]),
    "a batch": ({}, lambda a: a[None]),
    "stereo": ({}, lambda a: np.stack([a, a], 1)),
    "floats for int16": ({}, lambda a: a / 32768),
    "32 bits for int16": ({}, lambda a: a.astype(np.int32) << 16),
    "int16 for floats": ({"dtype": "float32", "scale": 1.0}, None),
    "double": ({"dtype": "float32", "scale": 1.0}, lambda a: a.astype(np.float64)),
    "more than a window": ({}, lambda a: np.concatenate([a[:77], a])),
    "a mask": ({}, lambda a: np.ma.masked_array(a, np.arange(len(a)) == 800)),
}


@pytest.mark.parametrize("name", ADVICE)
def test_what_a_refusal_says_to_do_is_done(hearing, name):
    changes, change = ADVICE[name]
    spec = audio_input(**changes)
    segmenter, array = hearing(spec), sound(dtype=spec.dtype)
    given = sound() if change is None else change(array)
    with pytest.raises(FusegError) as caught:
        segmenter(sound=given)
    advice = caught.value.fault.advice
    code = advice[advice.index(": ") + 2 :].removesuffix(".")
    followed = eval(code, {"np": np, "sound": given})
    np.testing.assert_allclose(
        segmenter(sound=followed)["felt"], segmenter(sound=array)["felt"], atol=0.05
    )


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (4800, r"say so when loading: rates=\{'sound': 48000\}\.$"),
        (800, r"say so when loading: rates=\{'sound': 8000\}\.$"),
        (1500, r"The network hears 0\.1 s at 16000 Hz at once: collect that many\.$"),
        (0, r"must not be empty, got shape \(0,\)"),
    ],
)
def test_a_window_of_another_length_is_refused(hearing, samples, sentence):
    with pytest.raises(ShapeError, match=sentence):
        hearing()(sound=np.zeros(samples, np.int16))


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ({"sound": 16001}, r"rates\['sound'\] must have a ratio .* got 16001\.$"),
        (
            {"sound": 0},
            r"be whole samples a second, from 1000 to 768000, got 0\.$",
        ),
        ({"sound": 10**9}, r"a second, from 1000 to 768000, got 1000000000\.$"),
        ({"sound": 16e3}, r"whole samples a second, .* got 16000\.0\.$"),
        ({"noise": 8000}, r"rates must name inputs of the bundle \(sound\), got 'noi"),
        (8000, r"rates must be a dict, as in \{'sound': 48000\}, got 8000\.$"),
    ],
)
def test_a_rate_that_cannot_be_is_refused(hearing, rates, sentence):
    with pytest.raises(ArgumentError, match=sentence):
        hearing(rates=rates)


def test_what_a_microphone_has_not_is_refused(hearing, rgbd):
    with pytest.raises(ArgumentError, match="units must name depth-like inputs, got '"):
        hearing(units={"sound": "mm"})
    with pytest.raises(ArgumentError, match="rates must name audio inputs, got 'rgb'"):
        fuseg.load(rgbd.path, rates={"rgb": 48000})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"frames": 27}, "features.frames must be at most 26, which 1600 samples have"),
        ({"frame": 4000}, "features.frame must be at most 3199 to be padded with"),
        ({"floor": 0.0}, "floor must be above 0 for a logarithm, got 0"),
        ({"range": 0.0}, "range must be above 0, got 0"),
        ({"window": "../w.npy"}, "window must be a member's name that ends in .npy"),
        ({"filters": "window.npy"}, "filters must not be window's member"),
        ({"power": 3}, "power must be one of 1, 2, got 3"),
        ({"hop": 1, "frames": 65536, "frame": 4096}, "frames must be at most 4096, as"),
    ],
)
def test_features_that_cannot_be_are_refused(changes, sentence):
    with pytest.raises(ManifestError, match=sentence):
        audio_input(features=replace(MEL, **changes))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("window.npy", np.ones(127, np.float32)),
        ("mel.npy", np.ones((20, 64), np.float32)),
        ("mel.npy", np.ones((20, 65), np.uint8)),
    ],
)
def test_a_member_of_another_shape_is_refused_at_opening(tmp_path, name, array):
    members = tables(audio_input()) | {name: npy(array)}
    with pytest.raises(BundleError, match=rf"{name}'? must be float32"):
        write_hearing(tmp_path / "h.fuseg", members=members)


def test_a_bundle_with_a_microphone_is_shown_and_pickled(hearing, tmp_path):
    segmenter = hearing()
    shown = CliRunner().invoke(app, ["inspect", str(tmp_path / "hearing.fuseg")])
    assert "audio, int16, 16000 Hz, 1600 samples, 0.1 s" in shown.output
    assert "log-mel, tensor heard 1x20x25" in shown.output
    twin = pickle.loads(pickle.dumps(segmenter))
    wanted = segmenter(sound=sound())["felt"]
    np.testing.assert_array_equal(twin(sound=sound())["felt"], wanted)


def test_a_window_on_the_gpu_is_refused_in_a_sentence(hearing):
    given = {"shape": (1600,), "typestr": "<i2", "data": (4096, False), "version": 3}
    window = SimpleNamespace(__cuda_array_interface__=given)
    with pytest.raises(DTypeError, match="sound must be in the memory of the CPU"):
        hearing()(sound=window)
