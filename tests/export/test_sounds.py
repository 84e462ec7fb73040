"""Networks that hear, exported in one command."""

from __future__ import annotations

import json
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg.runtime.inputs import adapter_of
from fuseg_export.frames import frame_set
from fuseg_export.mel_filters import hann, mel_filters
from fuseg_export.network.inputs import read_inputs
from fuseg_export.sound_reference import preprocess_sound

MODULE = '''
import torch
from torch import nn

class Seen(nn.Module):
    """Labels of a picture, which the spectrum has a say in."""
    def __init__(self):
        super().__init__()
        self.image = nn.Conv2d(3, 8, 4, stride=4)
        self.hears, self.scores = nn.Conv1d(20, 8, 5), nn.Conv2d(8, 3, 1)
    def forward(self, sound, rgb):
        heard = self.hears(sound).mean(2).tanh()
        small = self.scores(self.image(rgb).relu() * heard[:, :, None, None])
        return nn.functional.interpolate(small, size=rgb.shape[2:], mode="bilinear")

class Heard(nn.Module):
    """What is heard, of samples as they are."""
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv1d(1, 8, 64, stride=16), nn.ReLU())
        self.says = nn.Linear(8, 4)
    def forward(self, sound):
        return self.says(self.layers(sound).square().mean(2))
'''


