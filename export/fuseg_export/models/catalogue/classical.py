"""The classical networks of single pictures, and attention, on small rooms."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from fuseg.manifest import Class

from ...frames.rendered import small_rooms
from ...scenes import CLASSES
from ..compose import SIZE, spec_of, words_of
from ..decoders import DeconvDecoder, ScoreDecoder, SkipDecoder, UNetDecoder
from ..encoders import (
    AtrousEncoder,
    DenseEncoder,
    RecurrentEncoder,
    TransformerEncoder,
    VggEncoder,
)
from ..network import EncoderDecoder
from ..reference_model import ReferenceModel

__all__ = ["MODELS"]

_CLASSES = [Class(c.name, c.color) for c in CLASSES]
_COUNT = len(_CLASSES)
_WIDTHS = (16, 32, 48, 64)
_DECODED = 48  # channels of decoders that choose them


def _head(channels: int) -> nn.Module:
    return nn.Conv2d(channels, _COUNT, 1)


def _fcn() -> nn.Module:
    decoder = ScoreDecoder(_WIDTHS, _COUNT)
    return EncoderDecoder(VggEncoder(3, _WIDTHS), decoder, nn.Identity())


def _unet() -> nn.Module:
    encoder = VggEncoder(3, _WIDTHS)
    return EncoderDecoder(encoder, UNetDecoder(_WIDTHS), _head(_WIDTHS[0]))


def _deconv() -> nn.Module:
    encoder = VggEncoder(3, _WIDTHS)
    return EncoderDecoder(encoder, DeconvDecoder(_WIDTHS), _head(_WIDTHS[0]))


def _deeplab() -> nn.Module:
    return _decoded(AtrousEncoder(3))


def _densenet() -> nn.Module:
    return _decoded(DenseEncoder(3))


def _crnn() -> nn.Module:
    return _decoded(RecurrentEncoder(3, SIZE))


def _self_attention() -> nn.Module:
    return _decoded(TransformerEncoder([3], SIZE))


def _cross_attention() -> nn.Module:
    return _decoded(TransformerEncoder([3, 1], SIZE, layers=1))


def _decoded(
    encoder: AtrousEncoder | DenseEncoder | RecurrentEncoder | TransformerEncoder,
) -> nn.Module:
    decoder = SkipDecoder(encoder.widths, _DECODED)
    return EncoderDecoder(encoder, decoder, _head(_DECODED))


def _row(
    name: str,
    summary: str,
    build: Callable[[], nn.Module],
    sensors: tuple[str, ...] = ("rgb",),
    family: str = "classical",
) -> ReferenceModel:
    return ReferenceModel(
        name,
        family,
        summary,
        build,
        words_of(sensors),
        spec_of(sensors, _CLASSES),
        small_rooms,
    )


MODELS = (
    _row("fcn", "FCN: plain convolutions, scores of four scales added", _fcn),
    _row("unet", "U-Net: transposed convolutions beside the encoder's", _unet),
    _row("deconvnet", "a deconvolution decoder on the coarsest features", _deconv),
    _row("deeplab", "DeepLabV3+: an atrous pyramid, a skip at stride 4", _deeplab),
    _row("densenet", "DenseNet: each layer sees all layers before it", _densenet),
    _row("crnn", "CRNN: GRUs sweep over rows and columns of features", _crnn),
    _row(
        "self-attention",
        "a Transformer over features of convolutions",
        _self_attention,
        family="attention",
    ),
    _row(
        "cross-attention",
        "colour asks depth, then itself: a Transformer",
        _cross_attention,
        ("rgb", "depth"),
        family="attention",
    ),
)
