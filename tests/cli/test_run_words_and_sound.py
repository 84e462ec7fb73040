"""``fuseg run`` on bundles that are given texts, and on those that hear."""

from __future__ import annotations

import wave
from dataclasses import replace

import numpy as np
import onnx
import pytest
from runtime.prompted import prompted
from runtime.sounds import audio_input, tables, write_hearing

import fuseg as library
from fuseg import bundle, manifest
from fuseg.dataset.images import read_labels, write_png


@pytest.fixture
def worded(make_bundle, color_input, tmp_path):
    made, files = prompted(make_bundle, color_input)
    bundle.write(tmp_path / "prompted.fuseg", made, files)
    rgb = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    write_png(tmp_path / "rgb.png", rgb)
    return tmp_path / "prompted.fuseg", rgb


def test_a_text_is_given_to_every_frame(fuseg, worded, tmp_path):
    path, rgb = worded
    segmenter = library.load(path)
    for text in ("a red chair", "tables"):
        wanted = segmenter(rgb=rgb, prompt=text).labels
        words = ["--input", f"rgb={tmp_path}/rgb.png", "--out", tmp_path / text]
        done = fuseg("run", path, *words, "--text", f"prompt={text}", "--json")
        assert done.code == 0, done.stderr
        found = read_labels(tmp_path / text / "labels/rgb.png")
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("prompt", "--text must be NAME=TEXT, got 'prompt'."),
        ("rgb=chair", "--text must name an input of texts (prompt), got 'rgb'."),
    ],
)
def test_a_text_for_nothing_is_refused(fuseg, worded, tmp_path, text, sentence):
    words = ["--input", f"rgb={tmp_path}/rgb.png", "--out", tmp_path / "out"]
    done = fuseg("run", worded[0], *words, "--text", text)
    assert done.code == 2
    assert sentence in " ".join(done.stderr.split())


def test_a_bad_text_is_told_once_however_many_frames(fuseg, worded, tmp_path):
    path, rgb = worded
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(3):
        write_png(frames / f"{number}.png", rgb)
    words = ["--input", f"rgb={frames}", "--out", tmp_path / "out"]
    done = fuseg("run", path, *words, "--text", "prompt=")
    assert done.code == 2
    assert done.stderr.count("prompt must") == 1


