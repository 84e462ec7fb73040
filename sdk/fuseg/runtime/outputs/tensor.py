"""A tensor that is handed to the caller as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frame_job import FrameJob
from .adapter import OutputAdapter

__all__ = ["TensorAdapter"]


class TensorAdapter(OutputAdapter):
    """See `OutputAdapter`; a result is a copy of the tensor."""

    least_agreement = 0.98

    def read(self, tensor: NDArray[Any], job: FrameJob) -> NDArray[Any]:
        """See `OutputAdapter.read`."""
        return np.array(tensor)

    @staticmethod
    def agreement(expected: NDArray[Any], found: NDArray[Any]) -> float:
        """1 less the root mean square difference, relative to the expected values'.

        See `OutputAdapter`. NaN agrees with NaN.
        """
        wanted, given = expected.astype(np.float64), found.astype(np.float64)
        same = (wanted == given) | (np.isnan(wanted) & np.isnan(given))
        if same.all():
            return 1.0
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.sqrt(np.square(np.where(same, 0.0, wanted - given)).mean())
            size = np.sqrt(np.square(np.where(same, given, wanted)).mean())
            share = 1.0 - error / size if size else 0.0
        return float(max(0.0, share)) if np.isfinite(share) else 0.0
