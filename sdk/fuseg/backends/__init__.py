"""Backends: what runs a network. One file each, listed in `registry`."""

from __future__ import annotations

from .base import Arrays, Backend, GpuBackend, Shapes
from .registry import KNOWN, create, installed

__all__ = [
    "KNOWN",
    "Arrays",
    "Backend",
    "GpuBackend",
    "Shapes",
    "create",
    "installed",
]
