"""Writing a bundle and reading it back."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fuseg.bundle import Bundle, write
from fuseg.errors import ArgumentError, BundleError, InputFileError, OutputFileError


@pytest.fixture
def path(good, tmp_path):
    """The path of a good bundle, alone in its folder."""
    write(tmp_path / "good.fuseg", good.manifest, good.members)
    return tmp_path / "good.fuseg"


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_what_was_written_is_read(good, path):
    bundle = Bundle.open(path)
    assert {name: bundle.read(name) for name in bundle.manifest.files} == good.members
    assert replace(bundle.manifest, files={}) == good.manifest


def test_files_are_filled_with_sizes_and_digests(good, path):
    for name, file in Bundle.open(path).manifest.files.items():
        assert file.bytes == len(good.members[name])
        assert file.sha256 == hashlib.sha256(good.members[name]).hexdigest()


def test_digest_is_the_sha256_of_the_file(good, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert write(path, good.manifest, good.members) == digest
    assert Bundle.open(path).digest == digest


def test_the_file_is_the_layout_spelled_out_by_hand(good, path):
    text = Bundle.open(path).manifest.dump().encode()
    assert path.read_bytes() == good.forge(good.entries(text=text))


def test_the_file_is_a_zip_with_stored_aligned_dated_members(good, path):
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert file.namelist() == ["manifest.json", *sorted(good.members)]
        for info in file.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            with file.open(info) as member:
                data = member.read()
            assert path.read_bytes().find(data) % 64 == 0


def test_equal_contents_give_equal_bytes_from_any_folder_in_any_order(good, tmp_path):
    first, second = tmp_path / "a" / "x.fuseg", tmp_path / "y.fuseg"
    write(first, good.manifest, good.members)
    write(second, good.manifest, dict(reversed(good.members.items())))
    assert first.read_bytes() == second.read_bytes()


def test_samples_are_the_arrays_that_were_saved(path):
    ((frames, results),) = Bundle.open(path).samples()
    assert frames.keys() == {"depth"}
    assert frames["depth"].dtype == np.uint16
    assert frames["depth"].tolist() == np.arange(20).reshape(4, 5).tolist()
    assert results["labels"].dtype == np.uint8
    assert results["labels"].tolist() == np.ones((4, 5)).tolist()


def test_samples_are_new_arrays_each_time(path):
    bundle = Bundle.open(path)
    bundle.samples()[0][1]["labels"][:] = 7
    assert bundle.samples()[0][1]["labels"].max() == 1


def test_a_member_that_is_not_listed_is_refused_by_name(path):
    with pytest.raises(ArgumentError, match=r"one of f.onnx, .*, got 'manifest.json'"):
        Bundle.open(path).read("manifest.json")


def test_a_member_changed_after_opening_is_refused(good, path):
    bundle = Bundle.open(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(good.members["s/labels.npy"], b"\0" * 148))
    with pytest.raises(BundleError, match=r"'s/labels.npy' was changed since"):
        bundle.read("s/labels.npy")
    assert bundle.read("f.onnx") == good.members["f.onnx"]


def test_a_bundle_removed_after_opening_is_reported_by_its_path(path):
    bundle = Bundle.open(path)
    path.unlink()
    with pytest.raises(InputFileError, match=r"good.fuseg cannot be read: No such fi"):
        bundle.read("f.onnx")


def test_a_missing_file_is_reported_by_its_path(tmp_path):
    with pytest.raises(InputFileError, match=r"none.fuseg cannot be read: No such fi"):
        Bundle.open(tmp_path / "none.fuseg")


def without(name):
    return lambda good: {k: v for k, v in good.members.items() if k != name}


def added(name, data):
    return lambda good: good.members | {name: data}


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (without("f.onnx"), "files must list 'f.onnx', which some part"),
        (lambda _: {}, "member 'f.onnx', which the manifest names, is missing"),
        (added("more.txt", b""), "files must list only what some part names"),
        (
            added("../up.npy", b""),
            "files must list only what some part names",
        ),
        (added("f.onnx", b"{}"), "member 'f.onnx': it is not an ONNX file"),
        (added("s/depth.npy", b"PK"), "member 's/depth.npy': it is not an .npy file"),
        (
            added("s/depth.npy", npy(np.ones((4, 5)))),
            "it must hold uint8, uint16, int16, int64 or fl",
        ),
        (
            added("s/depth.npy", npy(np.ones((4, 5), np.uint8))),
            r"member 's/depth.npy' must be uint16 \(H, W\), got uint8 \(4, 5\)",
        ),
        (
            added("s/depth.npy", npy(np.ones((4, 5, 1), np.uint16))),
            r"member 's/depth.npy' must be uint16 \(H, W\), got uint16 \(4, 5, 1\)",
        ),
        (
            added("s/labels.npy", npy(np.ones((5, 4), np.uint8))),
            r"member 's/labels.npy' must be uint8 \(4, 5\), got uint8 \(5, 4\)",
        ),
    ],
)
def test_what_could_not_be_opened_is_not_written(good, path, members, sentence):
    before = path.read_bytes()
    with pytest.raises(BundleError, match=rf"good\.fuseg: .*{sentence}"):
        write(path, good.manifest, members(good))
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["good.fuseg"]


def test_four_gigabytes_are_refused_before_they_are_laid_out(good, path, monkeypatch):
    size = path.stat().st_size
    monkeypatch.setattr("fuseg.bundle.container.LARGEST_FILE", size)
    with pytest.raises(BundleError, match="must stay below 4 GiB, got"):
        write(path, good.manifest, good.members)


@pytest.mark.slow
def test_a_bundle_of_ten_megabytes_opens_within_50_ms_of_processor_time(good, tmp_path):
    path = tmp_path / "big.fuseg"
    frame = np.zeros((2000, 2500), np.uint16)
    labels = np.zeros(frame.shape, np.uint8)
    big = {"s/depth.npy": npy(frame), "s/labels.npy": npy(labels)}
    write(path, good.manifest, good.members | big)
    assert path.stat().st_size > 10_000_000
    spent = []
    for _ in range(7):
        begin = time.process_time()
        Bundle.open(path)
        spent.append(time.process_time() - begin)
    assert min(spent) < 0.050


# Each runs as a child that has imported fuseg and then lost a right or its disk. First
# it shows that the loss is real, by writing as one would without any handling.
PRELUDE = """
import os, resource, sys
from fuseg.bundle import Bundle, write
from fuseg.errors import InputFileError, OutputFileError
path = sys.argv[1]
bundle = Bundle.open(path)
members = {name: bundle.read(name) for name in bundle.manifest.files}
def become_unprivileged():
    if os.getuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


