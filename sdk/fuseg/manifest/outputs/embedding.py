"""Features of every pixel that are compared with those of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..schema import require
from ..tensors import Tensor, require_floats
from .segmentation import Class, SegmentationOutput

__all__ = ["EmbeddingOutput"]


@dataclass(frozen=True)
class EmbeddingOutput(SegmentationOutput):
    """Features of every pixel and of every text; labels say which text is nearest.

    The tensor is ``[1, D, height, width]``, the vectors are ``[texts, D]``. Their dot
    products, at the network's resolution, are scores, and labels are made of those as
    a segmentation makes them.

    Attributes:
        tensor: The tensor of the pixels' features, by name.
        upsample: How scores reach the camera's size.
        ignore: The label of no class.
        classes: Empty: see ``classes_from``.
        tail: What the exporter cut off.
        classes_from: The input of texts that the vectors are of; required. Labels are
            0 for the background and 1, 2, ... for the texts, in their order; their
            colours are those of PASCAL VOC.
        background: An implied first class; required.
        vectors: The tensor of the texts' features, by name.
        normalize: ``l2`` divides each pixel's features and each vector by their length
            before, so that the scores are cosines; 0 stays 0.
    """

    kind: Literal["embedding"] = field(default="embedding", kw_only=True)  # type: ignore[assignment]
    classes: tuple[Class, ...] = field(default=(), kw_only=True)
    vectors: str = field(kw_only=True)
    normalize: Literal["none", "l2"] = field(kw_only=True)

    def _check(self) -> None:
        require(
            self.classes_from is not None,
            "classes_from is missing: it must be the input of texts that vectors are "
            "of.",
        )
        super()._check()

    def require_fits(self, dtype: str, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that this cannot be made of."""
        require_floats(dtype)
        require(
            len(shape) == 4, f"tensor must be [1, D, height, width], got {list(shape)}."
        )
        self._require_own_size(shape)

    def require_vectors(self, vectors: Tensor, features: Tensor) -> None:
        """Refuse vectors that cannot be compared with the features."""
        wanted = features.shape[1]
        require(
            vectors.dtype == "float32"
            and len(vectors.shape) == 2
            and vectors.shape[1] == wanted,
            f"vectors must be float32 [texts, {wanted}], as tensor {self.tensor!r} has "
            f"{wanted} features, got {vectors.dtype} {list(vectors.shape)}.",
        )

    def prompt_axis(self, tensors: Mapping[str, Tensor]) -> int | str:
        """See `SegmentationOutput.prompt_axis`."""
        return tensors[self.vectors].shape[0]

    @property
    def words(self) -> list[str]:
        """What it does, for people."""
        compared = f"compared with {self.vectors}, normalize {self.normalize}"
        return [compared, *super().words]
