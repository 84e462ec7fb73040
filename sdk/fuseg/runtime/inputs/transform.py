"""What becomes of a sensor's values before they are resized: clip and transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cuda.array_view import CudaArrayView
from ...errors import DTypeError, Fault
from ...manifest import DepthInput, PlaneInput
from ..frame_format import DepthFormat
from .cuda import CudaInput

__all__ = ["CudaTransformed", "FrameTransform", "refuse_on_gpu"]


class FrameTransform:
    """Frames of one element type, (H, W), to float32: scaled, clipped, transformed.

    What is no reading becomes NaN. Computed by NumPy, on the CPU: of whole numbers by a
    table of every value. The result is in a buffer that the next call writes to.
    """

    def __init__(self, spec: DepthInput | PlaneInput, delivered: DepthFormat) -> None:
        self._spec, self._delivered = spec, delivered
        self._buffer = np.empty((0, 0), np.float32)
        self._table: NDArray[np.float32] | None = None
        if delivered.dtype.kind != "f":
            raw = np.arange(np.iinfo(delivered.dtype).max + 1, dtype=np.float64)
            table = np.empty_like(raw)
            self._compute(raw, table)
            self._table = table.astype(np.float32)
            known = np.flatnonzero(np.isfinite(table))
            self._order = known[np.argsort(table[known], kind="stable")]

    def __call__(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        if self._buffer.shape != frame.shape:
            self._buffer = np.empty(frame.shape, np.float32)
        values = self._buffer
        if self._table is None:
            self._compute(frame, values)
        else:
            np.take(self._table, frame, out=values, mode="clip")
        if self._spec.transform == "min-max" and values.size:
            least, most = self._ends(frame, values)
            values -= least
            if most > least:
                values /= most - least
        return values

    def _ends(
        self, frame: NDArray[Any], values: NDArray[np.float32]
    ) -> tuple[np.float32, np.float32]:
        """What becomes 0 and 1; NaN where there is no reading at all."""
        wanted = self._spec.percentiles
        if wanted is None:
            return np.fmin.reduce(values, axis=None), np.fmax.reduce(values, axis=None)
        if self._table is not None:
            ends = self._percentiles(frame, self._table, wanted)
        else:
            readings = values[np.isfinite(values)]
            ends = np.percentile(readings if readings.size else [np.nan], wanted)
        least, most = ends.astype(np.float32)
        np.clip(values, least, most, out=values)
        return least, most

    def _percentiles(
        self,
        frame: NDArray[Any],
        table: NDArray[np.float32],
        wanted: tuple[float, float],
    ) -> NDArray[np.float64]:
        """As NumPy's, by counting whole numbers: to sort them takes much longer."""
        counts = np.bincount(frame.ravel(), minlength=len(table))[self._order]
        until = np.cumsum(counts)
        if not until.size or until[-1] == 0:
            return np.full(2, np.nan)
        last = int(until[-1]) - 1
        at = last * np.array(wanted) / 100
        below = np.floor(at).astype(np.int64)
        low, high = (
            table[self._order[np.searchsorted(until, number, side="right")]].astype(
                np.float64
            )
            for number in (below, np.minimum(below + 1, last))
        )
        return np.asarray(low + (high - low) * (at - below))

    def _compute(self, raw: NDArray[Any], values: NDArray[Any]) -> None:
        """All but what depends on the other pixels."""
        spec, delivered = self._spec, self._delivered
        with np.errstate(all="ignore"):
            np.multiply(raw, delivered.scale, out=values)
            missing = ~np.isfinite(values)
            for value in delivered.invalid:
                missing |= raw == value
            if delivered.valid_range is not None:
                low, high = delivered.valid_range
                missing |= (raw < low) | (raw > high)
            if spec.clip is not None:
                np.clip(values, *spec.clip, out=values)
            if spec.transform == "log":
                np.log(values, out=values)
            elif spec.transform == "inverse":
                np.divide(1.0, values, out=values)
        values[missing] = np.nan


class CudaTransformed(CudaInput):
    """As `CudaInput`, of an input whose frames are transformed before the upload.

    Args:
        inner: What takes its float32 frames.
        transformed: What makes those.
    """

    def __init__(
        self, inner: CudaInput, transformed: Callable[[NDArray[Any]], NDArray[Any]]
    ) -> None:
        self._inner, self._transformed = inner, transformed

    def staged(
        self, frame: NDArray[Any] | CudaArrayView
    ) -> NDArray[Any] | CudaArrayView:
        assert isinstance(frame, np.ndarray), "take lets no other pass"
        return self._inner.staged(self._transformed(frame))

    def pack(self, frame: CudaArrayView, stream: int) -> None:
        self._inner.pack(frame, stream)

    def substitute(self, stream: int) -> None:
        self._inner.substitute(stream)


def refuse_on_gpu(name: str) -> None:
    problem = (
        "must be in the memory of the CPU, where its clip and transform are computed, "
        "got an array on the GPU."
    )
    raise DTypeError.of(Fault("frame", name, problem, "Copy it to a NumPy array."))
