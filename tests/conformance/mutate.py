"""The sources with one use of TensorRT changed: each must be found out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from conformance import check, foreign, uses
from conformance.bindings import Api
from conformance.syntax import Spot


@dataclass(frozen=True)
class Mutant:
    """``text`` is the whole source; ``name`` is the word in it that is wrong.

    ``kind`` is "module", "enum", "method", "property", "keyword" or "added keyword".
    """

    kind: str
    name: str
    place: str
    text: str


def mutants(name: str, text: str, apis: Collection[Api]) -> Iterator[Mutant]:
    """Every name of TensorRT in this source misspelt, every keyword of its calls, and
    each call with a keyword too many."""
    source = uses.read(name, text)
    members = check.members_of(apis) - foreign.explained(source)
    for spot in source.named:
        owner, _, last = spot.name.rpartition(".")
        yield from _of(spot, "enum" if owner else "module", text)
        end = spot.end - len(last) - 1
        if owner and not spot.indirect and text[:end].endswith(f".{owner}"):
            yield _misspelt("module", owner.split(".")[-1], end, spot.place, text)
    for spot in source.attributes:
        if spot.name in members:
            called = spot.how not in ("get", "set")
            yield from _of(spot, "method" if called else "property", text)


def _of(spot: Spot, kind: str, text: str) -> Iterator[Mutant]:
    last = spot.name.rpartition(".")[2]
    yield _misspelt(kind, last, spot.end, spot.place, text)
    for keyword, start in zip(spot.keywords, spot.keyword_starts, strict=True):
        end = start + len(keyword)
        yield _misspelt("keyword", keyword, end, spot.place, text)
    if isinstance(spot.how, int):
        before = text[: spot.call_end].rstrip()
        comma = "" if before.endswith((",", "(")) else ", "
        changed = f"{before}{comma}no_such_word=0{text[spot.call_end :]}"
        yield Mutant("added keyword", "no_such_word", spot.place, changed)


def _misspelt(kind: str, word: str, end: int, place: str, text: str) -> Mutant:
    wrong = f"{word}z"
    return Mutant(kind, wrong, place, f"{text[: end - len(word)]}{wrong}{text[end:]}")
