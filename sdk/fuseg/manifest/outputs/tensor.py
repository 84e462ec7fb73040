"""A tensor that is handed to the caller as it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .base import BaseOutput

__all__ = ["TensorOutput"]


@dataclass(frozen=True)
class TensorOutput(BaseOutput):
    """A tensor of any shape, passed through."""

    kind: Literal["tensor"] = field(default="tensor", kw_only=True)

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of: none is."""

    @property
    def expected(self) -> None:
        """What its array in a sample is: the tensor."""

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        return ["handed to the caller as it is"]
