"""``fuseg verify --against``: labels of a bundle and another way to the same labels."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import fuseg as library
from fuseg import bundle, manifest

SIZE = (6, 8)


@pytest.fixture
def pictures(frames, saved, tmp_path):
    """``--input`` words for two frames, and their arrays by key."""
    arrays = {f"{index}": frames(index, *SIZE) for index in (0, 1)}
    for key, given in arrays.items():
        for name, array in given.items():
            saved(f"{name}/{key}.png", array)
    words = [w for n in ("rgb", "depth") for w in ("--input", f"{n}={tmp_path}/{n}")]
    return words, arrays


@pytest.fixture
def predicted(rgbd, pictures, saved, tmp_path):
    """``predicted(change)``: a folder of the bundle's labels, changed by frame key."""

    def write(change=lambda _, labels: labels):
        for key, arrays in pictures[1].items():
            labels = library.load(rgbd.path)(**arrays).labels
            saved(f"theirs/{key}.png", change(key, labels).astype(np.uint8))
        return tmp_path / "theirs"

    return write


@pytest.fixture
def compare(fuseg, rgbd, pictures):
    def call(path, *words, of=None):
        return fuseg("verify", of or rgbd.path, *pictures[0], "--against", path, *words)

    return call


def share(done):
    """The number in the sentence that refuses."""
    sentence = done.stderr.splitlines()[-1]
    found = re.fullmatch(
        r"failed: (0\.\d{6}) of the labels agree with --against \S+, at least 0\.9995 "
        r"must(\.|: .*)",
        sentence,
    )
    assert found, sentence
    return float(found[1])


def test_equal_labels_pass(compare, predicted):
    done = compare(predicted(), "--json")
    assert (done.code, done.stderr) == (0, "")
    found = done.json["against"]
    assert (found["frames"], found["pixels"]) == (2, 96)
    assert (found["agreement"], found["min_agreement"]) == (1.0, 0.9995)
    assert (found["worst"], found["hint"]) == ([], None)


def test_what_differs_is_counted_by_class_and_frame(compare, predicted, rgbd, pictures):
    def change(key, labels):
        if key == "1":
            labels[0, :5] = 255
            labels[1, :4] = (labels[1, :4] + 1) % 4
        return labels

    path = predicted(change)
    done = compare(path, "--json")
    assert done.code == 1
    found = done.json["against"]
    table = {}
    for key, arrays in pictures[1].items():
        ours = library.load(rgbd.path)(**arrays).labels
        theirs = change(key, ours.copy())
        for a, b in zip(theirs.ravel().tolist(), ours.ravel().tolist(), strict=True):
            row = table.setdefault("ignore" if a == 255 else f"class{a}", {})
            row[f"class{b}"] = row.get(f"class{b}", 0) + 1
    assert found["classes"] == table
    assert found["agreement"] == pytest.approx(87 / 96)
    assert found["worst"] == [
        {"frame": "1", "agreement": pytest.approx(39 / 48)},
    ]
    assert done.json["failures"] == [
        f"0.906250 of the labels agree with --against {path}, at least 0.9995 must.",
    ]
    done = compare(path, "--min-agreement", "0.9")
    assert (done.code, done.stderr) == (0, "")
    assert "frame 1: 0.812500 of the labels agree\n" in done.stdout
    assert done.stdout.endswith(f"0.906250 of the labels agree with --against {path}\n")
    row = next(line for line in done.stdout.splitlines() if "ignore" in line)
    assert row.split()[:3] == ["ignore", "5", "0.0000"]


def test_a_pixel_of_no_class_on_both_sides_is_equal(
    compare, make_bundle, color_input, plane_input, predicted
):
    """A bundle that ignores class 3 gives it as a label, and so do the maps."""
    made = make_bundle(color_input(), plane_input(), ignore=3).path
    done = compare(predicted(), "--json", of=made)
    assert (done.code, done.json["against"]["agreement"]) == (0, 1.0)


@pytest.mark.parametrize("theirs", ["maps", "bundle"])
@pytest.mark.parametrize("fault", ["mean", "resize", "swapped"])
def test_a_bundle_that_differs_from_the_authors_code_is_refused(
    fuseg, make_bundle, color_input, frames, saved, fault, theirs
):
    """The authors' side is right, the bundle has the fault."""
    sides = {"rgb": color_input(), "nir": color_input(name="nir", tensor="nir")}
    stride = 2 if fault == "resize" else 1
    right = make_bundle(*sides.values(), stride=stride).path
    changes, inputs = {}, dict(sides)
    if fault == "mean":
        inputs["rgb"] = replace(sides["rgb"], mean=(0.9, 0.1, 0.5))
    elif fault == "resize":
        changes["upsample"] = manifest.Upsample(align_corners=True)
    else:  # each is fed to the other's half of the network
        inputs = dict(reversed(sides.items()))
    wrong = make_bundle(*inputs.values(), stride=stride, **changes).path
    rgb, nir = (frames(seed, 6, 8)["rgb"] for seed in (0, 1))
    given = {"rgb": saved("rgb.png", rgb), "nir": saved("nir.png", nir)}
    words = [w for n, p in given.items() for w in ("--input", f"{n}={p}")]
    against = right
    if theirs == "maps":
        against = saved("a.png", library.load(right)(rgb=rgb, nir=nir).labels)
    assert fuseg("verify", right, *words, "--against", against).code == 0
    done = fuseg("verify", wrong, *words, "--against", against)
    assert done.code == 1
    assert share(done) < 0.97


