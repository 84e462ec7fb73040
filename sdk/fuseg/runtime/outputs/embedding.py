"""Labels of pixels whose features are nearest to those of a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifest import EmbeddingOutput
from .adapter import OutputContext
from .segmentation import SegmentationAdapter

__all__ = ["EmbeddingAdapter"]


class EmbeddingAdapter(SegmentationAdapter):
    """See `OutputAdapter`; compared at the network's resolution, then labelled.

    The dot products of a pixel that is blended of four are the blend of theirs: the
    same labels, for a small part of the time.
    """

    def __init__(self, output: EmbeddingOutput, context: OutputContext) -> None:
        super().__init__(output, context)
        self._lengths = np.empty(0, np.float32)  # of the pixels' features

    def connect(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """See `OutputAdapter.connect`."""
        self._vectors = tensors[self.output.vectors]

    def _scores(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """See `SegmentationAdapter`."""
        features = tensor[0].reshape(tensor.shape[1], -1)
        vectors, cosines = self._vectors, self.output.normalize == "l2"
        if cosines:
            vectors = vectors / _not_zero(np.linalg.norm(vectors, axis=1))[:, None]
        planes = self._with_background(len(vectors), tensor.shape[2:])
        scores = planes[1:].reshape(len(vectors), -1)
        np.matmul(vectors, features, out=scores)
        if cosines:
            if self._lengths.shape != features.shape[1:]:
                self._lengths = np.empty(features.shape[1:], np.float32)
            np.einsum("dp,dp->p", features, features, out=self._lengths)
            np.sqrt(self._lengths, out=self._lengths)
            scores /= _not_zero(self._lengths)
        return planes


def _not_zero(lengths: NDArray[np.float32]) -> NDArray[np.float32]:
    """What has no length is divided by 1: it stays 0."""
    lengths[lengths == 0] = 1
    return lengths
