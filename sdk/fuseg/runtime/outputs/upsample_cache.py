"""The kernel that turns a network's scores into labels, made anew for new sizes."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...manifest import SegmentationOutput
from ..preprocess import Preprocessor


class UpsampleCache:
    """The last frame's `ops.UpsampleArgmax`, or a new one if the sizes are new.

    Args:
        shape, dtype: Of the scores, as `ops.UpsampleArgmax` takes them.
        form: Its other arguments, such as ``layout``.

    Attributes:
        shape: Of the scores.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: Any,
        output: SegmentationOutput,
        preprocessor: Preprocessor,
        **form: Any,
    ) -> None:
        self.shape, self._dtype = shape, dtype
        self._form: dict[str, Any] = {
            "align_corners": output.upsample.align_corners,
            **form,
        }
        self._preprocessor = preprocessor
        self._last: dict[object, ops.UpsampleArgmax] = {}  # at most one

    def of(
        self, size: tuple[int, int], camera: tuple[int, int] | None
    ) -> ops.UpsampleArgmax:
        """For labels of ``size`` (height, width), seen by a camera of that size."""
        upsample = self._last.get((size, camera))
        if upsample is None:
            shown: dict[str, Any] = self._preprocessor.shown(camera)
            upsample = ops.UpsampleArgmax(
                self.shape, self._dtype, size=size, **self._form, **shown
            )
            self._last = {(size, camera): upsample}
        return upsample
