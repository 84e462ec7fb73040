"""A tensor that is handed to the caller as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..schema import Record

__all__ = ["TensorOutput"]


@dataclass(frozen=True)
class TensorOutput(Record):
    """A tensor of any shape, passed through.

    Attributes:
        name: The name of the result.
        kind: What kind of result it is.
        tensor: The tensor, by name.
    """

    name: str
    kind: Literal["tensor"] = field(default="tensor", kw_only=True)
    tensor: str

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of: none is."""

    @property
    def expected(self) -> None:
        """What its array in a sample is: the tensor."""

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        return ["handed to the caller as it is"]
