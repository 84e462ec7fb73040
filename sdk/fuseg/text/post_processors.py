"""The tokens before and after a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BundleError
from .json_reader import Part, one_of, spell

__all__ = ["begin_and_end"]

Ends = tuple[list[int], list[int]]


def begin_and_end(value: Any, tokens: Mapping[int, str]) -> Ends:
    """The ids before and after a text, as the part of a tokenizer.json says.

    Args:
        tokens: Every token, by id.
    """
    if value is None:
        return [], []
    begin, end = _ends(Part(value, "post_processor"))
    for number in (*begin, *end):
        if number not in tokens:
            raise BundleError(
                f"post_processor must name ids of the vocabulary, got {number}."
            )
    return begin, end


def _ends(part: Part) -> Ends:
    if part.kind == "ByteLevel":  # it changes where tokens lie in the text, no id
        part.require_keys("add_prefix_space", "trim_offsets", "use_regex")
        return [], []
    if part.kind in ("RobertaProcessing", "BertProcessing"):
        part.require_keys("sep", "cls", "trim_offsets", "add_prefix_space")
        return [_pair(part, "cls")], [_pair(part, "sep")]
    if part.kind == "TemplateProcessing":
        return _template(part)
    known = (
        "TemplateProcessing",
        "RobertaProcessing",
        "BertProcessing",
        "ByteLevel",
        "Sequence",
    )
    part.require(part.kind == "Sequence", "type", one_of(known))
    part.require_keys("processors")
    found: Ends = [], []
    for step in part.parts("processors"):
        begin, end = _ends(step)
        found = [*begin, *found[0]], [*found[1], *end]
    return found


def _pair(part: Part, key: str) -> int:
    value = part.get(key, list)
    fits = len(value) == 2 and isinstance(value[0], str) and type(value[1]) is int
    part.require(fits, key, "a token and its id")
    return int(value[1])


def _template(part: Part) -> Ends:
    part.require_keys("single", "pair", "special_tokens")
    special = part.part("special_tokens")
    begin: list[int] = []
    end: list[int] = []
    texts = 0
    for step in part.parts("single"):
        step.require_keys("SpecialToken", "Sequence")
        if "Sequence" in step.value:
            step.require(step.part("Sequence").value.get("id") == "A", "Sequence", "A")
            texts += 1
            continue
        name = step.part("SpecialToken").get("id", str)
        ids = special.part(name).get("ids", list)
        if not all(type(number) is int for number in ids):
            raise BundleError(f"{special.at(name)}.ids must be ids, got {spell(ids)}.")
        (end if texts else begin).extend(ids)
    part.require(texts == 1, "single", "a template that holds the text once")
    return begin, end
