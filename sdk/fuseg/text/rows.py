"""Texts as the rows of a tensor."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, BundleError
from .tokenizer import Padding, Tokenizer

__all__ = ["TextRows"]


class TextRows:
    """Makes an int64 row of a text: begin, words, end, and padding up to the length.

    Args:
        data: A tokenizer.json.
        length: Of the row.
        too_long: What becomes of a text of more tokens; see `manifest.TextInput`.
        empty: What becomes of a text without tokens of its own.

    Raises:
        BundleError: The tokenizer cannot be read, says nothing of padding, is of
            another length, or begins and ends a text with so many tokens that none of
            its own are left.
    """

    def __init__(
        self,
        data: bytes,
        *,
        length: int,
        too_long: Literal["refuse", "truncate"],
        empty: Literal["refuse", "allow"],
    ) -> None:
        self._tokenizer = tokenizer = Tokenizer(data)
        self._length, self._too_long, self._empty = length, too_long, empty
        if tokenizer.length not in (None, length):
            raise BundleError(
                f"truncation and padding must be to the tensor's {length} tokens, got "
                f"{tokenizer.length}."
            )
        if tokenizer.padding is None:
            raise BundleError(
                "padding must say with which id texts are filled up: "
                f"tokenizer.enable_padding(pad_id=..., length={length})."
            )
        self._padding: Padding = tokenizer.padding
        if tokenizer.added >= length:
            raise BundleError(
                f"post_processor must leave room in the tensor's {length} tokens, got "
                f"{tokenizer.added} that begin and end a text."
            )

    def row(self, name: str, text: str) -> NDArray[np.int64]:
        """The ids of a text.

        Args:
            name: Of the input, for sentences.

        Raises:
            ArgumentError: It is too long, or empty, and must not be; it holds half a
                surrogate pair.
        """
        try:
            ids = self._tokenizer.encode(text)
        except ArgumentError as err:
            sentence = str(err).removeprefix("a text ")
            raise ArgumentError(f"{name} {sentence}") from None
        if len(ids) == self._tokenizer.added and self._empty == "refuse":
            raise ArgumentError(f"{name} must have words, got {_shown(text)}.")
        if len(ids) > self._length:
            if self._too_long == "refuse":
                raise ArgumentError(
                    f"{name} must be at most {self._length} tokens, those that begin "
                    f"and end it included, got {len(ids)}: shorten {_shown(text)}."
                )
            ids = self._tokenizer.truncate(ids, self._length)
        row = np.full(self._length, self._padding.id, np.int64)
        start = 0 if self._padding.right else self._length - len(ids)
        row[start : start + len(ids)] = ids
        return row


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")
