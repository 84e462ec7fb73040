"""Texts: what is looked for, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..schema import require
from ..tensors import Dimension, Tensor
from ..variants import require_member
from .base import BaseInput

__all__ = ["TextInput"]


@dataclass(frozen=True, kw_only=True)
class TextInput(BaseInput):
    """Texts as token ids: an int64 tensor, ``[texts, length]``.

    A text is a setting, no sensor: it stays until another is given, has no age and no
    stamp, and no result is degraded by it. Its first axis is 1, or a dimension where
    there may be several texts.

    Attributes:
        tokenizer: The member that holds the ``tokenizer.json``. Its ``padding`` fills
            up a text that is shorter than the tensor.
        too_long: ``refuse`` a text of more tokens than the tensor has, or ``truncate``
            it; the tokens that end a text stay.
        empty: ``refuse`` a text that has no tokens of its own, or ``allow`` it.
        default: The text, or list of texts, before one is given. Without it the first
            call must give one.
    """

    kind: Literal["text"] = "text"
    tokenizer: str
    too_long: Literal["refuse", "truncate"] = "refuse"
    empty: Literal["refuse", "allow"] = "refuse"
    default: str | tuple[str, ...] | None = None

    @property
    def members(self) -> tuple[str, ...]:
        """The members of the bundle that it needs."""
        return (self.tokenizer,)

    @property
    def defaults(self) -> tuple[str, ...]:
        """The default texts; empty if there is none."""
        if self.default is None:
            return ()
        return (self.default,) if isinstance(self.default, str) else self.default

    def _check(self) -> None:
        super()._check()
        require_member("tokenizer", self.tokenizer, ".json")

    def require_fits(self, tensor: Tensor, dimension: Dimension | None) -> None:
        """Refuse a tensor that this cannot fill.

        Args:
            dimension: That of the tensor's first axis, if it is one.
        """
        shape = tensor.shape
        require(
            tensor.dtype == "int64" and len(shape) == 2 and isinstance(shape[1], int),
            f"tensor must be int64 [texts, length], got {tensor.dtype} {list(shape)}.",
        )
        least, most = (dimension.min, dimension.max) if dimension else (1, 1)
        count = len(self.defaults)
        require(
            self.default is None or least <= count <= most,
            f"default must be {count_of(least, most)}, got {count}.",
        )


def count_of(least: int, most: int) -> str:
    """How many texts there may be, in words."""
    if least == most:
        return "one text" if least == 1 else f"{least} texts"
    return f"{least} to {most} texts"
