"""Which files of several sensors belong to one frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ArgumentError
from .file_search import file_at, files_by_key, is_single
from .matching_hints import how_to_match
from .stamps import Stamps, nearest

__all__ = ["FrameFiles", "MatchedFrames", "Stamps", "match_frames"]


@dataclass(frozen=True)
class FrameFiles:
    """The file of each sensor that has one, and the key of the frame."""

    key: str
    files: dict[str, Path]


@dataclass(frozen=True)
class MatchedFrames:
    """Frames in the order of their keys, and per sensor the files left over.

    Attributes:
        hint: Where nothing matches, what may help, for the end of a sentence; else "".
    """

    frames: tuple[FrameFiles, ...]
    unmatched: dict[str, tuple[Path, ...]]
    hint: str = ""


def match_frames(
    sources: Mapping[str, str],
    stamps: Stamps | None = None,
    optional: Collection[str] = (),
) -> MatchedFrames:
    """Match the files of several sensors.

    Args:
        sources: For each sensor's name a file, a folder, or a pattern: a path in
            which each ``*`` stands for any part of one file or folder name, and
            ``**`` for any number of folders.
        stamps: Match by the time in the names, each file with the nearest; None matches
            equal keys.
        optional: Sensors that a frame may lack.

    Returns:
        If every source is a single file: one frame, whatever the names; its key is
        the first file's stem. Otherwise frames match by key, which is what the stars
        stood for, joined by "/", or the stem of a file in a folder or given by name.
        In folders only images count (`images.SUFFIXES`), hidden files do not;
        one without images is searched with all below it, and the names of the folders
        on the way become part of the key. Keys are not empty and come sorted.
        ``unmatched`` has an entry for each sensor with files that lack a partner; it is
        no error if nothing matches.

    Raises:
        InputFileError: A file, folder or match does not exist or cannot be read.
        ArgumentError: ``sources`` is empty, two files of one sensor have the same
            key, or, with ``stamps``, a key is no time.
    """
    if not sources:
        raise ArgumentError("sources must name at least one sensor, got none.")
    for name, source in sources.items():
        if not source:
            raise ArgumentError(f"{name}: the path must not be empty.")
    if all(is_single(source) for source in sources.values()):
        files = {name: file_at(name, source) for name, source in sources.items()}
        key = next(iter(files.values())).stem
        return MatchedFrames((FrameFiles(key, files),), {})

    found = {name: files_by_key(name, source) for name, source in sources.items()}
    if stamps is not None:
        rows = nearest(found, stamps, optional)
    else:
        needed = [set(found[name]) for name in found if name not in optional]
        shared = set.intersection(*needed) if needed else set().union(*found.values())
        rows = [
            (key, {name: key for name, files in found.items() if key in files})
            for key in sorted(shared)
        ]
    frames = tuple(
        FrameFiles(key, {name: found[name][own] for name, own in keys.items()})
        for key, keys in rows
    )
    unmatched = {}
    for name, files in found.items():
        used = {keys.get(name) for _, keys in rows}
        left = tuple(path for key, path in files.items() if key not in used)
        if left:
            unmatched[name] = left
    hint = "" if frames else how_to_match(sources, found, stamps)
    return MatchedFrames(frames, unmatched, hint)
