"""One score for each class of the whole frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frame_job import FrameJob
from .activation import activated
from .adapter import OutputAdapter

__all__ = ["ClassesAdapter", "Classification"]


@dataclass(frozen=True, eq=False)
class Classification:
    """What a frame shows.

    Attributes:
        scores: (C,) float32, from 0 to 1 unless the manifest's activation is ``none``.
        classes: The names of the classes, in the order of the scores.
    """

    scores: NDArray[np.float32]
    classes: tuple[str, ...]

    @property
    def best(self) -> str:
        """The class with the highest score; of equal ones the first."""
        return self.classes[int(self.scores.argmax())]


class ClassesAdapter(OutputAdapter):
    """See `OutputAdapter`."""

    least_agreement = 0.98

    def read(self, tensor: NDArray[Any], job: FrameJob) -> Classification:
        """See `OutputAdapter.read`."""
        values = tensor[0].astype(np.float64)
        if not np.isfinite(values).all():
            self.refuse_numbers("scores")
        scores = activated(values, self.output.activation).astype(np.float32)
        return Classification(scores, self.output.classes)

    @staticmethod
    def as_array(result: Classification) -> NDArray[Any]:
        """See `OutputAdapter.as_array`."""
        return result.scores

    @staticmethod
    def as_json(result: Classification) -> dict[str, float]:
        """See `OutputAdapter.as_json`."""
        return dict(zip(result.classes, map(float, result.scores), strict=True))

    @staticmethod
    def words(result: Classification) -> str:
        """See `OutputAdapter.words`."""
        return f"{result.best} {result.scores.max():.2f}"

    @staticmethod
    def agreement(expected: NDArray[Any], found: NDArray[Any]) -> float:
        """1 less the largest difference of two scores, of which those that are no
        probabilities count relative to the largest; see `OutputAdapter`."""
        size = max(1.0, float(np.abs(expected).max()))
        return max(0.0, 1.0 - float(np.abs(expected - found).max()) / size)
