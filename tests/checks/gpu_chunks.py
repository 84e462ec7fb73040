"""Archives in chunks small enough for a machine that takes 64 MiB of files a call.

``index.json`` beside the chunks says of each archive: its chunks, their sizes and
sha256. An archive is a tar, compressed by xz piece by piece: each piece is compressed
once, so that making one that takes long can be broken off and go on later.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

CHUNK = 60 << 20
PIECE = 64 << 20  # of the tar, before it is compressed
BLOCK = 16 << 20  # of xz, which unpacks blocks side by side
INDEX = "index.json"


def index_of(folder: Path) -> dict[str, Any]:
    """The archives whose chunks are, or will be, in a folder."""
    path = folder / INDEX
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def pack(source: Path, name: str, folder: Path, *, piece: int = PIECE) -> list[Path]:
    """Make the archive of the files in ``source``, in chunks; what exists is kept.

    Args:
        source: A folder; its contents, not itself, are archived.
        name: Of the archive.
        folder: Where the chunks go; beside it pieces are kept until all is done.
    """
    pieces = folder.parent / "pieces" / name
    pieces.mkdir(parents=True, exist_ok=True)
    print(f"{name}: packed from {source}", flush=True)
    for number, raw in enumerate(_slices(source, piece)):
        done = pieces / f"{hashlib.sha256(raw).hexdigest()}.xz"
        if not done.exists():
            draft = done.with_suffix(".draft")
            draft.write_bytes(_compressed(raw))
            draft.rename(done)
        (pieces / f"{number:03}").write_text(done.name)
    total = number + 1
    names = [(pieces / f"{number:03}").read_text() for number in range(total)]
    written = _cut([pieces / each for each in names], name, folder)
    shutil.rmtree(pieces)
    return written


def _slices(source: Path, size: int) -> Iterator[bytes]:
    """The tar of a folder, the same for the same files, in pieces of one size."""
    buffer = _Slices(size)
    with tarfile.open(fileobj=cast(BinaryIO, buffer), mode="w|") as tar:
        for path in sorted(source.rglob("*")):
            entry = tar.gettarinfo(path, str(path.relative_to(source)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            if not entry.isreg():
                tar.addfile(entry)
            else:
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            yield from buffer.whole()
    yield from buffer.rest()


class _Slices:
    """What a tar is written to: hands it on in pieces of one size."""

    def __init__(self, size: int) -> None:
        self._size, self._held = size, io.BytesIO()

    def write(self, data: bytes) -> int:
        return self._held.write(data)

    def whole(self) -> Iterator[bytes]:
        if self._held.tell() < self._size:
            return
        data = self._held.getbuffer()
        full = len(data) // self._size * self._size
        for start in range(0, full, self._size):
            yield bytes(data[start : start + self._size])
        left = bytes(data[full:])
        data.release()
        self._held = io.BytesIO()
        self._held.write(left)

    def rest(self) -> Iterator[bytes]:
        yield from self.whole()
        if left := self._held.getvalue():
            yield left


def _compressed(raw: bytes) -> bytes:
    if (xz := shutil.which("xz")) is None:
        return lzma.compress(raw, preset=6)
    words = [xz, "-T2", "-6", f"--block-size={BLOCK}", "-c"]
    return subprocess.run(words, input=raw, check=True, stdout=subprocess.PIPE).stdout


def _cut(pieces: list[Path], name: str, folder: Path) -> list[Path]:
    """Write the pieces as chunks and note them in the index."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{name}.tar.xz.*"):
        old.unlink()
    chunks: list[Path] = []
    held = b""
    for path in pieces:
        held += path.read_bytes()
        while len(held) >= CHUNK:
            chunks.append(_write(folder, name, len(chunks), held[:CHUNK]))
            held = held[CHUNK:]
    if held:
        chunks.append(_write(folder, name, len(chunks), held))
    index = index_of(folder)
    index[name] = [
        {
            "file": chunk.name,
            "bytes": chunk.stat().st_size,
            "sha256": hashlib.sha256(chunk.read_bytes()).hexdigest(),
        }
        for chunk in chunks
    ]
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n")
    return chunks


def _write(folder: Path, name: str, number: int, data: bytes) -> Path:
    path = folder / f"{name}.tar.xz.{number:02}"
    path.write_bytes(data)
    return path


def unpack(folder: Path, into: Path) -> dict[str, str]:
    """Unpack every archive whose chunks are all here; what was unpacked stays.

    Returns:
        Of each archive in the index, by name, what became of it. One that is not
        whole yet is told and waited for.
    """
    return {name: _unpack(folder, name, into / name) for name in index_of(folder)}


def _unpack(folder: Path, name: str, target: Path) -> str:
    entries = index_of(folder)[name]
    digest = hashlib.sha256(json.dumps(entries).encode()).hexdigest()
    mark = target / ".unpacked"
    if mark.exists() and mark.read_text() == digest:
        return "was unpacked before"
    here = [entry for entry in entries if (folder / entry["file"]).exists()]
    if len(here) < len(entries):
        return f"{len(here)} of {len(entries)} chunks are here"
    for entry in entries:
        data = (folder / entry["file"]).read_bytes()
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise RuntimeError(
                f"chunk {entry['file']} must have the sha256 of {INDEX}, and has "
                "another one: carry it again."
            )
    draft = target.with_name(f"{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _extract([folder / entry["file"] for entry in entries], draft)
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)
    mark.write_text(digest)
    return "unpacked"


def _extract(chunks: list[Path], target: Path) -> None:
    how: dict[str, Any] = {}
    if hasattr(tarfile, "tar_filter"):
        how["filter"] = "tar"
    if (xz := shutil.which("xz")) is None:
        joined = io.BytesIO(b"".join(chunk.read_bytes() for chunk in chunks))
        with tarfile.open(fileobj=lzma.open(joined), mode="r|") as tar:
            tar.extractall(target, **how)
        return
    with (
        subprocess.Popen(["cat", *map(str, chunks)], stdout=subprocess.PIPE) as joined,
        subprocess.Popen(
            [xz, "-dc", "-T0"], stdin=joined.stdout, stdout=subprocess.PIPE
        ) as plain,
    ):
        with tarfile.open(fileobj=plain.stdout, mode="r|") as tar:
            tar.extractall(target, **how)
        while plain.stdout.read(1 << 20):  # padding after the end of the tar
            pass
    if plain.returncode != 0:
        raise RuntimeError(f"xz ended with {plain.returncode}: {chunks[0]} is damaged.")
