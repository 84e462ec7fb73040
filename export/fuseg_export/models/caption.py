"""A picture's caption, word by word, and a segmentation that has heard it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from .blocks import ConvNorm
from .decoders import SkipDecoder
from .encoders import ResidualEncoder
from .multitask import DECODER_CHANNELS, DEPTHS, STRIDE, WIDTHS, enlarged

__all__ = ["CaptionNet", "CaptionOutput"]

_HIDDEN, _WORD = 96, 32
_GRID = (3, 8)


class CaptionOutput(NamedTuple):
    """What a `CaptionNet` makes of N pictures.

    Attributes:
        labels: Scores of kinds, shape ``(N, 1 + kinds, H, W)``.
        kinds, colors: The same and those of colours before a word was said, shape
            ``(N, classes, h, w)``.
        words: Scores of each word, shape ``(N, length, words)``.
    """

    labels: Tensor
    kinds: Tensor
    colors: Tensor
    words: Tensor


class CaptionNet(nn.Module):
    """Words from what was seen where, and features scaled by what was said.

    The segmentation's first guess says how much of each colour and kind there is in
    each cell of a coarse grid. An LSTM begins with that and says one word after the
    other, each the likeliest given the picture and those before it: P(W | I). The mean
    of its states then scales and shifts the features of the segmentation.

    Args:
        kinds, colors: See `MultiTaskNet`, whose weights it begins with.
        words: Size of the vocabulary.
        length: Words of a caption, its end among them.
        size: Height and width of the picture, multiples of 12 and 32.

    Shapes: ``(N, 3, H, W)`` to ``labels`` ``(N, 1 + kinds, H, W)`` and ``tokens``,
    int64 ``(N, length)``.

    Source: the decoder of Vinyals et al., *Show and Tell*, 2015; the scaling is FiLM's
    (Perez et al., 2018).
    """

    def __init__(
        self,
        kinds: int,
        colors: int,
        words: int,
        length: int,
        size: tuple[int, int],
    ) -> None:
        super().__init__()
        self.length = length
        self.encoder = ResidualEncoder(3, WIDTHS, DEPTHS)
        self.decoder = SkipDecoder(WIDTHS, DECODER_CHANNELS)
        self.labels = nn.Conv2d(DECODER_CHANNELS, 1 + kinds, 1)
        self.colors = nn.Conv2d(DECODER_CHANNELS, 1 + colors, 1)
        cells = _GRID[0] * _GRID[1]
        cell = [side // STRIDE // n for side, n in zip(size, _GRID, strict=True)]
        self.pool = nn.AvgPool2d((cell[0], cell[1]))
        self.looks = nn.Sequential(
            nn.Linear(kinds * colors * cells, _HIDDEN), nn.ReLU()
        )
        self.words = nn.Embedding(words, _WORD)
        self.cell = nn.LSTMCell(_WORD + _HIDDEN, _HIDDEN)
        self.says = nn.Linear(_HIDDEN, words)
        self.scale = nn.Linear(_HIDDEN, 2 * DECODER_CHANNELS)
        self.again = nn.Sequential(
            ConvNorm(DECODER_CHANNELS, DECODER_CHANNELS),
            nn.Conv2d(DECODER_CHANNELS, 1 + kinds, 1),
        )

    def forward(self, rgb: Tensor) -> dict[str, Tensor]:
        said = self.describe(rgb)
        return {"labels": said.labels, "tokens": said.words.argmax(2)}

    def describe(self, rgb: Tensor, caption: Tensor | None = None) -> CaptionOutput:
        """All that is made of pictures; ``caption`` ``(N, length)`` are the words to go
        on from, instead of those that the network says itself."""
        fine = self.decoder(self.encoder(rgb))
        kinds, colors = self.labels(fine), self.colors(fine)
        seen = self.looks(self._seen(kinds, colors))
        words, heard = self._say(seen)
        if caption is not None:
            # The labels hear what they will hear later, not the truth.
            words, _ = self._say(seen, caption)
        scale, shift = self.scale(heard)[:, :, None, None].chunk(2, dim=1)
        fine = fine * (1 + scale) + shift
        labels = kinds + self.again(fine)
        return CaptionOutput(enlarged(labels), kinds, colors, words)

    def _say(
        self, seen: Tensor, caption: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scores of each word ``(N, length, words)``, and the mean of the states."""
        hidden, memory = seen, torch.zeros_like(seen)
        # Id 0, which fills up short texts, stands before the first word.
        word = torch.zeros_like(seen[:, 0], dtype=torch.int64)
        scores, heard = [], torch.zeros_like(seen)
        for place in range(self.length):
            given = torch.cat([self.words(word), seen], dim=1)
            hidden, memory = self.cell(given, (hidden, memory))
            scores.append(self.says(hidden))
            heard = heard + hidden / self.length
            word = scores[-1].argmax(1) if caption is None else caption[:, place]
        return torch.stack(scores, dim=1), heard

    def _seen(self, kinds: Tensor, colors: Tensor) -> Tensor:
        """The share of each pair of kind and colour in each cell of the grid."""
        kind, color = kinds.softmax(1)[:, 1:], colors.softmax(1)[:, 1:]
        pairs = (kind[:, :, None] * color[:, None]).flatten(1, 2)
        shares: Tensor = self.pool(pairs).flatten(1)
        return shares.sqrt()
