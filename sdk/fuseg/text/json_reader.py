"""The parts of a tokenizer.json: known keys, known types, sentences with paths."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..errors import BundleError

__all__ = ["Part", "read"]

_WORDS = {str: "a string", int: "a whole number", bool: "true or false", list: "a list"}
_LARGEST_ID = (1 << 31) - 1


class Part:
    """A JSON object of a tokenizer, and where it lies in it.

    Args:
        value: Any JSON value; anything but an object is refused.
        path: As in ``model.vocab``; empty for the whole.
    """

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise BundleError(f"{path} must be an object, got {spell(value)}.")
        self.value: dict[str, Any] = value
        self.path = path

    @property
    def kind(self) -> str:
        return str(self.get("type", str))

    def at(self, key: str) -> str:
        """The path of one of its values."""
        return f"{self.path}.{key}" if self.path else key

    def require(self, fact: bool, key: str, wanted: str) -> None:
        """Refuse the value of a key, which must be ``wanted``, unless ``fact``."""
        if not fact:
            got = spell(self.value[key]) if key in self.value else "nothing"
            raise BundleError(f"{self.at(key)} must be {wanted}, got {got}.")

    def require_keys(self, *keys: str) -> None:
        """Refuse every other key but ``type``: what it means is not known here."""
        for key in self.value:
            if key not in keys and key != "type":
                raise BundleError(
                    f"{self.at(key)[:80]} is not in the subset of tokenizer.json that "
                    f"is read; known here: {', '.join(keys) or 'nothing else'}."
                )

    def require_values(self, **values: Any) -> None:
        """Refuse other values of these keys, which may be missing."""
        for key, value in values.items():
            if key in self.value:
                got = self.value[key]
                same = type(got) is type(value) and got == value
                self.require(same, key, json.dumps(value))

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """A value of a type; required if there is no default."""
        if key not in self.value and default is not None:
            return default
        fits = type(self.value.get(key)) is kind
        self.require(fits, key, _WORDS[kind])
        return self.value[key]

    def optional(self, key: str, kind: type) -> Any:
        """A value of a type, or None if it is missing or null."""
        return None if self.value.get(key) is None else self.get(key, kind)

    def id(self, key: str) -> int:
        """The id of a token."""
        value: int = self.get(key, int)
        self.require(is_id(value), key, f"an id, 0 to {_LARGEST_ID}")
        return value

    def parts(self, key: str) -> Iterator[Part]:
        """The objects of a list."""
        for index, value in enumerate(self.get(key, list)):
            yield Part(value, f"{self.at(key)}[{index}]")

    def part(self, key: str) -> Part:
        return Part(self.value.get(key), self.at(key))


def read(data: bytes) -> Part:
    """A tokenizer.json.

    Raises:
        BundleError: It is not JSON, or an object has a key twice.
        RecursionError: It nests too deeply.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique_keys)
    except BundleError:
        raise
    except ValueError as err:
        raise BundleError(f"a tokenizer must be UTF-8 JSON, but: {err}.") from None
    return Part(value, "")


def require_vocab(vocab: Mapping[str, Any], path: str) -> None:
    """Refuse a vocabulary unless it gives each token an id of its own."""
    if not vocab:
        raise BundleError(f"{path} must not be empty.")
    numbers = vocab.values()
    # At once: there may be hundreds of thousands.
    if {*map(type, numbers)} != {int} or not (
        is_id(min(numbers)) and is_id(max(numbers))
    ):
        for token, number in vocab.items():
            if type(number) is not int or not is_id(number):
                raise BundleError(
                    f"{path} must give each token an id, 0 to {_LARGEST_ID}, got "
                    f"{spell(number)} for {spell(token)}."
                )
    if len({*numbers}) != len(vocab):
        raise BundleError(f"{path} must give each token an id of its own.")


def is_id(number: int) -> bool:
    return 0 <= number <= _LARGEST_ID


def one_of(words: Iterable[str]) -> str:
    return f"one of {', '.join(json.dumps(word) for word in words)}"


def spell(value: Any) -> str:
    """A JSON value for the end of a sentence: short and on one line."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 1000:
        return "a number of hundreds of digits"
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = next(key for key in counts if counts[key] > 1)
        raise BundleError(
            f"the keys of an object must be unique, got {spell(twice)} twice."
        )
    return found
