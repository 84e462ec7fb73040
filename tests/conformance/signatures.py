"""Which calls a method takes, read from the first lines of a pybind11 docstring."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

OPEN, CLOSE = "([{<", ")]}>"


@dataclass(frozen=True)
class Signature:
    """One overload, without ``self``.

    Attributes:
        positional: Names in the order of the positions.
        keywords: Names that may be given by keyword. What pybind11 calls ``arg0`` has
            no name.
        required: Names without a default.
        more: ``*args``, ``**kwargs``: which of "*" and "**" it takes.
    """

    positional: tuple[str, ...]
    keywords: frozenset[str]
    required: frozenset[str]
    more: frozenset[str]

    def takes(self, positional: int, keywords: Collection[str]) -> bool:
        """Whether a call with this many positions and these keywords is accepted."""
        if positional > len(self.positional) and "*" not in self.more:
            return False
        given = set(self.positional[:positional])
        for name in keywords:
            if name in given or (name not in self.keywords and "**" not in self.more):
                return False
            given.add(name)
        return self.required <= given

    def shapes(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Every number of positions and set of its keywords that it takes."""
        names = sorted(self.keywords)
        for count in range(len(names) + 1):
            for keywords in itertools.combinations(names, count):
                for positional in range(len(self.positional) + 1):
                    if self.takes(positional, keywords):
                        yield positional, keywords


def read(doc: str) -> tuple[Signature, ...]:
    """Every overload that a docstring lists; none where it lists none."""
    first = re.match(r"(\w+)\(", doc)
    if first is None:
        return ()
    starts: Iterable[re.Match[str]] = [first]
    if doc.startswith("(*args, **kwargs)\nOverloaded function", first.end(1)):
        starts = re.finditer(rf"^\d+\. {first[1]}\(", doc, re.MULTILINE)
    return tuple(_signature(split(doc[start.end() - 1 :])) for start in starts)


def split(text: str) -> list[str]:
    """The parameters of a text that begins with their parenthesis."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in OPEN:
            depth += 1
            if depth == 1:
                continue
        elif character in CLOSE:
            depth -= 1
            if depth == 0:
                return [part.strip() for part in parts if part.strip()]
        elif character == "," and depth == 1:
            parts.append("")
            continue
        parts[-1] += character
    raise ValueError(f"the parameters must end with ')', got {text[:200]!r}.")


def _signature(parameters: list[str]) -> Signature:
    positional: list[str] = []
    keywords: list[str] = []
    required: list[str] = []
    more: list[str] = []
    by_position = True
    for index, parameter in enumerate(parameters):
        name = re.split("[:=]", parameter)[0].strip()
        if name.startswith("*"):
            more += ["*" * name.count("*")] if name != "*" else []
            by_position = False
        elif name == "/":
            keywords.clear()
        elif index > 0 or name != "self":
            positional += [name] if by_position else []
            keywords += [] if re.fullmatch(r"arg\d+", name) else [name]
            required += [] if _has_default(parameter) else [name]
    return Signature(
        tuple(positional), frozenset(keywords), frozenset(required), frozenset(more)
    )


def _has_default(parameter: str) -> bool:
    depth = 0
    for character in parameter:
        depth += (character in OPEN) - (character in CLOSE)
        if character == "=" and depth == 0:
            return True
    return False
