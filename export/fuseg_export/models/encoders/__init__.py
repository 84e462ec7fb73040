"""Encoders: image planes -> features at several scales, finest first."""

from __future__ import annotations

from .residual import ResidualEncoder

__all__ = ["ResidualEncoder"]
