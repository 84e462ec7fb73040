"""The manifest's inputs at work: one module for each kind."""

from __future__ import annotations

from typing import Any

from ...manifest import Input
from .adapter import InputAdapter, Tensors
from .color import ColorAdapter
from .maps import MapAdapter
from .plane import PlaneAdapter

__all__ = ["ColorAdapter", "InputAdapter", "Tensors", "adapter_of"]

_ADAPTERS: dict[str, Any] = {
    "color": ColorAdapter,
    "depth": PlaneAdapter,
    "plane": MapAdapter,
    "range": PlaneAdapter,
    "thermal": PlaneAdapter,
}


def adapter_of(spec: Input) -> InputAdapter:
    """The adapter of an input's kind."""
    adapter: InputAdapter = _ADAPTERS[spec.kind](spec)
    return adapter