@pytest.fixture
def open_path(good):
    """The path of a good bundle where any user may enter, unlike in tmp_path."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    write(folder / "good.fuseg", good.manifest, good.members)
    yield folder / "good.fuseg"
    folder.chmod(0o755)
    shutil.rmtree(folder)


def in_child(code, path):
    code = PRELUDE + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_leaves_the_old_bundle_and_no_half_file(path):
    before = path.read_bytes()
    said = in_child(
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            with open(path + ".naive", "wb") as file:
                file.write(b"x" * 2000)
        except OSError:
            print("naive", os.path.getsize(path + ".naive"))
            os.unlink(path + ".naive")
        try:
            write(path, bundle.manifest, members)
        except OutputFileError as err:
            print(err)
        """,
        path,
    )
    assert said == f"naive 1000\n{path} cannot be written: File too large.\n"
    assert os.listdir(path.parent) == ["good.fuseg"]
    assert path.read_bytes() == before


def test_no_permission_to_write_is_one_sentence_and_leaves_nothing(open_path):
    said = in_child(
        """
        os.chmod(os.path.dirname(path), 0o555)
        become_unprivileged()
        try:
            open(path + ".naive", "wb")
        except PermissionError:
            print("naive refused")
        try:
            write(path, bundle.manifest, members)
        except OutputFileError as err:
            print(err)
        """,
        open_path,
    )
    assert said == f"naive refused\n{open_path} cannot be written: Permission denied.\n"
    assert os.listdir(open_path.parent) == ["good.fuseg"]


def test_no_permission_to_read_is_one_sentence(open_path):
    said = in_child(
        """
        os.chmod(path, 0)
        become_unprivileged()
        try:
            open(path, "rb")
        except PermissionError:
            print("naive refused")
        try:
            Bundle.open(path)
        except InputFileError as err:
            print(err)
        """,
        open_path,
    )
    assert said == f"naive refused\n{open_path} cannot be read: Permission denied.\n"


def test_a_folder_in_the_way_is_one_sentence(good, tmp_path):
    (tmp_path / "b.fuseg").mkdir()
    with pytest.raises(OutputFileError, match=r"b.fuseg cannot be written: Is a dir"):
        write(tmp_path / "b.fuseg", good.manifest, good.members)
    assert os.listdir(tmp_path) == ["b.fuseg"]
