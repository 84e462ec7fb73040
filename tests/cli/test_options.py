"""Options of the device's commands that would change nothing are refused."""

from __future__ import annotations

import pytest

REFUSED = [
    ("verify", ["--unit", "depth=mm"], "--unit needs frames to score"),
    ("verify", ["--channels", "rgb=BGR"], "--channels needs frames to score"),
    ("verify", ["--truth-map", "map.txt"], "--truth-map needs frames to score"),
    ("verify", ["--missing", "depth=substitute"], "--missing needs frames to score"),
    ("verify", ["--min-miou", "0.5"], "--min-miou needs frames to score"),
    ("verify", ["--slop", "20ms"], "--slop needs frames to score"),
    ("verify", ["--reference", "rgb"], "--reference needs frames to score"),
    ("verify", ["--truth", "x"], "--input and --truth must be given together"),
    ("verify", ["--device", "7"], "--device must be one of the"),
    (
        "verify",
        ["--device", "7", "--backend", "onnxruntime"],
        "--device must be left out with --backend onnxruntime, which runs on the CPU",
    ),
    ("bench", ["--unit", "depth=mm"], "--unit needs frames: --input"),
    ("bench", ["--slop", "20ms"], "--slop needs frames: --input"),
    ("bench", ["--reference", "rgb"], "--reference needs frames: --input"),
    ("bench", ["--checkpoint", "x"], "--torch and --checkpoint must be given together"),
    ("bench", ["--torch", "rgbd"], "--torch and --checkpoint must be given together"),
    ("bench", ["--device", "7"], "--device must be one of the"),
    ("run", ["--out", "o", "--device", "7"], "--device must be one of the"),
    ("run", ["--out", "o", "--input", "ir=x"], "--input must name an input of the bun"),
    ("tune", ["--device", "7"], "--device must be one of the"),
    ("build", ["--keep-newest", "3"], "--keep-newest must be given with --clear"),
    ("build", ["--sign-key", "x"], "--sign-key must be given with --pack"),
    ("build", ["--trust", "x"], "--from and --trust must be given together"),
]


@pytest.mark.parametrize(("command", "words", "sentence"), REFUSED)
def test_an_option_without_effect_is_refused(fuseg, rgbd, command, words, sentence):
    done = fuseg(command, rgbd.path, *words)
    assert done.code == 2
    assert done.stdout == ""
    assert sentence in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        *(["--variant", "fp32"], ["--workspace", "1"], ["--optimization-level", "3"]),
        *(["--version-compatible"], ["--hardware-compatible"], ["--device", "1"]),
        *(["--io-formats", "float32"], ["--aux-streams", "1"]),
        *(["--pack", "x"], ["--rebuild"]),
    ],
)
def test_what_builds_is_refused_where_engines_are_deleted(fuseg, words):
    done = fuseg("build", "--clear", *words)
    assert done.code == 2
    assert f"{words[0]} must be left out with --clear" in done.stderr
