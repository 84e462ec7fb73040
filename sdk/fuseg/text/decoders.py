"""How tokens become a text again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .json_reader import Part, one_of
from .pre_tokenizers import BYTE_LETTERS

__all__ = ["Decoder", "make_decoder"]

Decoder = Callable[[Sequence[str]], str]

_BYTE_OF = {letter: byte for byte, letter in enumerate(BYTE_LETTERS)}
_CLEANED = (
    *((f" {mark}", mark) for mark in (".", "?", "!", ",")),
    (" ' ", "'"),
    *((f" {end}", end) for end in ("n't", "'m", "'s", "'ve", "'re")),
)


def make_decoder(value: Any, suffix: str) -> Decoder:
    """The decoder that a part of a tokenizer.json describes; null puts spaces between.

    Args:
        suffix: What marks the last token of a word in the vocabulary, if anything
            does: a space instead. (``ByteLevel`` alone would leave it in the text.)
    """
    if value is None:
        return " ".join
    part = Part(value, "decoder")
    makers = {"ByteLevel": _byte_level, "BPEDecoder": _bpe, "WordPiece": _word_piece}
    part.require(part.kind in makers, "type", one_of(makers))
    return makers[part.kind](part, suffix)


def _byte_level(part: Part, suffix: str) -> Decoder:
    part.require_keys("add_prefix_space", "trim_offsets", "use_regex")

    def decode(tokens: Sequence[str]) -> str:
        data = bytearray()
        for token in tokens:
            ends = bool(suffix) and token.endswith(suffix)
            body = token[: -len(suffix)] if ends else token
            if all(letter in _BYTE_OF for letter in body):
                data += bytes(_BYTE_OF[letter] for letter in body)
            else:  # a token that was added as it is
                data += body.encode()
            data += b" " * ends
        text = data.decode("utf-8", "replace")
        return text.rstrip(" ") if suffix else text

    return decode


def _bpe(part: Part, _: str) -> Decoder:
    part.require_keys("suffix")
    end: str = part.get("suffix", str)
    part.require(bool(end), "suffix", "a string that is not empty")

    def decode(tokens: Sequence[str]) -> str:
        last = len(tokens) - 1
        return "".join(
            token.replace(end, "" if index == last else " ")
            for index, token in enumerate(tokens)
        )

    return decode


def _word_piece(part: Part, _: str) -> Decoder:
    part.require_keys("prefix", "cleanup")
    prefix: str = part.get("prefix", str)
    cleanup: bool = part.get("cleanup", bool)

    def decode(tokens: Sequence[str]) -> str:
        text = []
        for index, token in enumerate(tokens):
            if index and prefix and token.startswith(prefix):
                piece = token[len(prefix) :]
            else:
                piece = f" {token}" if index else token
            if cleanup:
                for old, new in _CLEANED:
                    piece = piece.replace(old, new)
            text.append(piece)
        return "".join(text)

    return decode
