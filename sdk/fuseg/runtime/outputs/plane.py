"""A network's map of numbers, at the camera's size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ops.affine_axis import affine_axis
from ..frame_job import FrameJob
from .adapter import OutputAdapter

__all__ = ["PlaneAdapter"]


class PlaneAdapter(OutputAdapter):
    """See `OutputAdapter`; a result is float32 (H, W)."""

    least_agreement = 0.98
    _resize: _Resize | None = None
    _size: object = None  # that it is for

    def read(self, tensor: NDArray[Any], job: FrameJob) -> NDArray[np.float32]:
        """See `OutputAdapter.read`."""
        plane = tensor[0, 0] if tensor.ndim == 4 else tensor[0]
        if not np.isfinite(plane).all():
            self.refuse_numbers("values")
        size = plane.shape, job.size, job.camera
        if self._resize is None or self._size != size:
            self._resize = _Resize(
                plane.shape,
                job.size,
                align_corners=self.output.upsample.align_corners,
                **self.context.preprocessor.shown(job.camera),
            )
            self._size = size
        return self._resize(plane)

    @staticmethod
    def agreement(expected: NDArray[Any], found: NDArray[Any]) -> float:
        """1 less the mean difference, relative to the mean size of what is expected.

        See `OutputAdapter`.
        """
        error = np.abs(expected.astype(np.float64) - found).mean()
        size = np.abs(expected.astype(np.float64)).mean()
        if size == 0:
            return float(error == 0)
        return max(0.0, 1.0 - float(error / size))


class _Resize:
    """Bilinear, edges clamped: along the rows, then from row to row.

    Args:
        shape: Of the plane.
        size: Of the result.
        align_corners, crop, input_size: See `fuseg.ops.upsample_argmax`.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        size: tuple[int, int],
        *,
        align_corners: bool,
        crop: tuple[int, int, int, int] | None = None,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        axes = []
        for axis in (0, 1):
            part = None if crop is None else (crop[axis], crop[axis + 2])
            whole = None if input_size is None else input_size[axis]
            first, step, unit = affine_axis(
                shape[axis],
                size[axis],
                align_corners=align_corners,
                crop=part,
                whole=whole,
            )
            at = (first + np.arange(size[axis]) * float(step)) / unit
            at = np.clip(at, 0, shape[axis] - 1)
            low = np.minimum(at.astype(np.intp), max(shape[axis] - 2, 0))
            axes.append((low, (at - low).astype(np.float32)))
        (self._rows, weights), (self._columns, self._along) = axes
        self._next = np.minimum(self._columns + 1, shape[1] - 1)
        self._down = weights[:, None]
        self._size, self._plane = size, np.empty(shape, np.float32)
        self._wide = np.empty((shape[0], size[1]), np.float32)
        self._steps = np.zeros_like(self._wide)  # from each row to the next
        self._differences = np.empty(size, np.float32)

    def __call__(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        np.copyto(self._plane, plane, casting="same_kind")
        wide, steps, out = self._wide, self._steps, np.empty(self._size, np.float32)
        np.take(self._plane, self._columns, axis=1, out=wide, mode="clip")
        step = np.take(self._plane, self._next, axis=1)
        step -= wide
        step *= self._along
        wide += step
        np.subtract(wide[1:], wide[:-1], out=steps[:-1])
        np.take(wide, self._rows, axis=0, out=out, mode="clip")
        np.take(steps, self._rows, axis=0, out=self._differences, mode="clip")
        self._differences *= self._down
        out += self._differences
        return out
