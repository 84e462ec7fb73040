"""Fusion operators: features of several sensors at one scale -> one feature map.

A file is an operator: ``concat_conv.py`` holds the module ``ConcatConv``, which is made
of the number of sensors and their channels, and takes one ``(N, C, H, W)`` a sensor to
one ``(N, C, H, W)``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from torch import nn

from ..closest import closest

__all__ = ["OPERATORS", "Operator", "operator"]

OPERATORS = tuple(sorted(module.name for module in iter_modules(__path__)))

Operator = Callable[[int, int], nn.Module]  # of the number of sensors and of channels


def operator(name: str) -> Operator:
    """Find a fusion operator by its file's name.

    Raises:
        ArgumentError: There is none.
    """
    closest("fusion", name, OPERATORS)
    module = import_module(f"{__name__}.{name}")
    found: Operator = getattr(module, name.title().replace("_", ""))
    return found
