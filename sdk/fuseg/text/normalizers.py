"""What happens to a text before it is split."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from .character_class import char_class, characters
from .characters import BERT_OTHER, MARK_NONSPACING, SPACE
from .json_reader import Part, one_of

__all__ = ["Normalizer", "make_normalizer"]

Normalizer = Callable[[str], str]

_SPACES = re.compile(f"{char_class(SPACE)}+")
# The blocks of ideographs that BERT's tokenizer makes words of.
_IDEOGRAPH = re.compile(
    "([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df"
    "\U0002a700-\U0002b81f\U0002b920-\U0002ceaf\U0002f800-\U0002fa1f])"
)


def make_normalizer(value: Any, path: str = "normalizer") -> Normalizer:
    """The normalizer that a part of a tokenizer.json describes; null is none."""
    if value is None:
        return str
    part = Part(value, path)
    part.require(part.kind in _MAKERS, "type", one_of(_MAKERS))
    return _MAKERS[part.kind](part)


def lower(text: str) -> str:
    """Letter by letter: a sigma at the end of a word is the same as elsewhere."""
    return text.lower() if text.isascii() else "".join(map(str.lower, text))


def _sequence(part: Part) -> Normalizer:
    part.require_keys("normalizers")
    steps = [make_normalizer(p.value, p.path) for p in part.parts("normalizers")]

    def run(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return run


def _form(part: Part) -> Normalizer:
    part.require_keys()
    form = part.kind
    return lambda text: unicodedata.normalize(form, text)  # type: ignore[arg-type]


def _lowercase(part: Part) -> Normalizer:
    part.require_keys()
    return lower


def _strip(part: Part) -> Normalizer:
    part.require_keys("strip_left", "strip_right")
    left, right = (part.get(key, bool) for key in ("strip_left", "strip_right"))
    spaces = characters(SPACE)

    def run(text: str) -> str:
        text = text.lstrip(spaces) if left else text
        return text.rstrip(spaces) if right else text

    return run


def _replace(part: Part) -> Normalizer:
    part.require_keys("pattern", "content")
    content: str = part.get("content", str)
    pattern = part.part("pattern")
    pattern.require_keys("String", "Regex")
    if "String" in pattern.value:
        old: str = pattern.get("String", str)
        pattern.require(bool(old), "String", "a string that is not empty")
        return lambda text: text.replace(old, content)
    pattern.require(pattern.value.get("Regex") == r"\s+", "Regex", r'"\\s+"')
    return lambda text: _SPACES.sub(lambda _: content, text)


def _bert(part: Part) -> Normalizer:
    part.require_keys(
        "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"
    )
    small: bool = part.get("lowercase", bool)
    accents = part.optional("strip_accents", bool)
    steps: list[Normalizer] = []
    if part.get("clean_text", bool):
        gone = re.compile(char_class(BERT_OTHER))
        space = re.compile(char_class(SPACE))
        steps.append(lambda text: space.sub(" ", gone.sub("", text)))
    if part.get("handle_chinese_chars", bool):
        steps.append(lambda text: _IDEOGRAPH.sub(r" \1 ", text))
    if small if accents is None else accents:
        marks = re.compile(char_class(MARK_NONSPACING))
        steps.append(lambda text: marks.sub("", unicodedata.normalize("NFD", text)))
    if small:
        steps.append(lower)

    def run(text: str) -> str:
        for step in steps:
            text = step(text)
        return text

    return run


_MAKERS: dict[str, Callable[[Part], Normalizer]] = {
    "Sequence": _sequence,
    "NFC": _form,
    "NFD": _form,
    "NFKC": _form,
    "NFKD": _form,
    "Lowercase": _lowercase,
    "Strip": _strip,
    "Replace": _replace,
    "BertNormalizer": _bert,
}
