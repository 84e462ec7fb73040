"""Decoders: features at several scales -> one feature map at the finest of them."""

from __future__ import annotations

from .deconv import DeconvDecoder
from .scores import ScoreDecoder
from .skip import SkipDecoder
from .unet import UNetDecoder

__all__ = ["DeconvDecoder", "ScoreDecoder", "SkipDecoder", "UNetDecoder"]
