"""What the manifest's words mean, in float64 and sharing no code with the kernels.

Slow on purpose: this is what kernels, exports and the demo are judged by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import Input

__all__ = ["at_size", "preprocess"]


def preprocess(
    inputs: Sequence[Input], frames: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """Frames at the camera's size -> the network's tensors, ``(1, C, h, w)``.

    ``(v * scale - mean) / std`` of the resized frame, ``fill`` where a depth-like frame
    has no reading. ``bilinear``: half-pixel centres, no antialiasing, edges clamped.
    ``nearest``: ``floor(i * in / out)``; ``nearest-exact``: ``floor((i + 1/2) * in /
    out)``.
    """
    tensors: dict[str, NDArray[np.float64]] = {}
    for spec in inputs:
        tensor = tensors.setdefault(
            spec.tensor.name, np.full(spec.tensor.shape, np.nan)
        )
        planes = _planes(spec, frames[spec.name])
        tensor[0, spec.tensor.channel : spec.tensor.channel + len(planes)] = planes
    return tensors


def at_size(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The label at the centre of each pixel of a map ``(h, w)`` that is not larger."""
    rows, cols = (
        (2 * np.arange(n) + 1) * count // (2 * n)
        for count, n in zip(labels.shape, size, strict=True)
    )
    return labels[np.ix_(rows, cols)]


def _planes(spec: Input, frame: NDArray[Any]) -> NDArray[np.float64]:
    size = (spec.resize.height, spec.resize.width)
    values = frame.astype(np.float64)
    if spec.kind == "color":
        resized = np.moveaxis(_resize(values, size, spec.resize.filter), -1, 0)
        mean, std = (np.array(v)[:, None, None] for v in (spec.mean, spec.std))
        return np.asarray((resized * spec.scale - mean) / std)
    missing = np.isin(frame, spec.invalid) | ~np.isfinite(values)
    values = (values * spec.scale - spec.mean[0]) / spec.std[0]
    rows, cols = (
        _nearest(count, n, spec.resize.filter)
        for count, n in zip(frame.shape, size, strict=True)
    )
    grid = np.ix_(rows, cols)
    return np.where(missing[grid], spec.fill, values[grid])[None]


def _resize(
    image: NDArray[np.float64], size: tuple[int, int], filter: str
) -> NDArray[np.float64]:
    if filter != "bilinear":
        rows, cols = (
            _nearest(count, n, filter)
            for count, n in zip(image.shape[:2], size, strict=True)
        )
        return image[np.ix_(rows, cols)]
    for axis, n in enumerate(size):
        count = image.shape[axis]
        at = np.clip((np.arange(n) + 0.5) * count / n - 0.5, 0, count - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, count - 1)
        weight = (at - low).reshape(-1, *[1] * (image.ndim - 1 - axis))
        image = np.take(image, low, axis) * (1 - weight) + (
            np.take(image, high, axis) * weight
        )
    return image


def _nearest(count: int, n: int, filter: str) -> NDArray[np.int64]:
    shift = 1 if filter == "nearest-exact" else 0
    return np.array([(2 * i + shift) * count // (2 * n) for i in range(n)])
