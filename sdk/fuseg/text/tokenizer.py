"""A tokenizer.json, read: texts to token ids, and ids to words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..errors import ArgumentError, BundleError
from .character_class import char_class, characters
from .characters import SPACE
from .decoders import make_decoder
from .json_reader import Part, read, spell
from .models import Bpe, make_model
from .normalizers import make_normalizer
from .post_processors import begin_and_end
from .pre_tokenizers import make_pre_tokenizer

__all__ = ["Padding", "Tokenizer"]

_SPACES = characters(SPACE)
_SPACES_AFTER = re.compile(f"{char_class(SPACE)}*")


class _Added(NamedTuple):
    """A token that is found in the text itself, before that is split."""

    content: str
    id: int
    left: bool  # whether it takes the spaces before it
    right: bool


class Padding(NamedTuple):
    """What fills a text up to the length of its tensor, and on which side."""

    id: int
    right: bool


class Tokenizer:
    """Token ids of texts, equal to the library's; see `read`.

    Read of a ``tokenizer.json``:

    - ``model``: BPE (without ``byte_fallback``, ``ignore_merges`` and dropout),
      WordPiece, WordLevel.
    - ``normalizer``: Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, Replace (of a
      string, or of ``\\s+``), BertNormalizer.
    - ``pre_tokenizer``: Sequence, ByteLevel, Split (at a string, or by the patterns of
      CLIP and GPT-2, or at ``\\s+``; Removed or Isolated), BertPreTokenizer,
      Whitespace, WhitespaceSplit.
    - ``post_processor``: what puts tokens before and after a text: TemplateProcessing,
      RobertaProcessing, BertProcessing; ByteLevel; a Sequence of these.
    - ``decoder``: ByteLevel, BPEDecoder, WordPiece.
    - ``added_tokens`` without ``single_word``; ``truncation`` on the right;
      ``padding`` with any id, on either side.

    What is a letter, a number or a space is a table of fuseg's own, so the same in all
    versions of Python. Normal forms and small letters are Python's: some 200 characters
    that came after Unicode 9 are others there.

    Attributes:
        length: What the file truncates or pads to; None if it says nothing.
        padding: None if the file has none.
    """

    def __init__(self, data: bytes) -> None:
        """Read a tokenizer.json.

        Raises:
            BundleError: It is none, or holds what is not read here.
        """
        try:
            self._read(read(data))
        except RecursionError:
            raise BundleError("a tokenizer must not nest this deeply.") from None

    def encode(self, text: str) -> list[int]:
        """The ids of a text, begin and end tokens included, however many.

        Raises:
            ArgumentError: The text holds half a surrogate pair, which is no character.
        """
        try:
            text.encode()
        except UnicodeEncodeError as err:
            raise ArgumentError(
                f"a text must be of whole characters, got half a surrogate pair at "
                f"position {err.start}."
            ) from None
        ids = [*self._begin]
        for piece, added in self._plain.split(text):
            if added is not None:
                ids.append(added)
                continue
            for part, token in self._normalized.split(self._normalize(piece)):
                if token is not None:
                    ids.append(token)
                else:
                    for word in self._split([part]):
                        ids += self._model.ids(word)
        return [*ids, *self._end]

    def truncate(self, ids: list[int], length: int) -> list[int]:
        """The first ``length`` ids of `encode`, the last ones being its end tokens."""
        if len(ids) <= length:
            return ids
        ends = len(self._end)
        return [*ids[: length - ends], *self._end]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without begin, end and other special tokens.

        Ids that no token has are left out.
        """
        return self._decode(
            [
                self._tokens[number]
                for number in ids
                if number in self._tokens and number not in self._special
            ]
        )

    def knows(self, number: int) -> bool:
        """Whether a token has this id."""
        return number in self._tokens

    @property
    def added(self) -> int:
        """How many tokens begin and end a text."""
        return len(self._begin) + len(self._end)

    def _read(self, whole: Part) -> None:
        whole.require_keys(
            "version",
            "truncation",
            "padding",
            "added_tokens",
            "normalizer",
            "pre_tokenizer",
            "post_processor",
            "decoder",
            "model",
        )
        whole.require(whole.value.get("version") == "1.0", "version", '"1.0"')
        value = whole.value
        self._normalize = make_normalizer(value.get("normalizer"))
        self._split = make_pre_tokenizer(value.get("pre_tokenizer"))
        self._model = make_model(whole.part("model"))
        suffix = self._model.suffix if isinstance(self._model, Bpe) else ""
        self._decode = make_decoder(value.get("decoder"), suffix)
        self._tokens = {number: token for token, number in self._model.vocab.items()}
        self._special: set[int] = set()
        plain, normalized = self._read_added(whole)
        self._plain, self._normalized = _Finder(plain), _Finder(normalized)
        post = value.get("post_processor")
        self._begin, self._end = begin_and_end(post, self._tokens)
        self.padding = self._read_padding(whole)
        self.length = _read_length(whole)

    def _read_added(self, whole: Part) -> tuple[list[_Added], list[_Added]]:
        """Those that are found in the text as it is, and once it is normalized."""
        vocab = self._model.vocab
        plain, normalized = [], []
        highest = -1
        for part in (
            whole.parts("added_tokens") if "added_tokens" in whole.value else ()
        ):
            part.require_keys(
                "id",
                "content",
                "single_word",
                "lstrip",
                "rstrip",
                "normalized",
                "special",
            )
            part.require_values(single_word=False)
            content, number = part.get("content", str), part.id("id")
            part.require(bool(content), "content", "a string that is not empty")
            # The library numbers those that the vocabulary has not by itself.
            wanted = vocab.get(content, max(len(vocab), highest + 1))
            highest = max(highest, wanted)
            self._tokens.setdefault(wanted, content)
            part.require(number == wanted, "id", f"{wanted}, of {spell(content)}")
            if part.get("special", bool):
                self._special.add(number)
            left, right = (part.get(key, bool) for key in ("lstrip", "rstrip"))
            if part.get("normalized", bool):
                content = self._normalize(content)
                part.require(bool(content), "content", "something once normalized")
                normalized.append(_Added(content, number, left, right))
            else:
                plain.append(_Added(content, number, left, right))
        return plain, normalized

    def _read_padding(self, whole: Part) -> Padding | None:
        if whole.value.get("padding") is None:
            return None
        part = whole.part("padding")
        part.require_keys(
            "strategy",
            "direction",
            "pad_to_multiple_of",
            "pad_id",
            "pad_type_id",
            "pad_token",
        )
        part.require(
            part.value.get("pad_to_multiple_of") is None, "pad_to_multiple_of", "null"
        )
        direction = part.get("direction", str)
        sides = ("Left", "Right")
        part.require(direction in sides, "direction", '"Left" or "Right"')
        part.require(part.id("pad_id") in self._tokens, "pad_id", "the id of a token")
        return Padding(part.id("pad_id"), direction == "Right")


