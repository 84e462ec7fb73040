"""Token ids that are a text: a caption."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import require, within
from ..variants import require_member
from .base import BaseOutput
from .form import Form

__all__ = ["TokensOutput"]


@dataclass(frozen=True)
class TokensOutput(BaseOutput):
    """Token ids of one text, up to the one that ends it.

    The tensor is int64 ``[1, length]``. What comes after the end is noise.

    Attributes:
        tensor: The tensor of the ids, by name.
        tokenizer: The member that holds the ``tokenizer.json``, which makes words of
            ids.
        end: The id that ends a text.
    """

    kind: Literal["tokens"] = field(default="tokens", kw_only=True)
    tokenizer: str
    end: int = field(metadata=within(0))

    @property
    def members(self) -> tuple[str, ...]:
        """The members of the bundle that it needs."""
        return (self.tokenizer,)

    def _check(self) -> None:
        super()._check()
        require_member("tokenizer", self.tokenizer, ".json")

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of."""
        require(
            dtype == "int64" and len(shape) == 2,
            f"tensor must be int64 [1, length], got {dtype} {list(shape)}.",
        )

    @property
    def expected(self) -> Form:
        """What its array in a sample is: the ids, the end's id from the end on."""
        return Form("int64", ("L",))

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        return [f"words by {self.tokenizer}, up to token {self.end}"]
