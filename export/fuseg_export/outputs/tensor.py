"""A tensor that the runtime passes on as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m

from ..network.outputs import Shapes
from .base import OutputRequest
from .plain import Plain, record_of

__all__ = ["Passed", "share_of_norm"]


class Passed(Plain):
    """See `ExportedOutput`."""

    EQUAL = "norm of its values is the same"
    LEAST_BETWEEN_STAGES = 0.9995
    LEAST = 0.95

    @classmethod
    def of(cls, request: OutputRequest, returned: Tensor, _: Shapes) -> Passed:
        """See `ExportedOutput`: any tensor of a batch of one."""
        return cls(record_of(m.TensorOutput, request, returned))

    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The tensor."""
        return tensor

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """See `share_of_norm`."""
        return share_of_norm(expected, found)


def share_of_norm(expected: NDArray[Any], found: NDArray[Any]) -> float:
    """1 less the norm of the difference over the norm of what is expected, at least 0.

    0 if a value is not finite.
    """
    norm = float(np.linalg.norm(expected.astype(np.float64)))
    apart = float(np.linalg.norm(expected.astype(np.float64) - found))
    if apart == 0:
        return 1.0
    return max(0.0, 1 - apart / norm) if norm > 0 and np.isfinite(apart) else 0.0
