"""Random numbers that a network draws in every call, as constants.

A graph of random operators gives other numbers with every engine, so nothing could be
verified against it. With ``--freeze-random`` they are drawn once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from fuseg.errors import ExportError

__all__ = ["Draws"]

_NEW = (
    *(torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal),
    *(torch.rand_like, torch.randn_like, torch.randint_like),
)
_IN_PLACE = (
    *(Tensor.uniform_, Tensor.normal_, Tensor.random_, Tensor.exponential_),
    *(Tensor.cauchy_, Tensor.log_normal_, Tensor.geometric_),
)


class Draws(TorchFunctionMode):
    """Draws of random numbers give those of an earlier call, one after the other.

    Args:
        known: Of that call; None: this is it.

    Attributes:
        made: What this call drew, if it is the first.
    """

    def __init__(self, known: Sequence[Tensor] | None = None) -> None:
        super().__init__()
        self._known = known
        self._next = 0
        self.made: list[Tensor] = []

    @classmethod
    @contextmanager
    def seeded(cls, seed: int) -> Iterator[Draws]:
        """The first call's; torch's own generator is left as it was."""
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(seed)
            with cls() as draws:
                yield draws

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func not in _NEW and func not in _IN_PLACE:
            return func(*args, **named)
        if self._known is None:
            drawn = func(*args, **named)
            self.made.append(drawn.detach().clone())
            return drawn
        if self._next == len(self._known):
            raise ExportError(
                "forward must draw as many random numbers in every call to be frozen."
            )
        drawn = self._known[self._next]
        self._next += 1
        return args[0].copy_(drawn) if func in _IN_PLACE else drawn.clone()
