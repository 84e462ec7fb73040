"""The training side of fuseg: checkpoint -> torch -> ONNX -> verified bundle."""

from __future__ import annotations

import fuseg  # noqa: F401 - it turns ONNX Runtime's telemetry off, before all imports

from .parts.records import Part, Parts

__all__ = ["Part", "Parts"]
