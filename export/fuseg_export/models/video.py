"""A memory of the frames before: what one of them hides, another has shown."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .decoders import SkipDecoder
from .encoders import ResidualEncoder
from .multitask import DECODER_CHANNELS, DEPTHS, WIDTHS

__all__ = ["ConvGru", "VideoNet"]


class ConvGru(nn.Module):
    """A gated recurrent unit whose products are convolutions.

    Shapes: features and memory, both ``(N, C, H, W)``, to the next memory.

    Source: Ballas et al., *Delving Deeper into Convolutional Networks for Learning
    Video Representations*, 2016, equations 7 to 10.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        both = torch.cat([x, memory], dim=1)
        update, keep = torch.sigmoid(self.gates(both)).chunk(2, dim=1)
        new = torch.tanh(self.candidate(torch.cat([x, keep * memory], dim=1)))
        remembered: Tensor = (1 - update) * memory + update * new
        return remembered


class VideoNet(nn.Module):
    """One frame and what is remembered, to its scores and what to remember next.

    Args:
        classes: Classes to tell apart.

    Shapes: ``rgb`` (N, 3, H, W) and ``memory`` (N, C, H/4, W/4) to logits
    (N, classes, H, W) and the next memory. A video starts with zeros.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.channels = DECODER_CHANNELS
        self.encoder = ResidualEncoder(3, WIDTHS, DEPTHS)
        self.decoder = SkipDecoder(WIDTHS, DECODER_CHANNELS)
        self.memory = ConvGru(DECODER_CHANNELS)
        self.head = nn.Conv2d(DECODER_CHANNELS, classes, 1)

    def forward(self, rgb: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        memory = self.memory(self.decoder(self.encoder(rgb)), memory)
        return self._scores(memory, rgb), memory

    def along(self, clips: Tensor, *, remembers: bool = True) -> Tensor:
        """Logits (N, T, classes, H, W) of clips (N, T, 3, H, W).

        Args:
            remembers: Whether a frame has the memory of the one before it; else that
                of the first frame.
        """
        frames = clips.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        seen: Tensor = self.decoder(self.encoder(frames))
        seen = seen.view(*clips.shape[:2], *seen.shape[1:])
        start = torch.zeros_like(seen[:, 0])
        memory, memories = start, []
        for x in seen.unbind(1):
            memory = self.memory(x, memory if remembers else start)
            memories.append(memory)
        scores = self._scores(torch.stack(memories, 1).flatten(0, 1), frames)
        return scores.view(*clips.shape[:2], *scores.shape[1:])

    def _scores(self, memory: Tensor, rgb: Tensor) -> Tensor:
        logits = self.head(memory)
        return F.interpolate(
            logits, size=rgb.shape[-2:], mode="bilinear", align_corners=False
        )
