"""The manifest's inputs at work: one module for each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...manifest import AudioInput, SensorInput
from .adapter import InputAdapter, Tensors
from .audio import AudioAdapter
from .color import ColorAdapter
from .depth import DepthAdapter
from .frames import FrameAdapter
from .plane import PlaneAdapter

__all__ = [
    "ColorAdapter",
    "FrameAdapter",
    "InputAdapter",
    "Read",
    "Tensors",
    "adapter_of",
]

Read = Callable[[str], bytes]

_ADAPTERS: dict[str, Any] = {
    "color": ColorAdapter,
    "depth": DepthAdapter,
    "plane": PlaneAdapter,
    "range": DepthAdapter,
    "thermal": DepthAdapter,
}


def adapter_of(spec: SensorInput, read: Read | None = None) -> InputAdapter:
    """The adapter of an input's kind.

    Args:
        read: Gives the content of a member of the bundle, for inputs that name one.
    """
    if isinstance(spec, AudioInput):
        assert read is not None, "it may name members"
        return AudioAdapter(spec, read)
    adapter: InputAdapter = _ADAPTERS[spec.kind](spec)
    return adapter