@pytest.mark.parametrize(
    ("shifted", "words"),
    [
        (lambda labels: np.where(labels == 3, 0, labels + 1), "one too high: "),
        (lambda labels: np.where(labels, labels - 1, 255), "one too low: "),
    ],
)
def test_labels_shifted_by_one_are_refused_and_the_advice_works(
    compare, predicted, tmp_path, shifted, words
):
    path = predicted(lambda _, labels: shifted(labels.astype(int)))
    done = compare(path)
    assert done.code == 1
    assert share(done) < 0.3
    assert f": --against's ids look {words}" in done.stderr
    lines = re.findall(r"'([^']* = [^']*)'", done.stderr)
    (tmp_path / "map.txt").write_text("\n".join(lines))
    done = compare(path, "--truth-map", tmp_path / "map.txt", "--json")
    assert done.json["against"]["hint"] is None
    classes = done.json["against"]["classes"]
    # What the shift made void has no label to compare with.
    assert set(classes.pop("ignore", {})) <= {"class0", "class3"}
    for name, goes in classes.items():
        assert set(goes) == {name}


def test_an_id_one_beyond_the_classes_names_the_lines_too(compare, predicted):
    done = compare(predicted(lambda _, labels: np.maximum(labels, 3) + 1))
    assert done.code == 2
    assert ": --against must be 0 to 3, or ignore (255), got 4: " in done.stderr
    assert "--truth-map FILE" in done.stderr
    assert "'0 = ignore' and '1-4 = 0-3'" in done.stderr


def test_another_bundle_runs_on_the_same_frames(compare, rgbd, with_variants, onnx_of):
    done = compare(rgbd.path, "--json")
    assert (done.code, done.json["against"]["agreement"]) == (0, 1.0)
    bias = rgbd.bias + np.float32([3, 0, 0, 0])
    other = with_variants(rgbd.path, {"fp32": onnx_of(rgbd, bias=bias)})
    done = compare(other)
    assert done.code == 1
    assert share(done) < 0.9


def test_a_bundle_that_cannot_be_compared_is_told(
    compare, make_bundle, color_input, plane_input, tmp_path
):
    renamed = tuple(manifest.Class(f"kind{i}", (i, i, i)) for i in range(4))
    inputs = color_input(), plane_input()
    sentences = {
        make_bundle(*inputs, classes=4).path.with_name("none.fuseg"): "none.fuseg",
        make_bundle(color_input(), plane_input(name="heat", tensor="heat")).path: (
            "--input must name an input of the bundle (rgb, heat), got 'depth'"
        ),
    }
    other = make_bundle(*inputs)
    opened = bundle.Bundle.open(other.path)
    (output,) = opened.manifest.outputs
    changed = replace(opened.manifest, outputs=(replace(output, classes=renamed),))
    path = tmp_path / "renamed.fuseg"
    bundle.write(path, changed, {"fp32.onnx": opened.read("fp32.onnx")})
    sentences[path] = (
        "must have the bundle's classes in their order, class0, class1, class2, "
        "class3, got kind0, kind1, kind2, kind3."
    )
    for path, sentence in sentences.items():
        done = compare(path)
        assert done.code == 2
        assert done.stderr.startswith(f"error: --against {path}")
        assert sentence in done.stderr
        assert done.stderr.count("\n") == 1


def test_maps_of_another_size_or_of_no_frame_are_told(compare, predicted, saved):
    path = predicted(lambda _, labels: labels[:, :-1])
    done = compare(path)
    assert (done.code, done.stderr) == (
        2,
        f"error: {path}/0.png must have the camera's size (6, 8), got (6, 7).\n",
    )
    path = saved("elsewhere/9.png", np.zeros(SIZE, np.uint8)).parent
    done = compare(path)
    assert done.code == 1
    assert "failed: nothing to compare: no frame has a file from every" in done.stderr


def test_options_that_do_not_go_with_it_are_refused(fuseg, compare, rgbd, predicted):
    path = predicted()
    done = fuseg("verify", rgbd.path, "--against", path)
    assert done.code == 2
    assert "or --input and --against, for labels to compare with." in done.stderr
    for words, sentence in (
        (["--truth", path], "--truth and --against must not be given together"),
        (["--min-miou", "0.5"], "--min-miou needs true labels: --truth, not"),
        (["--robustness"], "--robustness needs true labels: --truth, not --against"),
    ):
        done = compare(path, *words)
        assert done.code == 2
        assert f"error: {sentence}" in done.stderr
    done = compare(rgbd.path, "--truth-map", path)
    assert done.code == 2
    assert "error: --truth-map must be left out if --against is a bundle" in done.stderr
