"""Scores of classes for the whole frame set."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m

from ..network.outputs import Shapes
from .base import OutputRequest
from .plain import Plain, record_of

__all__ = ["Classes"]

_TIE = 1e-4  # between two probabilities: which one is larger is no matter


class Classes(Plain):
    """See `ExportedOutput`."""

    EQUAL = "classes are the same"
    LEAST_BETWEEN_STAGES = 0.9995
    LEAST = 0.98

    @classmethod
    def of(cls, request: OutputRequest, returned: Tensor, _: Shapes) -> Classes:
        """See `ExportedOutput`: scores (1, C)."""
        count = returned.shape[-1] if returned.ndim else 0
        named = [f"class_{i}" for i in range(count)]
        given = {"activation": "softmax", "classes": named}
        return cls(record_of(m.ClassesOutput, request, returned, **given))

    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """Probabilities (C,), float64."""
        scores = tensor.reshape(-1).astype(np.float64)
        if self.record.activation == "softmax":
            powers = np.exp(scores - scores.max())
            return np.asarray(powers / powers.sum())
        if self.record.activation == "sigmoid":
            with np.errstate(over="ignore"):  # exp(large) is infinity: 0
                return np.asarray(1 / (1 + np.exp(-scores)))
        return scores

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """Whether the likeliest class is the same; with sigmoid the share of classes
        on the same side of one half."""
        if not np.isfinite(found).all():
            return 0.0
        if self.record.activation == "sigmoid":
            same = (expected > 0.5) == (found > 0.5)
            return float((same | (np.abs(expected - 0.5) <= _TIE)).mean())
        tie = _TIE * max(1.0, float(np.abs(expected).max()))
        return float(expected[found.argmax()] >= expected.max() - tie)
