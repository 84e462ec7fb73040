"""Encoders: image planes -> features at several scales, finest first."""

from __future__ import annotations

from .atrous import AtrousEncoder
from .dense import DenseEncoder
from .recurrent import RecurrentEncoder
from .residual import ResidualEncoder
from .transformer import TransformerEncoder
from .vgg import VggEncoder

__all__ = [
    "AtrousEncoder",
    "DenseEncoder",
    "RecurrentEncoder",
    "ResidualEncoder",
    "TransformerEncoder",
    "VggEncoder",
]
