"""Decoders: features at several scales -> one feature map at the finest of them."""

from __future__ import annotations

from .skip import SkipDecoder

__all__ = ["SkipDecoder"]
