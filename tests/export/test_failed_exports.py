"""An export that fails says why in one sentence and leaves everything as it was."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import fuseg
from fuseg.cli import app
from fuseg.errors import (
    ArgumentError,
    BackendError,
    CheckpointError,
    ExportError,
    FrameError,
    OutputFileError,
)
from fuseg_export import write_bundle
from fuseg_export.frames.frame_set import FrameSet
from fuseg_export.frames.rendered import RenderedDataset
from fuseg_export.outputs import segmentation
from fuseg_export.passes.cut_tail import cut_tail

TWO = ("rgb=color:48x64", "depth=depth:48x64")


def spoil(*given):
    """A cut that says the other grid: labels move by up to half a cell."""
    cut, tail = cut_tail(*given)
    return cut, type(tail)(tail.removed, tail.size, True, None)


def other_grid(monkeypatch):
    monkeypatch.setattr(segmentation, "cut_tail", spoil)


def unready_frames(monkeypatch):
    """What the user's camera gives when it sees nothing."""
    frame = FrameSet(
        {"rgb": np.zeros((6, 8, 3), np.uint8), "depth": np.zeros((6, 8), np.uint16)}
    )
    monkeypatch.setattr(RenderedDataset, "__getitem__", lambda *_: frame)


FAILURES = {
    "checkpoint": (
        {"checkpoint": Path("stacked.pth")},
        CheckpointError,
        "missing: color.0.weight",
    ),
    "arguments": (
        {"inputs": TWO[:1]},
        ExportError,
        r"forward failed on rgb \(1, 3, 48, 64\): TypeError: .*'depth'",
    ),
    "order": (
        {"inputs": TWO[::-1]},
        ExportError,
        r"forward failed on depth \(1, 1, 48, 64\), rgb \(1, 3, 48, 64\): RuntimeError",
    ),
    "output": ({"outputs": ["main"]}, ArgumentError, r"--output .* got main"),
    "classes": (
        {"classes": "a,b"},
        ArgumentError,
        "must name the 5 classes that the network tells apart, got 2",
    ),
    "random": (
        {"target": "foreign:Mood"},
        ExportError,
        "two results for one input",
    ),
    "branch": (
        {"target": "foreign:Torn"},
        ExportError,
        r"cannot be put into a bundle: its node '.*' has the operator 'If'",
    ),
    "infinite": (
        {"target": "foreign:Endless"},
        ExportError,
        "gives scores that are NaN or infinite: look at its weights",
    ),
    "channels last": (
        {"target": "foreign:ChannelsLast"},
        ExportError,
        (
            r"h and w in the proportions of an input \(rgb \(48, 64\), depth \(48, "
            r"64\)\), got \(1, 48, 64, 5\): .*, so say --layout nhwc if it is"
        ),
    ),
    "pooled": (
        {"target": "foreign:Pooled"},
        ExportError,
        r"got \(1, 5, 1, 1\): return scores of the whole picture, not pooled",
    ),
    "opset": ({"opset": 99}, ArgumentError, "--opset must be 13 to 20, got 99"),
    "itself": (
        {"out": Path("two.pth")},
        ArgumentError,
        "--out must be another file than --checkpoint, got two.pth",
    ),
    "frames": ({"frames": {"rgb": "x"}}, ArgumentError, "--frames must be given for"),
}


@pytest.fixture
def assert_fails_cleanly(home, export_two):
    """``assert_fails_cleanly(error, sentence, **changes)``: nothing else happens."""

    def check(error, sentence, **changes):
        out = home / "out" / "two.fuseg"
        out.write_bytes(b"what was there before")
        before = sorted(home.rglob("*"))
        with pytest.raises(error, match=sentence):
            export_two(**changes)
        assert out.read_bytes() == b"what was there before"
        now = sorted(p for p in home.rglob("*") if "__pycache__" not in p.parts)
        assert now == before

    return check


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_export_leaves_everything_as_it_was(assert_fails_cleanly, name):
    changes, error, sentence = FAILURES[name]
    assert_fails_cleanly(error, sentence, **changes)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("plant", "error", "sentence"),
    [
        (other_grid, ExportError, r"stage runtime computes .* than torch on 2 frames"),
        (unready_frames, FrameError, "depth"),
    ],
)
def test_a_failed_comparison_leaves_everything_as_it_was(
    assert_fails_cleanly, monkeypatch, plant, error, sentence
):
    plant(monkeypatch)
    assert_fails_cleanly(error, sentence)


