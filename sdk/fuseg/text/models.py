"""How a word becomes token ids: BPE, WordPiece, WordLevel."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from typing import Protocol

from ..errors import BundleError
from .json_reader import Part, one_of, require_vocab, spell

__all__ = ["Model", "make_model"]


class Model(Protocol):
    """What makes token ids of words.

    Attributes:
        vocab: The id of each token.
    """

    vocab: dict[str, int]

    def ids(self, word: str) -> list[int]:
        """The ids of a word, which is not empty."""


def make_model(part: Part) -> Model:
    """The model that a tokenizer.json describes."""
    makers: dict[str, Callable[[Part], Model]] = {
        "BPE": Bpe,
        "WordPiece": WordPiece,
        "WordLevel": WordLevel,
    }
    part.require(part.kind in makers, "type", one_of(makers))
    return makers[part.kind](part)


class Bpe:
    """Byte-pair encoding: of all neighbours that may be merged, those whose merge
    comes first in the list are, until none may."""

    def __init__(self, part: Part) -> None:
        part.require_keys(
            "vocab",
            "merges",
            "unk_token",
            "fuse_unk",
            "end_of_word_suffix",
            "continuing_subword_prefix",
            "dropout",
            "byte_fallback",
            "ignore_merges",
        )
        part.require(part.value.get("dropout") is None, "dropout", "null")
        prefix = part.value.get("continuing_subword_prefix")
        part.require(prefix in (None, ""), "continuing_subword_prefix", 'null, or ""')
        part.require_values(byte_fallback=False, ignore_merges=False)
        self.vocab = _vocab(part)
        self.suffix: str = part.optional("end_of_word_suffix", str) or ""
        self._unknown = _unknown(part, self.vocab)
        self._fuse: bool = part.get("fuse_unk", bool, False)
        # By the ids of two neighbours: the place in the list, and the id of both.
        self._merges: dict[tuple[int, int], tuple[int, int]] = {}
        vocab = self.vocab
        for rank, merge in enumerate(part.get("merges", list)):
            try:
                left, right = merge.split(" ") if isinstance(merge, str) else merge
                both = vocab[left + right]
                self._merges[vocab[left], vocab[right]] = rank, both
            except (KeyError, TypeError, ValueError):
                raise BundleError(
                    f"{part.at('merges')}[{rank}] must be two tokens of the vocabulary "
                    f"that make a third, got {spell(merge)}."
                ) from None

    def ids(self, word: str) -> list[int]:
        """See `Model.ids`; characters that are not known are left out where the
        tokenizer has no token for them."""
        parts = self._characters(word)
        # Neighbours by place, as parts go; merged ones leave their place empty.
        after = list(range(1, len(parts) + 1))
        before = list(range(-1, len(parts) - 1))
        queue: list[tuple[int, int, int]] = []

        def consider(place: int) -> None:
            if place >= 0 and after[place] < len(parts):
                found = self._merges.get((parts[place], parts[after[place]]))
                if found:
                    heapq.heappush(queue, (found[0], place, found[1]))

        for place in range(len(parts)):
            consider(place)
        while queue:
            _, place, both = heapq.heappop(queue)
            if parts[place] < 0 or after[place] >= len(parts):
                continue
            right = after[place]
            found = self._merges.get((parts[place], parts[right]))
            if found is None or found[1] != both:
                continue  # it was of neighbours that are merged by now
            parts[place], parts[right] = both, -1
            after[place] = after[right]
            if after[place] < len(parts):
                before[after[place]] = place
            consider(before[place])
            consider(place)
        return [part for part in parts if part >= 0]

    def _characters(self, word: str) -> list[int]:
        ids: list[int] = []
        unknown = False  # whether the one before was
        for index, character in enumerate(word, start=1):
            token = character + self.suffix if index == len(word) else character
            number = self.vocab.get(token)
            if number is not None:
                ids.append(number)
            elif self._unknown is not None and not (unknown and self._fuse):
                ids.append(self._unknown)
            unknown = number is None
        return ids


class WordPiece:
    """The longest token that begins the word, then the longest that goes on."""

    def __init__(self, part: Part) -> None:
        part.require_keys(
            "vocab",
            "unk_token",
            "continuing_subword_prefix",
            "max_input_chars_per_word",
        )
        self.vocab = _vocab(part)
        self._unknown = _required_unknown(part, self.vocab)
        self._prefix: str = part.get("continuing_subword_prefix", str)
        self._most: int = part.get("max_input_chars_per_word", int)
        part.require(0 < self._most <= 1000, "max_input_chars_per_word", "1 to 1000")

    def ids(self, word: str) -> list[int]:
        """See `Model.ids`; the unknown token for a word that does not work out."""
        if len(word) > self._most:
            return [self._unknown]
        ids, start = [], 0
        while start < len(word):
            prefix = self._prefix if start else ""
            for end in range(len(word), start, -1):
                number = self.vocab.get(prefix + word[start:end])
                if number is not None:
                    break
            else:
                return [self._unknown]
            ids.append(number)
            start = end
        return ids


class WordLevel:
    """Each word is a token, or the unknown one."""

    def __init__(self, part: Part) -> None:
        part.require_keys("vocab", "unk_token")
        self.vocab = _vocab(part)
        self._unknown = _required_unknown(part, self.vocab)

    def ids(self, word: str) -> list[int]:
        """See `Model.ids`."""
        return [self.vocab.get(word, self._unknown)]


def _vocab(part: Part) -> dict[str, int]:
    vocab = part.part("vocab").value
    require_vocab(vocab, part.at("vocab"))
    return vocab


def _unknown(part: Part, vocab: Mapping[str, int]) -> int | None:
    unnamed = part.value.get("unk_token") is None
    return None if unnamed else _required_unknown(part, vocab)


def _required_unknown(part: Part, vocab: Mapping[str, int]) -> int:
    token = part.get("unk_token", str)
    part.require(token in vocab, "unk_token", "a token of the vocabulary")
    return vocab[token]
