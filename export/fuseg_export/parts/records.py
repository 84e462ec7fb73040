"""What a factory returns to say of which parts its network is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Part", "Parts"]


@dataclass(frozen=True)
class Part:
    """A part of a network, which becomes a graph of the bundle.

    Attributes:
        module: Takes what the part reads, positionally, and returns what it writes: a
            tensor, or a tuple or list of them.
        reads: Tensors by name: those of inputs, and what earlier parts write.
        writes: The names of what the module returns, in order.
        stands_in_for: The part in whose place this one runs while that lacks what it
            reads. It comes right after that one, or after others that stand in for it
            and are preferred, and writes the same tensors, which no other part reads.
    """

    module: nn.Module
    reads: Sequence[str]
    writes: Sequence[str]
    stands_in_for: str | None = None


@dataclass(frozen=True)
class Parts:
    """A network, and the parts that compute the same: what a factory may return.

    Attributes:
        whole: The network as it was trained. The checkpoint is loaded into it, so it
            holds the modules of all parts, those of stand-ins too.
        parts: By the names of the bundle's graphs, in running order.
    """

    whole: nn.Module
    parts: Mapping[str, Part]
