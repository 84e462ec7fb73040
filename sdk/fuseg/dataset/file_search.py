"""Which files a path of the user stands for, each with its key."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import ArgumentError, InputFileError
from .images import SUFFIXES


def is_single(source: str) -> bool:
    """Whether the path stands for one file, not for a folder or a pattern."""
    return "*" not in source and not os.path.isdir(source)


def file_at(name: str, source: str) -> Path:
    if not os.path.isfile(source):
        raise InputFileError(f"{name}: there is no file {source}.")
    return Path(source)


def files_by_key(name: str, source: str) -> dict[str, Path]:
    """The files of one sensor by key, see `match_frames`, sorted by it."""
    if "*" in source:
        matches = list(_matches(name, source))
        if not matches:
            raise InputFileError(f"{name}: no file matches {source}.")
    elif os.path.isdir(source):
        matches = _images(name, Path(source))
    else:
        file = file_at(name, source)
        matches = [(file.stem, file)]

    files: dict[str, Path] = {}
    for key, path in sorted(matches):
        if key in files:
            raise ArgumentError(
                f"{name}: {files[key]} and {path} have the same key {key!r}: "
                "give a pattern that takes one of them."
            )
        files[key] = path
    return files


def _images(name: str, folder: Path) -> list[tuple[str, Path]]:
    """Those in the folder; if it holds none, those in the folders below it."""
    images = [(path.stem, path) for path in _listed(name, folder) if _is_image(path)]
    if not images:
        below = _matches(name, str(folder / "**" / "*"))
        images = [
            (path.relative_to(folder).with_suffix("").as_posix(), path)
            for _, path in below
            if _is_image(path)
        ]
    if not images:
        raise InputFileError(
            f"{name}: the folder {folder} and the folders in it hold no image "
            f"({' '.join(SUFFIXES)})."
        )
    return images


def _is_image(path: Path) -> bool:
    return (
        path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and os.path.isfile(path)
    )


def _matches(name: str, pattern: str) -> Iterator[tuple[str, Path]]:
    parts = list(Path(pattern).parts)
    if parts[-1] == "**":
        parts.append("*")
    star = next(i for i, part in enumerate(parts) if "*" in part)
    return _search(name, Path(*parts[:star]), parts[star:], ())


def _search(
    name: str, folder: Path, parts: list[str], key: tuple[str, ...]
) -> Iterator[tuple[str, Path]]:
    """Key and path of each match below; ``key`` is what stars stood for so far."""
    part, rest = parts[0], parts[1:]
    if part == "**":  # no folder, or one more
        yield from _search(name, folder, rest, key)
        for entry in _listed(name, folder):
            hidden = entry.name.startswith(".")
            if entry.is_dir() and not entry.is_symlink() and not hidden:
                yield from _search(name, entry, parts, (*key, entry.name))
        return
    if "*" in part:
        pieces = re.split(r"\*+", part)
        form = re.compile("(.+?)".join(map(re.escape, pieces)), re.DOTALL)
        found = [
            (match.groups(), entry)
            for entry in _listed(name, folder)
            if (match := form.fullmatch(entry.name))
            and (pieces[0] or not entry.name.startswith("."))
        ]
    else:
        found = [((), folder / part)]
    for stood_for, path in found:
        if rest and path.is_dir():
            yield from _search(name, path, rest, (*key, *stood_for))
        elif not rest and os.path.isfile(path):
            yield "/".join((*key, *stood_for)) or path.stem, path


def _listed(name: str, folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as err:
        raise InputFileError(
            f"{name}: the folder {folder} cannot be read: {err.strerror}."
        ) from err
