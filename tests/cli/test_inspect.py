from __future__ import annotations

import hashlib
import io
import shlex
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fuseg import manifest
from fuseg.bundle import Bundle, write
from fuseg.errors import ManifestError
from fuseg.manifest import Manifest, Missing


def test_json_is_the_manifest_and_the_digest_of_the_file(fuseg, sampled):
    path = sampled()
    report = fuseg("inspect", path, "--json").json
    assert list(report) == ["bundle", "digest", "bytes", "manifest"]
    assert report["digest"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert report["bytes"] == path.stat().st_size
    import json

    again = Manifest.parse(json.dumps(report["manifest"]))
    assert again == Bundle.open(path).manifest


def test_people_read_what_it_takes_and_gives(
    fuseg, make_bundle, color_input, plane_input
):
    held = Missing("hold", 200.0, "substitute")
    always = Missing("substitute", None, max_ahead_ms=None)
    inputs = color_input(), plane_input(missing=held), plane_input("ir", missing=always)
    path = make_bundle(*inputs).path
    done = fuseg("inspect", path)
    assert (done.code, done.stderr) == (0, "")
    for words in (
        "linear  (format 2, tests)",
        hashlib.sha256(path.read_bytes()).hexdigest(),
        "color, uint8, RGB",
        "depth, uint16, in mm, no reading: 0 65535",
        "6x8 nearest",
        "depth 1x1x6x8, channel 0",
        "refuse; late after 500 ms, early by 100 ms",
        "hold, then substitute; late after 200 ms, early by 100 ms",
        "substitute; never late, never early",
        "cut from the graph: Resize + ArgMax",
        "4 classes: 0 class0, 1 class1, 2 class2, 3 class3",
        "variant fp32, for any",
        "graph net: fp32.onnx",
        "opset 17, IR 8",
        "0 sample frames",
    ):
        assert words in done.stdout, words


def test_a_damaged_bundle_is_refused(fuseg, rgbd):
    rgbd.path.write_bytes(rgbd.path.read_bytes()[:-5])
    done = fuseg("inspect", rgbd.path)
    assert done.code == 2
    assert done.stderr.startswith(f"error: {rgbd.path}: ")


def pixels(path):
    with Image.open(path) as image:
        return image.mode, np.array(image)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.fixture
def with_samples(make_bundle, color_input, plane_input, tmp_path):
    """A bundle with one sample: BGR colour, 8-bit, 16-bit and float32 planes."""
    heat = plane_input(
        "heat", kind="thermal", dtype="uint8", unit="1", invalid=(), mean=(0.0,)
    )
    inputs = (
        *(color_input(channels="BGR"), plane_input(), heat),
        plane_input("far", dtype="float32", unit="m", invalid=()),
    )
    opened = Bundle.open(make_bundle(*inputs).path)
    rng = np.random.default_rng(3)
    arrays = {
        "rgb": rng.integers(0, 256, (6, 8, 3)).astype(np.uint8),
        "depth": rng.integers(0, 65536, (6, 8)).astype(np.uint16),
        "heat": rng.integers(0, 256, (6, 8)).astype(np.uint8),
        "far": rng.random((6, 8)).astype(np.float32),
    }
    arrays["far"][0, 0] = np.nan
    labels = rng.integers(0, 4, (6, 8)).astype(np.uint8)
    names = {name: f"samples/0_{name}.npy" for name in arrays}
    members = {names[name]: npy(array) for name, array in arrays.items()}
    members |= {"samples/0.npy": npy(labels), "fp32.onnx": opened.read("fp32.onnx")}
    sample = manifest.Sample(names, {"labels": "samples/0.npy"})
    path = tmp_path / "samples.fuseg"
    write(path, replace(opened.manifest, samples=(sample,), files={}), members)
    return path, arrays, labels


def test_extracted_files_hold_what_the_bundle_holds(fuseg, with_samples, tmp_path):
    path, arrays, labels = with_samples
    out = tmp_path / "out"
    report = fuseg("inspect", path, "--extract", out, "--json").json
    assert {*report["extracted"]} == {str(p) for p in out.rglob("*") if p.is_file()}
    with zipfile.ZipFile(path) as archive:
        for name in ("manifest.json", "fp32.onnx"):
            assert (out / name).read_bytes() == archive.read(name)
    samples = out / "samples"
    mode, color = pixels(samples / "rgb/0000.png")
    assert mode == "RGB"
    np.testing.assert_array_equal(color, arrays["rgb"][..., ::-1])
    for name, mode, suffix in (
        ("depth", "I;16", "png"),
        ("heat", "L", "png"),
        ("far", "F", "tiff"),
    ):
        found = pixels(samples / name / f"0000.{suffix}")
        assert found[0] == mode
        np.testing.assert_array_equal(found[1], arrays[name])
    mode, expected = pixels(samples / "expected-labels/0000.png")
    assert mode == "P"
    np.testing.assert_array_equal(expected, labels)


def test_extracted_samples_run_as_it_says(fuseg, sampled, tmp_path, monkeypatch):
    path = sampled()
    done = fuseg("inspect", path, "--extract", tmp_path / "a folder")
    line = done.stdout.splitlines()[-1]
    words = shlex.split(line.partition("label the samples: fuseg ")[2])
    monkeypatch.chdir(tmp_path)
    assert fuseg(*words).code == 0
    for number in ("0000", "0001"):
        expected = tmp_path / "a folder/samples/expected-labels" / f"{number}.png"
        np.testing.assert_array_equal(
            pixels(tmp_path / "labelled/labels" / f"{number}.png")[1],
            pixels(expected)[1],
        )


def test_nothing_is_overwritten(fuseg, sampled, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "manifest.json").write_text("mine")
    for target in (mine, mine / "manifest.json"):
        done = fuseg("inspect", sampled(), "--extract", target)
        assert done.code == 2
        assert done.stderr == (
            f"error: --extract must be a new or an empty folder, got {target}: "
            "nothing is overwritten.\n"
        )
    assert [p.name for p in mine.iterdir()] == ["manifest.json"]
    assert (mine / "manifest.json").read_text() == "mine"


def test_a_robustness_card_is_shown(fuseg, rgbd):
    opened = Bundle.open(rgbd.path)
    half = {"miou": 0.5, "interval": (0.25, 0.75)}
    card = manifest.Robustness(
        frames=3,
        subsets=(
            manifest.SensorSet(sensors=("rgb", "depth"), **half),
            manifest.SensorSet(
                sensors=("rgb",), refused=3, refused_without=("depth",), **half
            ),
        ),
        mean=manifest.Estimate(**half),
        expected=(manifest.Expectation(p=0.2, **half),),
    )
    whole = replace(opened.manifest, robustness=card, files={})
    write(rgbd.path, whole, {"fp32.onnx": opened.read("fp32.onnx")})
    assert Bundle.open(rgbd.path).manifest.robustness == card
    shown = fuseg("inspect", rgbd.path).stdout
    assert "robustness on 3 frames" in shown
    assert "rgb: all of 3 frames refused without depth, their mIoU is 0" in shown
    assert "expected, each failing with p = 0.2" in shown
    found = fuseg("inspect", rgbd.path, "--json").json["manifest"]["robustness"]
    assert found["mean"] == {"miou": 0.5, "interval": [0.25, 0.75]}
    other = replace(card, subsets=(manifest.SensorSet(sensors=("ir",), **half),))
    with pytest.raises(ManifestError, match="robustness must name sensors, rgb, depth"):
        replace(whole, robustness=other)
