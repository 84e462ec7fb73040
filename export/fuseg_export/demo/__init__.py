"""``fuseg demo``, and the acceptance test of what it makes."""

from __future__ import annotations

from .command import demo

__all__ = ["demo"]
