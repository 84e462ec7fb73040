"""Encoders: image planes -> features at several scales, finest first."""

from __future__ import annotations

from .atrous import AtrousEncoder
from .dense import DenseEncoder
from .efficientnet import EfficientNetLite0
from .recurrent import RecurrentEncoder
from .residual import ResidualEncoder
from .transformer import TransformerEncoder
from .vgg import VggEncoder

__all__ = [
    "AtrousEncoder",
    "DenseEncoder",
    "EfficientNetLite0",
    "RecurrentEncoder",
    "ResidualEncoder",
    "TransformerEncoder",
    "VggEncoder",
]
