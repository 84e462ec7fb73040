"""Labels of every pixel, of class scores at the network's own resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...dataset.metrics import label_agreement
from ...errors import BackendError
from ...manifest import SegmentationOutput
from ..frame_job import FrameJob, LabelMap
from .adapter import OutputAdapter, OutputContext
from .upsample_cache import UpsampleCache

__all__ = ["SegmentationAdapter", "require_numbers"]


class SegmentationAdapter(OutputAdapter):
    """See `OutputAdapter`; labels are written into the job's `LabelMap`."""

    least_agreement = 0.995

    def __init__(self, output: SegmentationOutput, context: OutputContext) -> None:
        super().__init__(output, context)
        self._nan_samples = np.zeros(1, np.int32)
        self._planes: NDArray[np.float32] | None = None  # with the background's
        self._upsample: UpsampleCache | None = None

    def read(self, tensor: NDArray[Any], job: FrameJob) -> LabelMap:
        """See `OutputAdapter.read`."""
        found = job.label_maps[self.output.name]
        scores, upsample = self._scores(tensor), self._upsample
        if upsample is None or upsample.shape != scores.shape:
            upsample = self._upsample = UpsampleCache(
                scores.shape, scores.dtype, self.output, self.context.preprocessor
            )
        upsample.of(job.size, job.camera)(
            scores,
            out=found.labels,
            confidence=found.confidence,
            nan_samples=self._nan_samples,
        )
        require_numbers(self.context.backend, int(self._nan_samples[0]), tensor.shape)
        return found

    def _scores(self, tensor: NDArray[Any]) -> NDArray[np.float32]:
        """(C, h, w), the background first if there is one."""
        if self.output.background is None:
            scores: NDArray[np.float32] = tensor[0]
            return scores
        planes = self._with_background(len(tensor[0]), tensor.shape[2:])
        np.copyto(planes[1:], tensor[0])
        return planes

    def _with_background(
        self, classes: int, size: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Room for the scores of so many classes, behind those of the background."""
        shape = (1 + classes, *size)
        if self._planes is None or self._planes.shape != shape:
            self._planes = np.zeros(shape, np.float32)
            self._planes[0] = self.output.background.score
        return self._planes

    @staticmethod
    def as_array(result: Any) -> NDArray[Any]:
        """See `OutputAdapter.as_array`."""
        labels: NDArray[Any] = result.labels
        return labels

    @staticmethod
    def as_json(result: Any) -> dict[str, float]:
        """See `OutputAdapter.as_json`: the share of each class."""
        classes = result.classes
        counts = np.bincount(result.labels.ravel(), minlength=len(classes))
        shares = counts[: len(classes)] / result.labels.size
        names = (entry.name for entry in classes)
        return dict(zip(names, map(float, shares), strict=True))

    @staticmethod
    def agreement(expected: NDArray[Any], found: NDArray[Any]) -> float:
        """The share of equal labels; see `OutputAdapter`."""
        return label_agreement(expected, found)


def require_numbers(backend: str, nan_samples: int, scores: tuple[int, ...]) -> None:
    """Refuse labels of scores that cannot be compared.

    Raises:
        BackendError: at some samples a score is NaN or infinite, or all are -infinity.
    """
    if nan_samples:
        height, width = scores[-2:]
        raise BackendError(
            f"{backend} gave scores that are not numbers (NaN or infinity) at "
            f"{nan_samples} of the network's {height} x {width} positions: there are "
            "no labels there. Look at what it was fed with, Segmenter.preprocess, and "
            "try another variant, such as fp32."
        )
