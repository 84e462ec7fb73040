"""What to write instead, where no file has found a partner."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..errors import FusegError
from .file_search import files_by_key
from .stamps import Stamps, are_numbers, are_times, gaps_ns

Found = Mapping[str, Mapping[str, Path]]
Affix = tuple[str, str]  # what a name has before and after the part that is shared

_DEFAULT_SLOP_MS = 20
_MOST_PARTNERS = 16  # that are tried for one name


def how_to_match(
    sources: Mapping[str, str], found: Found, stamps: Stamps | None
) -> str:
    """The end of a sentence: the options or patterns that match these files."""
    first = next(iter(found))
    general = (
        "give patterns whose stars match what the names have in common, such as "
        f"{first}='FOLDER/*_{first}.png'"
    )
    if all(are_numbers(files) for files in found.values()):
        return _by_time(found, stamps) or general
    patterns = _patterns(sources, found)
    if patterns is None:
        return general
    spelled = " and ".join(f"{name}='{word}'" for name, word in patterns.items())
    return f"{spelled} would match them"


def _by_time(found: Found, stamps: Stamps | None) -> str | None:
    gaps = sorted(gaps_ns(found))
    if not gaps:
        return None
    if not gaps[0] and stamps is None:
        return "the same numbers are written in two ways: --match stamp --slop 0"
    if not all(are_times(files) for files in found.values()):
        return None
    middle = gaps[len(gaps) // 2]
    slop = max(_DEFAULT_SLOP_MS, -(-middle // 10**6))
    return (
        f"their names are times, {_spell(gaps[0])} apart or more: --match stamp "
        f"--slop {slop}ms would match at least half of them"
    )


def _spell(ns: int) -> str:
    return f"{ns / 1e9:g} s" if ns >= 10**9 else f"{ns / 1e6:g} ms"


def _patterns(sources: Mapping[str, str], found: Found) -> dict[str, str] | None:
    """Patterns that match names which begin or end in different ways."""
    first, *others = found
    affixes: dict[str, Affix] = {}
    for other in others:
        differ = _affixes(list(found[first]), list(found[other]))
        if differ is None or affixes.setdefault(first, differ[0]) != differ[0]:
            return None
        affixes[other] = differ[1]
    if not affixes:
        return None
    patterns = {n: _pattern(sources[n], found[n], *affixes[n]) for n in found}
    try:
        keys = [set(files_by_key(name, word)) for name, word in patterns.items()]
    except FusegError:
        return None
    return patterns if set.intersection(*keys) else None


def _affixes(ours: list[str], theirs: list[str]) -> tuple[Affix, Affix] | None:
    """What the first of ``ours`` and its partner have around the part they share."""
    key, candidates = ours[0], []
    for other in theirs:
        for turned in (False, True):
            a, b = (key[::-1], other[::-1]) if turned else (key, other)
            shared = _shared(a, b)
            if shared:
                one, two = ("", a[shared:]), ("", b[shared:])
                if turned:
                    one, two = (one[1][::-1], ""), (two[1][::-1], "")
                # Of several files of one frame, the one with the labels is meant.
                candidates.append((shared, "label" in other.lower(), one, two))
    candidates.sort(key=lambda c: c[:2], reverse=True)
    ranked = [
        (len(_cores(ours, one) & _cores(theirs, two)), label, one, two)
        for _, label, one, two in candidates[:_MOST_PARTNERS]
    ]
    best = max(ranked, key=lambda r: r[:2], default=(0, False, ("", ""), ("", "")))
    return None if not best[0] else (best[2], best[3])


def _shared(a: str, b: str) -> int:
    """Length of the common beginning, which neither parts a number nor ends in a
    separator."""
    length = 0
    for one, two in zip(a, b, strict=False):
        if one != two:
            break
        length += 1
    for name in (a, b):
        if name[length - 1 : length].isdigit() and name[length : length + 1].isdigit():
            return 0
    return len(a[:length].rstrip("_-."))


def _cores(keys: Iterable[str], affix: Affix) -> set[str]:
    before, after = affix
    return {
        key[len(before) : len(key) - len(after)]
        for key in keys
        if key.startswith(before)
        and key.endswith(after)
        and len(key) > len(before) + len(after)
    }


def _pattern(source: str, files: Mapping[str, Path], before: str, after: str) -> str:
    if "*" in source:
        head, _, tail = source.rpartition("*")
        return f"{head}{before}*{after}{tail}"
    key, path = next(iter(files.items()))
    folder = source.rstrip("/") if os.path.isdir(source) else str(path.parent)
    return f"{folder}/{'*/' * key.count('/')}{before}*{after}{path.suffix}"