@pytest.fixture
def networks(tmp_path, monkeypatch):
    """A user's folder; ``networks[name]`` is what a factory there makes."""
    (tmp_path / "my_sounds.py").write_text(MODULE)
    scope, made = {}, {}
    exec(MODULE, scope)  # noqa: S102 - our own words, above
    for name in ("Seen", "Heard"):
        torch.manual_seed(5)
        made[name] = scope[name]().eval()
        torch.save(made[name].state_dict(), tmp_path / f"{name}.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(frame_set, "STAGE_FRAMES", 3)
    yield made
    sys.modules.pop("my_sounds", None)


def export(name, *words, **sound):
    """With the spec file's keys of the input."""
    Path("spec.json").write_text(json.dumps({"inputs": {"sound": sound}}))
    given = [f"my_sounds:{name}", "--checkpoint", f"{name}.pt", "-o", "b.fuseg"]
    return CliRunner().invoke(app, ["export", *given, "--spec", "spec.json", *words])


def sound_of(seed, samples, loud=0.2):
    source = np.random.default_rng(seed)
    return (source.standard_normal(samples) * loud * 32768).astype(np.int16)


def test_a_picture_and_a_sound_are_labelled_like_torch(networks):
    words = ["--input", "sound=audio:20x50", "--input", "rgb=color:48x64", "--json"]
    features = {"frame": 256, "hop": 160, "log": "ln", "range": 12.0}
    done = export("Seen", *words, features=features, rate=8000, mean=-6.0, std=3.0)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["tail"]["removed"] == ["Resize"]
    assert any("sound: verified on made-up sounds" in note for note in report["notes"])
    both = [fuseg.load("b.fuseg", backend=b) for b in ("onnxruntime", "openvino")]
    (sensor, _) = reversed(both[0].manifest.inputs)
    assert sensor.samples == 8000
    rgb = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    rgb, maps = rgb.repeat(8, 0).repeat(8, 1), set()
    for seed in range(4):
        given = {"rgb": rgb, "sound": sound_of(seed, 8000, 0.01 + 0.1 * seed)}
        tensors = both[0].preprocess(**given)
        with torch.no_grad():
            scores = networks["Seen"](
                *(torch.tensor(tensors[n]) for n in ("sound", "rgb"))
            )
        wanted = scores.argmax(1)[0].numpy()
        for segmenter in both:
            assert np.mean(segmenter(**given).labels == wanted) > 0.999
        maps.add(wanted.tobytes())
    assert len(maps) > 1


def test_samples_of_wav_files_alone_become_classes(networks):
    with wave.open("a.wav", "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(
            np.concatenate([sound_of(s, 4000) for s in range(3)]).tobytes()
        )
    words = ["--input", "sound=audio:4000", "--output", "scene=classes", "--json"]
    done = export("Heard", *words, channel_axis=True, examples=["a.wav"])
    assert done.exit_code == 0, done.output
    notes = json.loads(done.stdout)["notes"]
    assert "sound: verified on 3 windows of its examples" in notes
    segmenter = fuseg.load("b.fuseg")
    frames, expected = segmenter.bundle.samples()[1]
    np.testing.assert_array_equal(frames["sound"], sound_of(1, 4000))
    with torch.no_grad():
        scores = networks["Heard"](
            torch.tensor(frames["sound"] / np.float32(32768))[None, None]
        )
    np.testing.assert_allclose(expected["scene"], scores.softmax(1)[0], atol=1e-5)


FEATURES = [
    {},
    {"pad": "zero", "power": 1, "log": "ln"},
    {"pad": "none", "log": "db", "range": 30.0, "order": "frames-bands"},
    {"log": "none", "floor": 0.0, "frame": 401, "hop": 100},
]


@pytest.mark.parametrize("features", FEATURES)
def test_the_runtime_makes_the_tensor_of_the_definition(networks, features):
    """With all that a spec says of the bands; both compute in float64."""
    del networks
    words = ["rgb=color:8x8", "sound=audio:12x20"]
    mel = {
        "scale": "htk",
        "normalized": False,
        "low": 50.0,
        "high": 7000,
        "length": 300,
    }
    (entry,) = read_inputs(
        words, [], {"sound": {"features": features, "mel": mel}}
    ).others
    frame = entry.record.features.frame
    window, filters = entry.tables.values()
    keys = {"scale": "htk", "normalized": False, "low": 50.0, "high": 7000}
    np.testing.assert_array_equal(filters, mel_filters(16000, frame, 12, **keys))
    np.testing.assert_array_equal(window, hann(300, frame))
    sound = entry.example(3)
    wanted = preprocess_sound(entry.record, sound, *entry.tables.values())
    adapter = adapter_of(entry.record, entry.members.__getitem__)
    found = {"sound": np.empty(entry.shape, np.float64)}
    adapter.write(sound, found)
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(found["sound"], wanted, atol=1e-9 * scale)
    assert len(np.unique(wanted)) > 100


REFUSED = [
    ({"features": {"bands": 3}}, "inputs.sound.features must not hold 'bands'"),
    ({"features": {"log": "e"}}, "input sound: log must be"),
    ({"features": 3}, "inputs.sound.features must be an object, got 3"),
    ({"mel": {"norm": 1}}, "inputs.sound.mel: 'norm' is unknown; known are scale"),
    ({"mel": {"scale": "bark"}}, "must have scale slaney or htk and normalized true"),
    ({"mel": {"high": 9000}}, "must have low below high, in hertz from 0 to half the"),
    ({"mel": {"length": 500}}, "length must be samples of the Hann window, 1 to 400"),
    ({"samples": 100}, "input sound: features.frame must be at most 199"),
    ({"unit": "m"}, "input sound: unit is not a key"),
    ({"examples": "a.wav"}, "inputs.sound.examples must be a list of WAV files"),
    ({"examples": ["no.wav"]}, "no.wav cannot be read"),
    (
        {"examples": ["s.wav"]},
        "s.wav must have 16000 samples a second and 3200 of them",
    ),
]


@pytest.mark.parametrize(("keys", "sentence"), REFUSED)
def test_sounds_that_cannot_be_made_are_one_sentence(networks, keys, sentence):
    del networks
    with wave.open("s.wav", "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(sound_of(0, 100).tobytes())
    words = ["--input", "rgb=color:8x8", "--input", "sound=audio:12x20"]
    done = export("Seen", *words, **keys)
    assert done.exit_code == 2, done.output
    (last,) = (line for line in done.stderr.splitlines() if line.startswith("error"))
    assert sentence in last


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--input", "sound=audio:x"],
            "--input must be NAME=audio:BANDSxFRAMES, as in",
        ),
        (
            ["--input", "sound=audio:4000", "--frames", "sound=a.wav"],
            "--frames must be absent for a network without pictures, got sound",
        ),
        (
            ["--input", "sound=audio:4000", "--output", "b=boxes"],
            "output b of kind boxes needs an input that is a picture",
        ),
    ],
)
def test_options_that_do_not_go_with_sound_are_refused(networks, words, sentence):
    del networks
    done = export("Heard", *words, channel_axis=True)
    assert done.exit_code == 2, done.output
    assert sentence in " ".join(done.stderr.split())
