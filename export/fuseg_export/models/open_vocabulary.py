"""A vector of every place in the space of sentences: any words can be asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .compose import SMALL
from .network import FusionNet
from .sentence import CHANNELS, SentenceEncoder

__all__ = ["OpenVocabularyNet"]

_TEMPERATURE = 0.1  # of the choice among meanings


class OpenVocabularyNet(nn.Module):
    """Two streams that meet in a space which one of them brings, and nothing changes.

    All phrases about rooms point much the same way. What they have in common,
    ``center``, is taken off: the rest tells them apart. Places lie among ``meanings``
    alone; so a phrase is drawn to those that it is near, and what it says beside them,
    which no place can answer, is left out.

    Args:
        planes: Channels of each sensor's tensor.
        meanings: How many there are.

    Shapes: ``(N, planes[i], H, W)`` and int64 ``(texts, length)`` to ``features``
    ``(N, 384, H/4, W/4)`` and ``phrases`` ``(texts, 384)``, of length 1.

    Source: Li et al., *Language-driven Semantic Segmentation*, 2022, with the sentence
    embeddings of `SentenceEncoder`.
    """

    center: Tensor
    meanings: Tensor

    def __init__(self, planes: Sequence[int], meanings: int) -> None:
        super().__init__()
        self.places = FusionNet(planes, CHANNELS, fusion="gated", **SMALL)
        self.sentences = SentenceEncoder().requires_grad_(False)
        self.register_buffer("center", torch.zeros(CHANNELS))
        drawn = F.normalize(torch.randn(meanings, CHANNELS), dim=1)
        self.register_buffer("meanings", drawn)

    def forward(self, rgb: Tensor, depth: Tensor, prompt: Tensor) -> dict[str, Tensor]:
        return {"features": self.see(rgb, depth), "phrases": self.read(prompt)}

    def see(self, *sensors: Tensor) -> Tensor:
        """The vectors of places alone, of any length."""
        return self.places.decode(self.places.encode(*sensors))

    def read(self, prompt: Tensor) -> Tensor:
        """The vectors of phrases alone."""
        near = self.centered(prompt) @ self.meanings.T
        drawn = (near / _TEMPERATURE).softmax(1) @ self.meanings
        return F.normalize(drawn, dim=1)

    def centered(self, prompt: Tensor) -> Tensor:
        """What phrases say beside what all have in common, of length 1."""
        return F.normalize(self.sentences(prompt) - self.center, dim=1)
