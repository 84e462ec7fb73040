"""Texts that a network writes, as token ids and as words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifest import TokensOutput
from ...text import Tokenizer
from ..frame_job import FrameJob
from .adapter import OutputAdapter, OutputContext

__all__ = ["Tokens", "TokensAdapter"]


@dataclass(frozen=True, eq=False)
class Tokens:
    """A text that a network wrote.

    Attributes:
        ids: Its tokens, without the one that ends it: (n,) int64.
        text: Its words, without special tokens.
    """

    ids: NDArray[np.int64]
    text: str
    _row: NDArray[np.int64] = field(repr=False)  # all of the tensor, ends behind it


class TokensAdapter(OutputAdapter):
    """See `OutputAdapter`."""

    least_agreement = 1.0

    def __init__(self, output: TokensOutput, context: OutputContext) -> None:
        super().__init__(output, context)
        self._tokenizer = Tokenizer(context.preprocessor.read(output.tokenizer))

    def read(self, tensor: NDArray[Any], job: FrameJob) -> Tokens:
        """See `OutputAdapter.read`."""
        row = tensor[0].copy()
        (ends,) = np.nonzero(row == self.output.end)
        count = int(ends[0]) if len(ends) else len(row)
        row[count:] = self.output.end
        ids = row[:count].copy()
        return Tokens(ids, self._tokenizer.decode(ids.tolist()), row)

    @staticmethod
    def as_array(result: Tokens) -> NDArray[Any]:
        """See `OutputAdapter.as_array`."""
        return result._row

    @staticmethod
    def as_json(result: Tokens) -> dict[str, Any]:
        """See `OutputAdapter.as_json`."""
        return {"text": result.text, "ids": result.ids.tolist()}

    @staticmethod
    def words(result: Tokens) -> str:
        """See `OutputAdapter.words`."""
        return result.text

    @staticmethod
    def agreement(expected: NDArray[Any], found: NDArray[Any]) -> float:
        """1 if they are equal up to the end, else 0: one changed word changes those
        that follow, and the sense. See `OutputAdapter`."""
        return float(np.array_equal(expected, found))
