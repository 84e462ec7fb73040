"""The training side of fuseg: checkpoint -> torch -> ONNX -> verified bundle."""

from __future__ import annotations

__all__: list[str] = []
