"""What the manifest's words mean, in float64 and sharing no code with the kernels.

Slow on purpose: this is what kernels, exports and the demo are judged by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import Input

__all__ = ["at_size", "picture", "preprocess"]


def preprocess(
    inputs: Sequence[Input], frames: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """Frames at the camera's size -> the network's tensors, ``(1, C, h, w)``.

    ``(v * scale - mean) / std`` of the resized frame; ``fill`` where a depth-like frame
    has no reading, and around a letterboxed picture. ``bilinear``: half-pixel centres,
    no antialiasing, edges clamped; of a depth-like frame the readings alone, their
    weights made to sum to 1 again; what leaves float32 is no reading.
    ``bilinear-antialias``: a triangle as wide as the shrinking asks for. ``nearest``:
    ``floor(i * in / out)``; ``nearest-exact``: ``floor((i + 1/2) * in / out)``.
    """
    tensors: dict[str, NDArray[np.float64]] = {}
    for spec in inputs:
        tensor = tensors.setdefault(
            spec.tensor.name, np.full(spec.tensor.shape, np.nan)
        )
        top, left, height, width = picture(spec, frames[spec.name].shape[:2])
        planes = tensor[0, spec.tensor.channel : spec.tensor.channel + spec.planes]
        planes[...] = spec.fill
        planes[:, top : top + height, left : left + width] = _planes(
            spec, frames[spec.name], (height, width)
        )
    return tensors


def picture(spec: Input, camera: tuple[int, int]) -> tuple[int, int, int, int]:
    """Where the frame lies in the input's planes: (top, left, height, width).

    A letterboxed frame keeps its aspect, to the nearest pixel (half up, at least 1),
    and is centred, with the odd pixel of padding at the bottom or the right.
    """
    height, width = spec.resize.height, spec.resize.width
    if spec.resize.fit == "stretch":
        return 0, 0, height, width
    h, w = camera
    if height * w <= width * h:
        fitted = height, max(1, (2 * w * height + h) // (2 * h))
    else:
        fitted = max(1, (2 * h * width + w) // (2 * w)), width
    return (height - fitted[0]) // 2, (width - fitted[1]) // 2, *fitted


def at_size(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """The label at the centre of each pixel of a map ``(h, w)`` that is not larger."""
    rows, cols = (
        (2 * np.arange(n) + 1) * count // (2 * n)
        for count, n in zip(labels.shape, size, strict=True)
    )
    return labels[np.ix_(rows, cols)]


def _planes(
    spec: Input, frame: NDArray[Any], size: tuple[int, int]
) -> NDArray[np.float64]:
    values = frame.astype(np.float64)
    filter = spec.resize.filter
    if spec.kind == "color":
        resized = np.moveaxis(_resize(values, size, filter), -1, 0)
        mean, std = (np.array(v)[:, None, None] for v in (spec.mean, spec.std))
        return np.asarray((resized * spec.scale - mean) / std)
    valid = ~np.isin(frame, spec.invalid) & np.isfinite(values)
    values = (np.where(valid, values, 0) * spec.scale - spec.mean[0]) / spec.std[0]
    valid &= np.abs(values) <= np.finfo(np.float32).max  # "no return" of some drivers
    share = _resize(valid.astype(np.float64), size, filter)
    total = _resize(np.where(valid, values, 0), size, filter)
    blended = np.divide(total, share, out=np.zeros(size), where=share > 0)
    return np.where(share > 0, blended, spec.fill)[None]


def _resize(
    image: NDArray[np.float64], size: tuple[int, int], filter: str
) -> NDArray[np.float64]:
    for axis, n in enumerate(size):
        count = image.shape[axis]
        if filter.startswith("nearest"):
            image = np.take(image, _nearest(count, n, filter), axis)
        elif filter == "bilinear":
            at = np.clip((np.arange(n) + 0.5) * count / n - 0.5, 0, count - 1)
            low = np.floor(at).astype(int)
            high = np.minimum(low + 1, count - 1)
            weight = (at - low).reshape(-1, *[1] * (image.ndim - 1 - axis))
            image = np.take(image, low, axis) * (1 - weight) + (
                np.take(image, high, axis) * weight
            )
        else:
            image = np.moveaxis(
                np.tensordot(_triangles(count, n), image, (1, axis)), 0, axis
            )
    return image


def _nearest(count: int, n: int, filter: str) -> NDArray[np.int64]:
    shift = 1 if filter == "nearest-exact" else 0
    return np.array([(2 * i + shift) * count // (2 * n) for i in range(n)])


def _triangles(count: int, n: int) -> NDArray[np.float64]:
    """What each of ``n`` samples takes of ``count`` others: (n, count)."""
    at = (np.arange(n)[:, None] + 0.5) * count / n - 0.5
    triangles = np.maximum(0, 1 - np.abs(np.arange(count) - at) / max(1.0, count / n))
    return np.asarray(triangles / triangles.sum(1, keepdims=True))
