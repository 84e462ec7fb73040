"""Which files of several sensors belong to the same moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ArgumentError, InputFileError
from .images import SUFFIXES

__all__ = ["PairedFrame", "Pairs", "pair"]


@dataclass(frozen=True)
class PairedFrame:
    """One moment: the file of each sensor, and the name they share."""

    key: str
    files: dict[str, Path]


@dataclass(frozen=True)
class Pairs:
    """Frames in the order of their keys, and per sensor the files left over."""

    frames: tuple[PairedFrame, ...]
    unpaired: dict[str, tuple[Path, ...]]


def pair(sources: Mapping[str, str]) -> Pairs:
    """Pair the files of several sensors.

    Args:
        sources: For each sensor's name a file, a folder, or a pattern: a path in
            which one ``*`` stands for any part of one file or folder name.

    Returns:
        If every source is a single file: one frame, whatever the names; its key is
        the first file's stem. Otherwise frames pair by key, which is what ``*``
        stood for, or the stem of a file in a folder or given by name. In folders
        only images count (``fuseg.images.SUFFIXES``), hidden files do not. Keys
        hold no "/", are not empty and come sorted. ``unpaired`` has an entry for
        each sensor with files that lack a partner; it is no error if nothing pairs.

    Raises:
        InputFileError: A file, folder or match does not exist or cannot be read.
        ArgumentError: A pattern has two ``*``, ``sources`` is empty, or two files
            of one sensor have the same key.
    """
    if not sources:
        raise ArgumentError("sources must name at least one sensor, got none.")
    for name, source in sources.items():
        if not source:
            raise ArgumentError(f"{name}: the path must not be empty.")
    if not any("*" in s or os.path.isdir(s) for s in sources.values()):
        files = {name: _file(name, source) for name, source in sources.items()}
        key = next(iter(files.values())).stem
        return Pairs((PairedFrame(key, files),), {})

    found = {name: _by_key(name, source) for name, source in sources.items()}
    shared = set.intersection(*(set(files) for files in found.values()))
    frames = tuple(
        PairedFrame(key, {name: files[key] for name, files in found.items()})
        for key in sorted(shared)
    )
    unpaired = {
        name: tuple(files[key] for key in sorted(set(files) - shared))
        for name, files in found.items()
        if set(files) - shared
    }
    return Pairs(frames, unpaired)


def _by_key(name: str, source: str) -> dict[str, Path]:
    if source.count("*") > 1:
        raise ArgumentError(
            f"{name}: a pattern must have one *, got {source}: "
            "the part it stands for is the frame's key."
        )
    if "*" in source:
        matches = _matches(name, source)
    elif os.path.isdir(source):
        matches = [(path.stem, path) for path in _images(name, Path(source))]
    else:
        file = _file(name, source)
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


def _images(name: str, folder: Path) -> list[Path]:
    images = [
        path
        for path in _listed(name, folder)
        if path.suffix.lower() in SUFFIXES
        and not path.name.startswith(".")
        and os.path.isfile(path)
    ]
    if not images:
        raise InputFileError(
            f"{name}: the folder {folder} holds no image ({' '.join(SUFFIXES)})."
        )
    return images


def _matches(name: str, pattern: str) -> list[tuple[str, Path]]:
    """Key and path of each match; the * stays within one file or folder name."""
    parts = Path(pattern).parts
    star = next(i for i, part in enumerate(parts) if "*" in part)
    before, after = parts[star].split("*")
    matches = []
    for entry in _listed(name, Path(*parts[:star])):
        key = entry.name[len(before) : len(entry.name) - len(after)]
        path = entry.joinpath(*parts[star + 1 :])
        hidden = entry.name.startswith(".") and not before
        if key and entry.name == before + key + after and not hidden:
            matches.append((key, path))
    matches = [(key, path) for key, path in matches if os.path.isfile(path)]
    if not matches:
        raise InputFileError(f"{name}: no file matches {pattern}.")
    return matches


def _listed(name: str, folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as err:
        raise InputFileError(
            f"{name}: the folder {folder} cannot be read: {err.strerror}."
        ) from err


def _file(name: str, source: str) -> Path:
    if not os.path.isfile(source):
        raise InputFileError(f"{name}: there is no file {source}.")
    return Path(source)
