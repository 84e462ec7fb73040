"""Scores at several scales, added up from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ScoreDecoder"]


class ScoreDecoder(nn.Module):
    """Each scale says what it thinks; coarser scores are enlarged and added.

    Args:
        widths: Channels of the features, finest first.
        classes: Channels of what it returns, which are scores.

    Source: Long et al., *Fully Convolutional Networks for Semantic Segmentation*, 2015,
    its skips.
    """

    def __init__(self, widths: Sequence[int], classes: int) -> None:
        super().__init__()
        self.scores = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in widths[::-1])

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        coarse_to_fine = features[::-1]
        x: Tensor = self.scores[0](coarse_to_fine[0])
        for feature, score in zip(coarse_to_fine[1:], self.scores[1:], strict=True):
            x = F.interpolate(
                x, size=feature.shape[-2:], mode="bilinear", align_corners=False
            )
            x = x + score(feature)
        return x
