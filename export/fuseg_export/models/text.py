"""A picture and texts: which places are meant."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .blocks import ConvNorm
from .decoders import SkipDecoder
from .encoders import ResidualEncoder
from .multitask import DECODER_CHANNELS, DEPTHS, WIDTHS

__all__ = ["PhraseEncoder", "TextNet"]

_FEATURES, _HIDDEN, _WORD = 48, 128, 64


class PhraseEncoder(nn.Module):
    """Token ids to a vector: embedding, LSTM, its last output, made linear.

    Args:
        words: Size of the vocabulary.
        channels: Of the vector.

    Shapes: int64 ``(texts, length)``, filled up on the left, to ``(texts, channels)``.
    """

    def __init__(self, words: int, channels: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, _WORD)
        self.reads = nn.LSTM(_WORD, _HIDDEN, batch_first=True)
        self.says = nn.Linear(_HIDDEN, channels)

    def forward(self, ids: Tensor) -> Tensor:
        steps, _ = self.reads(self.words(ids))
        said: Tensor = self.says(steps[:, -1])
        return said


class TextNet(nn.Module):
    """Two streams: features of every place, and a vector of every text.

    Where their dot product is above 0, the text means the place. The features' last
    channel is always 1, so that a vector has a bias of its own: some words are meant
    more often than others.

    Args:
        words: Size of the vocabulary.

    Shapes: ``(N, 3, H, W)`` and int64 ``(texts, length)`` to ``features``
    ``(N, 49, H/4, W/4)`` and ``phrases`` ``(texts, 49)``.

    Source: the dot product of Li et al., *Language-driven Semantic Segmentation*, 2022,
    with a small recurrent encoder for the text.
    """

    def __init__(self, words: int) -> None:
        super().__init__()
        self.encoder = ResidualEncoder(3, WIDTHS, DEPTHS)
        self.decoder = SkipDecoder(WIDTHS, DECODER_CHANNELS)
        self.places = nn.Sequential(
            ConvNorm(DECODER_CHANNELS, 64), nn.Conv2d(64, _FEATURES, 1)
        )
        self.phrases = PhraseEncoder(words, _FEATURES + 1)

    def forward(self, rgb: Tensor, prompt: Tensor) -> dict[str, Tensor]:
        # Products of random vectors of C channels are as large as the root of C.
        found = self.places(self.decoder(self.encoder(rgb))) / _FEATURES**0.5
        always = torch.ones_like(found[:, :1])
        return {
            "features": torch.cat([found, always], dim=1),
            "phrases": self.phrases(prompt),
        }
