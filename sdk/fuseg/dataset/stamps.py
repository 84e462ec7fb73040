"""Matching files by the time that is in their names."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ArgumentError

_NUMBER = re.compile(r"(\d{1,30})(?:\.(\d{1,30}))?", re.ASCII)
_SLOP = re.compile(r"(\d{1,30})(?:\.(\d{1,9}))?\s*(ns|us|ms|s)?", re.ASCII)
_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NEIGHBOURS = 8  # on each side of a stamp, that may be its partner


@dataclass(frozen=True)
class Stamps:
    """Frames match by the time in their names; each file is used once.

    A key is a time in seconds if it has decimals, as in 1305031102.175304. A whole
    number is in s, ms, us or ns by its digits: up to 11, 14, 17, or more, which is
    right for times since 1970. Keys with folders match within the same folders.

    Attributes:
        slop: The most that two stamps may differ, as in 20ms; without a unit it is in
            that of the names, as they are.
        reference: The sensor whose frames get partners; the first if None.
    """

    slop: str = "20ms"
    reference: str | None = None

    def __post_init__(self) -> None:
        if _SLOP.fullmatch(self.slop) is None:
            raise ArgumentError(
                f"--slop must be a time such as 20ms, 0.05s or 0, got {self.slop!r}."
            )


def nearest(
    found: Mapping[str, Mapping[str, Path]], stamps: Stamps, optional: Collection[str]
) -> list[tuple[str, dict[str, str]]]:
    """For each frame its key and each sensor's: the closest matches are made first.

    Raises:
        ArgumentError: A key is no time, or the reference is no sensor.
    """
    reference = stamps.reference or next(iter(found))
    if reference not in found:
        raise ArgumentError(
            f"--reference must be one of {', '.join(found)}, got {reference}."
        )
    times = {name: _times(name, files) for name, files in found.items()}
    slop = _slop_ns(stamps.slop, found[reference])
    partners = {
        name: _partners(times[reference], own, slop)
        for name, own in times.items()
        if name != reference
    }
    rows = []
    for key in sorted(
        times[reference], key=lambda k: (_folder(k), times[reference][k])
    ):
        keys = {reference: key}
        for name, own in partners.items():
            if key in own:
                keys[name] = own[key]
        if all(name in keys or name in optional for name in found):
            rows.append((key, {name: keys[name] for name in found if name in keys}))
    return rows


def gaps_ns(found: Mapping[str, Mapping[str, Path]]) -> list[int]:
    """For files of the first sensor, how far the nearest file of every other is."""
    first, *others = [_times(name, files) for name, files in found.items()]
    stamps = [_by_folder(times) for times in others]
    gaps = []
    for key, time in first.items():
        there = [other[_folder(key)] for other in stamps]
        if all(there):
            gaps.append(max(_gap(time, times) for times in there))
    return gaps


def _gap(time: int, others: list[tuple[int, str]]) -> int:
    at = bisect_left(others, (time, ""))
    return min(abs(time - other) for other, _ in others[max(0, at - 1) : at + 1])


def are_numbers(keys: Iterable[str]) -> bool:
    return all(_NUMBER.fullmatch(_name(key)) for key in keys)


def are_times(keys: Iterable[str]) -> bool:
    """Whether these numbers are too precise to be mere counts."""
    return any("." in _name(key) or len(_name(key)) >= 12 for key in keys)


def _times(name: str, files: Mapping[str, Path]) -> dict[str, int]:
    for key, path in files.items():
        if _NUMBER.fullmatch(_name(key)) is None:
            raise ArgumentError(
                f"--match stamp: {name}: {path} must have a time as its name, in "
                "seconds with decimals or in whole s, ms, us or ns: give a pattern "
                f"whose star matches it, such as {name}='FOLDER/frame_*.png'."
            )
    unit = _unit(files)
    return {key: _scaled(_name(key), unit) for key in files}


def _unit(keys: Mapping[str, Path]) -> int:
    """Nanoseconds of one step of whole numbers, by how long they are."""
    digits = max(len(str(int(_name(key).partition(".")[0]))) for key in keys)
    if any("." in _name(key) for key in keys) or digits <= 11:
        return _NS["s"]
    return _NS["ms" if digits <= 14 else "us" if digits <= 17 else "ns"]


def _scaled(number: str, unit: int) -> int:
    """Whole nanoseconds; what is finer is cut off."""
    whole, _, decimals = number.partition(".")
    return int(whole) * unit + int(decimals.ljust(30, "0")) * unit // 10**30


def _slop_ns(word: str, keys: Mapping[str, Path]) -> int:
    match = _SLOP.fullmatch(word)
    assert match is not None, "checked when it was made"
    unit = _unit(keys) if match[3] is None else _NS[match[3]]
    return _scaled(f"{match[1]}.{match[2] or 0}", unit)


def _partners(
    times: Mapping[str, int], others: Mapping[str, int], slop: int
) -> dict[str, str]:
    """Key to key, one to one, the closest first."""
    by_folder = _by_folder(others)
    candidates = []
    for key, time in times.items():
        there = by_folder[_folder(key)]
        at = bisect_left(there, (time, ""))
        for other, own in there[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS]:
            if abs(other - time) <= slop:
                candidates.append((abs(other - time), key, own))
    found: dict[str, str] = {}
    taken = set()
    for _, key, own in sorted(candidates):
        if key not in found and own not in taken:
            found[key] = own
            taken.add(own)
    return found


def _by_folder(times: Mapping[str, int]) -> defaultdict[str, list[tuple[int, str]]]:
    found: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
    for key, time in times.items():
        found[_folder(key)].append((time, key))
    for entries in found.values():
        entries.sort()
    return found


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _name(key: str) -> str:
    return key.rpartition("/")[2]
