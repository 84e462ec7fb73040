"""How a text is split into words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .character_class import char_class, escaped
from .characters import (
    BERT_PUNCTUATION,
    LETTER,
    NUMBER,
    SPACE,
    WORD,
)
from .json_reader import Part, one_of

__all__ = ["BYTE_LETTERS", "PreTokenizer", "make_pre_tokenizer"]

PreTokenizer = Callable[[Iterable[str]], list[str]]


def _byte_letters() -> str:
    """A printable character for each byte, in their order, as GPT-2 has them."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return "".join(chr(b if b in plain else next(others)) for b in range(256))


BYTE_LETTERS = _byte_letters()
_BYTES = dict(enumerate(BYTE_LETTERS))

_L, _N, _S = escaped(LETTER), escaped(NUMBER), escaped(SPACE)
_CLIP = f"'s|'t|'re|'ve|'m|'ll|'d|[{_L}]+|[{_N}]|[^{_S}{_L}{_N}]+"
_GPT2 = (
    f"'s|'t|'re|'ve|'m|'ll|'d| ?[{_L}]+| ?[{_N}]+| ?[^{_S}{_L}{_N}]+"
    f"|[{_S}]+(?![^{_S}])|[{_S}]+"
)
# Of Split: as a tokenizer.json spells them, and for Python's re.
_PATTERNS = {
    r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+": _CLIP,
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]"
    r"|[^\s\p{L}\p{N}]+": rf"<\|startoftext\|>|<\|endoftext\|>|{_CLIP}",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
    r"|\s+": _GPT2,
    r"\s+": f"[{_S}]+",
}


def make_pre_tokenizer(value: Any, path: str = "pre_tokenizer") -> PreTokenizer:
    """The pre-tokenizer that a part of a tokenizer.json describes; null is none."""
    if value is None:
        return list
    part = Part(value, path)
    part.require(part.kind in _MAKERS, "type", one_of(_MAKERS))
    return _MAKERS[part.kind](part)


def _sequence(part: Part) -> PreTokenizer:
    part.require_keys("pretokenizers")
    steps = [make_pre_tokenizer(p.value, p.path) for p in part.parts("pretokenizers")]

    def run(pieces: Iterable[str]) -> list[str]:
        for step in steps:
            pieces = step(pieces)
        return list(pieces)

    return run


def _split(part: Part) -> PreTokenizer:
    part.require_keys("pattern", "behavior", "invert")
    pattern = part.part("pattern")
    pattern.require_keys("Regex", "String")
    behavior, invert = part.get("behavior", str), part.get("invert", bool)
    part.require(
        behavior in ("Removed", "Isolated"), "behavior", '"Removed" or "Isolated"'
    )
    if "String" in pattern.value:
        literal = pattern.get("String", str)
        pattern.require(bool(literal), "String", "a string that is not empty")
        found = re.compile(re.escape(literal))
    else:
        regex = pattern.get("Regex", str)
        pattern.require(regex in _PATTERNS, "Regex", one_of(_PATTERNS))
        found = re.compile(_PATTERNS[regex])
    if behavior == "Isolated":
        return _each(lambda text: _isolated(found, text))
    return _each(found.findall if invert else found.split)


def _byte_level(part: Part) -> PreTokenizer:
    part.require_keys("add_prefix_space", "trim_offsets", "use_regex")
    prefix: bool = part.get("add_prefix_space", bool)
    words = re.compile(_GPT2) if part.get("use_regex", bool, True) else None

    def split(text: str) -> list[str]:
        if prefix and not text.startswith(" "):
            text = f" {text}"
        pieces = words.findall(text) if words else [text]
        return [p.encode().decode("latin-1").translate(_BYTES) for p in pieces]

    return _each(split)


def _bert(part: Part) -> PreTokenizer:
    part.require_keys()
    space = re.compile(char_class(SPACE))
    mark = re.compile(char_class(BERT_PUNCTUATION))
    return _each(
        lambda text: [
            piece for word in space.split(text) for piece in _isolated(mark, word)
        ]
    )


def _whitespace(part: Part) -> PreTokenizer:
    part.require_keys()
    words = re.compile(f"{char_class(WORD)}+|[^{escaped(WORD)}{_S}]+")
    return _each(words.findall)


def _whitespace_split(part: Part) -> PreTokenizer:
    part.require_keys()
    return _each(re.compile(char_class(SPACE)).split)


def _each(split: Callable[[str], Iterable[str]]) -> PreTokenizer:
    """Applies to each piece; what is empty is no piece."""
    return lambda pieces: [p for piece in pieces for p in split(piece) if p]


def _isolated(pattern: re.Pattern[str], text: str) -> list[str]:
    """What the pattern matches, and what lies between."""
    pieces, start = [], 0
    for match in pattern.finditer(text):
        pieces += [text[start : match.start()], match[0]]
        start = match.end()
    return [*pieces, text[start:]]


_MAKERS: dict[str, Callable[[Part], PreTokenizer]] = {
    "Sequence": _sequence,
    "Split": _split,
    "ByteLevel": _byte_level,
    "BertPreTokenizer": _bert,
    "Whitespace": _whitespace,
    "WhitespaceSplit": _whitespace_split,
}
