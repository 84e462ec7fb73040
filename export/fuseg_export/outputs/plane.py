"""A number for every pixel: depth, disparity, height."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m

from .. import reference
from ..network.outputs import Shapes
from .base import OutputRequest, Prediction, Size
from .plain import Plain, record_of

__all__ = ["Plane"]


class Plane(Plain):
    """See `ExportedOutput`."""

    EQUAL = "size of its values is the same"
    LEAST_BETWEEN_STAGES = 0.9995
    LEAST = 0.98

    @classmethod
    def of(cls, request: OutputRequest, returned: Tensor, _: Shapes) -> Plane:
        """See `ExportedOutput`: (1, 1, h, w), or (1, h, w)."""
        given = {"upsample": {"align_corners": False}}
        return cls(record_of(m.PlaneOutput, request, returned, **given))

    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The numbers on the network's own grid, (h, w)."""
        return np.asarray(tensor.reshape(tensor.shape[-2:]).astype(np.float64))

    def at_camera(
        self,
        prediction: Prediction,
        camera: Size,  # noqa: ARG002 - exports know no letterbox
        size: Size,
    ) -> Prediction:
        """The numbers interpolated bilinearly to the size that was asked for."""
        corners = self.record.upsample.align_corners
        large = reference.upsample(prediction.result[None], size, align_corners=corners)
        return replace(prediction, result=large[0])

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """1 less the mean difference over the mean size of what is expected."""
        error, size = float(np.abs(expected - found).mean()), np.abs(expected).mean()
        if error == 0:
            return 1.0
        return max(0.0, 1 - error / float(size)) if size > 0 else 0.0