@pytest.mark.usefixtures("quick")
def test_a_full_disk_leaves_nothing(home, export_two):
    out = home / "out" / "two.fuseg"
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
    try:
        with pytest.raises(OutputFileError, match="cannot be written: File too large"):
            export_two()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert not list((home / "out").iterdir())
    export_two()  # with the room it needs it is made
    assert list((home / "out").iterdir()) == [out]


@pytest.mark.usefixtures("quick")
def test_a_target_that_fills_up_leaves_nothing_and_is_named(
    home, export_two, monkeypatch
):
    out, replace = home / "out" / "two.fuseg", os.replace

    def full(source, target):
        if Path(target).parent == out.parent:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputFileError) as caught:
        export_two()
    assert str(caught.value) == f"{out} cannot be written: No space left on device."
    assert not list((home / "out").iterdir())


@pytest.mark.usefixtures("quick")
def test_a_network_beyond_the_limits_of_a_first_run_is_exported_with_a_warning(
    home, export_two, monkeypatch
):
    def too_long(*_):
        raise BackendError("the first run takes more than 3 s of processor time.")

    monkeypatch.setattr("fuseg.selection.first_run.in_child", too_long)
    report = export_two()
    assert report.bundle == home / "out" / "two.fuseg"
    assert report.warnings[-1] == (
        "devices load this bundle only with trust=: the first run takes more than 3 "
        "s of processor time."
    )
    assert fuseg.load(report.bundle, trust=report.digest)


@pytest.mark.usefixtures("quick")
def test_a_finished_bundle_that_labels_otherwise_is_not_kept(
    home, export_two, monkeypatch
):
    right = write_bundle.first_results

    def other(*given):
        return {name: array + 1 for name, array in right(*given).items()}

    monkeypatch.setattr(write_bundle, "first_results", other)
    with pytest.raises(ExportError, match="labels its own sample in another way"):
        export_two()
    assert not list((home / "out").iterdir())


def test_where_nothing_can_be_written_it_is_said_before_the_work(home, export_two):
    said = []
    (home / "file").touch()
    for out, reason in (
        (home, "it is a folder"),
        (home / "file" / "a.fuseg", "file is not a folder"),
    ):
        with pytest.raises(OutputFileError, match=reason):
            export_two(out=out, progress=said.append)
    assert said == []


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_without_permission_it_is_said_before_the_work(request):
    folder = Path(tempfile.mkdtemp())  # pytest's own are for root alone
    request.addfinalizer(folder.rmdir)
    folder.chmod(0o755)
    code = (
        "import os, sys; from pathlib import Path;"
        "from fuseg_export.write_bundle import require_writable;"
        "os.setgid(65534); os.setuid(65534);"
        "require_writable(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder / "two.fuseg"],
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert "OutputFileError: " in last
    assert f"two.fuseg cannot be written: no permission in {folder}." in last


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rgb"], "must be NAME=VALUE, got 'rgb'"),
        (["rgb="], "must be NAME=VALUE, got 'rgb='"),
        (["=x"], "must be NAME=VALUE, got '=x'"),
        (["a=x", "a=y"], "must name a once, got it twice"),
    ],
)
def test_words_about_frames_have_one_form(words, sentence):
    given = [part for word in words for part in ("--frames", word)]
    done = CliRunner().invoke(
        app, ["export", "rgbd", "--checkpoint", "c", "-o", "b", *given]
    )
    assert done.exit_code == 2
    assert done.stderr == f"error: --frames {sentence}.\n"


def test_the_command_says_one_sentence_and_exits_with_2(home):
    words = ["export", "rgbd", "--checkpoint", "two.pth", "-o", "a.fuseg"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: the checkpoint two.pth does not fit the network: ")
    assert not (home / "a.fuseg").exists()