def write_wav(path, samples, *, rate=16000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_wav_file_is_what_its_samples_are(fuseg, tmp_path, dtype):
    scale = 1 / 32768 if dtype == "int16" else 1.0
    spec = audio_input(dtype=dtype, scale=scale)
    path = write_hearing(tmp_path / "hearing.fuseg", spec).path
    samples = np.random.default_rng(1).integers(-9000, 9000, 1600).astype(np.int16)
    write_wav(tmp_path / "a.wav", samples)
    words = ["--input", f"sound={tmp_path}/a.wav", "--out", tmp_path / "out"]
    done = fuseg("run", path, *words, "--json")
    assert done.code == 0, done.stderr
    given = samples if dtype == "int16" else samples.astype(np.float32) / 32768
    wanted = library.load(path)(sound=given)["felt"]
    (frame,) = done.json["frames"]
    np.testing.assert_array_equal(np.load(frame["outputs"]["felt"]), wanted)


def test_a_wav_file_of_another_rate_is_resampled_when_told(fuseg, tmp_path):
    path = write_hearing(tmp_path / "hearing.fuseg").path
    samples = (9000 * np.sin(np.arange(4800) / 20)).astype(np.int16)
    write_wav(tmp_path / "a.wav", samples, rate=48000)
    words = ["--input", f"sound={tmp_path}/a.wav", "--out", tmp_path / "out"]
    done = fuseg("run", path, *words)
    assert done.code == 2
    said = " ".join(done.stderr.split())
    assert "must have 16000 samples a second, got 48000: say --rate sound=48000" in said
    done = fuseg("run", path, *words, "--rate", "sound=48000", "--json")
    assert done.code == 0, done.stderr
    wanted = library.load(path, rates={"sound": 48000})(sound=samples)["felt"]
    (frame,) = done.json["frames"]
    np.testing.assert_array_equal(np.load(frame["outputs"]["felt"]), wanted)


def test_bench_takes_sound_of_another_rate(fuseg, tmp_path):
    path = write_hearing(tmp_path / "hearing.fuseg").path
    words = ["--input", f"sound={tmp_path}/a.wav", "--rounds", "1", "--json"]
    write_wav(tmp_path / "a.wav", np.zeros(4800, np.int16), rate=48000)
    done = fuseg("bench", path, *words)
    assert done.code == 2
    assert "got 48000: say --rate sound=48000." in " ".join(done.stderr.split())
    done = fuseg("bench", path, *words, "--rate", "sound=48000")
    assert done.code == 0, done.stderr


def test_bench_and_verify_take_texts(fuseg, worded, tmp_path):
    path, rgb = worded
    words = ["--input", f"rgb={tmp_path}/rgb.png", "--text", "prompt=tables", "--json"]
    done = fuseg("bench", path, *words, "--rounds", "2")
    assert done.code == 0, done.stderr
    labels = library.load(path)(rgb=rgb, prompt="tables").labels
    write_png(tmp_path / "truth.png", labels)
    done = fuseg("verify", path, *words, "--truth", tmp_path / "truth.png")
    assert done.code == 0, done.stderr
    assert done.json["truth"]["pixel_accuracy"] == 1.0
    assert set(labels.ravel().tolist()) == {0, 1}


def test_the_peer_of_bench_hears_nothing(fuseg, make_bundle, color_input, tmp_path):
    path = write_both(tmp_path / "both.fuseg", make_bundle(color_input()))
    rng = np.random.default_rng(2)
    write_wav(tmp_path / "a.wav", rng.integers(-900, 900, 1600).astype(np.int16))
    write_png(tmp_path / "rgb.png", rng.integers(0, 256, (6, 8, 3)).astype(np.uint8))
    words = ["--input", f"sound={tmp_path}/a.wav", "--input", f"rgb={tmp_path}/rgb.png"]
    done = fuseg("bench", path, *words, "--rounds", "1", "--json")
    assert done.code == 0, done.stderr
    (peer,) = done.json["peers"].values()
    assert peer["unavailable"] == "reads pictures alone."


def write_both(path, one):
    """A bundle like ``one`` of colour that hears as well, and labels without it."""
    opened = bundle.Bundle.open(one.path)
    whole, spec = opened.manifest, audio_input()
    model = onnx.load_from_string(opened.read("fp32.onnx"))
    heard = onnx.helper.make_tensor_value_info("heard", 1, spec.shape)
    model.graph.input.append(heard)
    model.graph.node.append(onnx.helper.make_node("Identity", ["heard"], ["unused"]))
    (graph,) = whole.graphs
    whole = replace(
        whole,
        inputs=(*whole.inputs, spec),
        tensors=whole.tensors | {"heard": manifest.Tensor(spec.shape)},
        graphs=(replace(graph, reads=(*graph.reads, "heard")),),
        files={},
    )
    members = {"fp32.onnx": model.SerializeToString()} | tables(spec)
    bundle.write(path, whole, members)
    return path


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"channels": 2}, "must have one channel of 16 bits, got 2 of 16 bits."),
        ({"width": 1}, "must have one channel of 16 bits, got 1 of 8 bits."),
        (None, "must be a WAV file of 16 bits:"),
    ],
    ids=["stereo", "8 bits", "no sound"],
)
def test_another_file_is_refused_in_a_sentence(fuseg, tmp_path, changes, sentence):
    path = write_hearing(tmp_path / "hearing.fuseg").path
    if changes is None:
        (tmp_path / "a.wav").write_bytes(b"RIFF1234WAVE")
    else:
        write_wav(tmp_path / "a.wav", np.zeros(3200, np.int16), **changes)
    words = ["--input", f"sound={tmp_path}/a.wav", "--out", tmp_path / "out"]
    done = fuseg("run", path, *words)
    assert done.code == 2
    assert sentence in " ".join(done.stderr.split())
