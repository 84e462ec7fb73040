"""No space, no permission: one sentence, and no half-written file.

Each command runs in a child without root's rights, with files of limited length where
the disk shall be "full". The child loads all it needs while it still may.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import os, resource, sys
from fuseg.selection import first_run
from fuseg.cli import main
first_run.in_child = first_run.in_process  # nobody may not start root's Python
words, limit = sys.argv[2:], int(sys.argv[1])
sys.argv[1:] = [w if w != "out" else "warm" for w in words]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stdout.flush()
os.umask(0o022)
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv[1:] = words
main()
"""


@pytest.fixture
def folder(tmp_path, rgbd, frames, saved):
    """A folder that everybody may write to, with a bundle and a frame of 60 x 80."""
    shutil.copy(rgbd.path, tmp_path / "bundle")
    for name, array in frames(0, 60, 80).items():
        saved(f"{name}.png", array)
    for path in tmp_path.iterdir():
        path.chmod(0o644)
    tmp_path.chmod(0o777)
    yield tmp_path
    tmp_path.chmod(0o755)


def child(folder: Path, *words: str, limit: int = 0) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(limit), *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


RUN = (
    "run",
    "bundle",
    "--input=rgb=rgb.png",
    "--input=depth=depth.png",
    "--out",
    "out",
)


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("limit", "mode", "error", "left"),
    [("0", 0o755, "PermissionError: [Errno 13]", None), ("4000", 0o777, "27]", 4000)],
)
def test_without_handling_the_same_child_fails_and_leaves_half_a_file(
    folder, limit, mode, error, left
):
    """Else the tests below would pass on a machine where nothing fails."""
    naive = "open('result', 'wb').write(bytes(9_999))"
    code = CHILD.replace("sys.argv[1:] = words\nmain()", naive)
    folder.chmod(mode)
    done = subprocess.run(
        [sys.executable, "-c", code, limit, *RUN],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert error in done.stderr
    result = folder / "result"
    assert (result.stat().st_size if result.exists() else None) == left


def test_no_permission_to_make_the_folder(folder):
    (folder / "out").mkdir(mode=0o755)
    done = child(folder, *RUN)
    assert done.returncode == 2
    assert done.stderr == (
        "error: out/labels/rgb.png cannot be written: Permission denied.\n"
    )
    assert files(folder / "out") == []


def test_no_permission_to_write_into_the_folder(folder):
    (folder / "out/labels").mkdir(mode=0o755, parents=True)
    done = child(folder, *RUN)
    assert done.returncode == 2
    assert "error: out/labels/rgb.png cannot be written: Permission" in done.stderr
    assert files(folder / "out") == []


def test_no_permission_to_read_a_frame(folder):
    """The warm-up reads it; afterwards only root may."""
    code = CHILD.replace("os.umask(0o022)", "os.chmod('depth.png', 0)")
    done = subprocess.run(
        [sys.executable, "-c", code, "0", *RUN],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: depth.png cannot be read: Permission denied.\n"


def test_the_disk_is_full_in_the_middle_of_the_second_file(folder):
    labels = child(folder, *RUN, limit=4_000)
    assert labels.returncode == 2
    assert labels.stderr == (
        "error: out/overlay/rgb.png cannot be written: File too large.\n"
    )
    assert files(folder / "out") == ["rgb.png"]
    assert (folder / "out/labels/rgb.png").stat().st_size < 4_000


def test_a_full_disk_leaves_the_earlier_result(folder):
    (folder / "out/overlay").mkdir(parents=True)
    (folder / "out").chmod(0o777)
    (folder / "out/overlay").chmod(0o777)
    old = folder / "out/overlay/rgb.png"
    old.write_text("earlier")
    assert child(folder, *RUN, limit=4_000).returncode == 2
    assert old.read_text() == "earlier"


def test_results_may_be_read_by_others_as_the_umask_says(folder):
    assert child(folder, *RUN).returncode == 0
    assert (folder / "out/labels/rgb.png").stat().st_mode & 0o777 == 0o644


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_stdout_on_a_full_disk_is_one_sentence(folder, monkeypatch, unbuffered, more):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "fuseg", "inspect", "bundle", *more],
            cwd=folder,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "error: the system refused: [Errno 28] No space left on device.\n"
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_goes_away_ends_it_quietly(folder, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = f"{sys.executable} -m fuseg inspect bundle --json; echo $? >&2"
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "141\n"