def _read_length(whole: Part) -> int | None:
    """What the file truncates or pads to."""
    lengths = []
    if whole.value.get("truncation") is not None:
        part = whole.part("truncation")
        part.require_keys("direction", "max_length", "strategy", "stride")
        part.require_values(direction="Right")
        strategies = ("LongestFirst", "OnlyFirst")
        fits = part.value.get("strategy") in strategies
        part.require(fits, "strategy", '"LongestFirst" or "OnlyFirst"')
        lengths.append(part.id("max_length"))
    if whole.value.get("padding") is not None:
        part = whole.part("padding")
        if part.value.get("strategy") != "BatchLongest":
            strategy = part.part("strategy")
            strategy.require_keys("Fixed")
            lengths.append(strategy.id("Fixed"))
    if len({*lengths}) > 1:
        raise BundleError(
            f"padding.strategy must be of the length of truncation, {lengths[0]}, got "
            f"{lengths[1]}."
        )
    return lengths[0] if lengths else None


class _Finder:
    """Finds tokens in a text: leftmost, and the longest there."""

    def __init__(self, tokens: list[_Added]) -> None:
        ordered = sorted(tokens, key=lambda token: -len(token.content))
        self._by_content = {token.content: token for token in reversed(ordered)}
        contents = "|".join(re.escape(token.content) for token in ordered)
        self._pattern = re.compile(contents) if contents else None

    def split(self, text: str) -> Iterator[tuple[str, int | None]]:
        """Pieces of the text, and the ids of the tokens between them."""
        done = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            token = self._by_content[match[0]]
            start, end = match.span()
            if token.left:
                start = done + len(text[done:start].rstrip(_SPACES))
            if token.right:
                end = _SPACES_AFTER.match(text, end).end()  # type: ignore[union-attr]
            if start > done:
                yield text[done:start], None
            yield "", token.id
            done = end
        if done < len(text):
            yield text[done:], None
