"""Archives in chunks: what was packed comes out again, once all of it is there."""

from __future__ import annotations

import shutil
import subprocess

import gpu_chunks
import numpy as np
import pytest
from gpu_sources import ROOT


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(3)
    folder = tmp_path / "source"
    (folder / "deep" / "er").mkdir(parents=True)
    for number in range(4):
        noise = rng.bytes(100_000) + bytes(50_000)
        (folder / "deep" / "er" / str(number)).write_bytes(noise)
    (folder / "run").write_text("#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("run")
    return folder


@pytest.fixture
def pack(monkeypatch, source, tmp_path):
    """Four hundred thousand bytes in chunks of at most a hundred thousand."""
    monkeypatch.setattr(gpu_chunks, "CHUNK", 100_000)

    def make(name="stand-in"):
        return gpu_chunks.pack(source, name, tmp_path / "chunks", piece=64_000)

    return make


def contents(folder):
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".unpacked"
    }


@pytest.mark.parametrize("xz", [True, False], ids=["xz", "without xz"])
def test_what_was_packed_comes_out(pack, source, tmp_path, monkeypatch, xz):
    if not xz:
        monkeypatch.setattr(gpu_chunks.shutil, "which", lambda _: None)
    chunks = pack()
    assert len(chunks) == 5
    assert all(chunk.stat().st_size <= 100_000 for chunk in chunks)
    told = gpu_chunks.unpack(tmp_path / "chunks", tmp_path / "out")
    assert told == {"stand-in": "unpacked"}
    made = tmp_path / "out" / "stand-in"
    assert contents(made) == contents(source)
    assert (made / "link").readlink().name == "run"


def test_chunks_that_are_not_all_here_are_waited_for(pack, tmp_path):
    last = pack()[-1]
    kept = last.read_bytes()
    last.unlink()
    folder, out = tmp_path / "chunks", tmp_path / "out"
    assert gpu_chunks.unpack(folder, out) == {"stand-in": "4 of 5 chunks are here"}
    assert not out.exists()
    last.write_bytes(kept)
    assert gpu_chunks.unpack(folder, out) == {"stand-in": "unpacked"}


def test_what_was_unpacked_stays_until_its_chunks_are_others(pack, source, tmp_path):
    pack()
    folder, out = tmp_path / "chunks", tmp_path / "out"
    gpu_chunks.unpack(folder, out)
    (out / "stand-in" / "made since").write_text("")
    for chunk in folder.glob("*.xz.*"):
        chunk.unlink()
    assert gpu_chunks.unpack(folder, out) == {"stand-in": "was unpacked before"}
    assert (out / "stand-in" / "made since").exists()
    (source / "run").write_text("#!/bin/true\n")
    pack()
    assert gpu_chunks.unpack(folder, out) == {"stand-in": "unpacked"}
    assert contents(out / "stand-in") == contents(source)


def test_a_damaged_chunk_is_named_and_nothing_of_it_is_unpacked(pack, tmp_path):
    chunk = pack()[2]
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    with pytest.raises(RuntimeError, match=r"^chunk stand-in\.tar\.xz\.02 must have"):
        gpu_chunks.unpack(tmp_path / "chunks", tmp_path / "out")
    assert not (tmp_path / "out" / "stand-in").exists()


def test_packing_that_was_broken_off_compresses_no_piece_twice(pack, monkeypatch):
    once = gpu_chunks._compressed
    done = []

    def breaks_off(raw):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(len(raw))
        return once(raw)

    monkeypatch.setattr(gpu_chunks, "_compressed", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        pack()
    again = []
    monkeypatch.setattr(
        gpu_chunks, "_compressed", lambda raw: (again.append(raw), once(raw))[1]
    )
    chunks = pack()
    assert len(done) + len(again) == 10  # 600 KB in pieces of 64
    assert [c.name[-2:] for c in chunks] == ["00", "01", "02", "03", "04"]


def test_equal_files_give_equal_chunks(pack, source, tmp_path):
    first = [chunk.read_bytes() for chunk in pack()]
    shutil.copytree(source, tmp_path / "copy", symlinks=True)
    shutil.rmtree(source)
    shutil.copytree(tmp_path / "copy", source, symlinks=True)
    for path in source.rglob("*"):
        if not path.is_symlink():
            path.touch()
    assert [chunk.read_bytes() for chunk in pack()] == first


def test_a_chunk_travels_beside_the_tree_in_one_call():
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        ).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no checkout of git")
    tree = sum(
        (ROOT / name).stat().st_size for name in listed if (ROOT / name).is_file()
    )
    assert tree > 1 << 20
    assert tree + gpu_chunks.CHUNK < gpu_chunks.CALL
