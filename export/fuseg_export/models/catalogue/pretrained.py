"""A colour encoder that ImageNet was shown to, on small rooms."""

from __future__ import annotations

from torch import nn

from fuseg.manifest import Class

from ...frames.rendered import small_rooms
from ...scenes import CLASSES
from ..compose import spec_of, words_of
from ..decoders import SkipDecoder
from ..encoders import EfficientNetLite0
from ..network import EncoderDecoder
from ..reference_model import ReferenceModel

__all__ = ["MODELS"]

_CLASSES = [Class(c.name, c.color) for c in CLASSES]
_DECODED = 48
# What the encoder was trained on: (value - 127) / 128.
_RGB = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}


def _efficientnet() -> nn.Module:
    encoder = EfficientNetLite0()
    decoder = SkipDecoder(encoder.widths, _DECODED)
    return EncoderDecoder(encoder, decoder, nn.Conv2d(_DECODED, len(_CLASSES), 1))


MODELS = (
    ReferenceModel(
        "efficientnet",
        "pretrained",
        "EfficientNet-Lite0 as the encoder, with ImageNet weights or without",
        _efficientnet,
        words_of(("rgb",)),
        {**spec_of(("rgb",), _CLASSES), "inputs": {"rgb": _RGB}},
        small_rooms,
    ),
)
