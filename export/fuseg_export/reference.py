"""The definition of right: frames -> tensors, scores -> labels and confidence.

In float64, without any code of the kernels, and slow: kernels, exports and the demo are
judged by it. What labels many frames uses the kernel, `fuseg.ops.upsample_argmax`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import DepthInput, ImageInput, PlaneInput, input_shapes

__all__ = [
    "at_size",
    "compared",
    "confidence",
    "labels",
    "picture",
    "preprocess",
    "threshold",
    "upsample",
    "with_background",
]

Crop = tuple[int, int, int, int]  # (top, left, height, width) of the network's input


def preprocess(
    inputs: Sequence[ImageInput], frames: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float64]]:
    """Frames at the camera's size -> the network's tensors, ``(1, C, h, w)``.

    ``(v * scale - mean) / std`` of the resized frame, whose values were scaled, clipped
    and transformed before, where the input says so; ``fill`` where a depth-like frame
    has no reading, and around a letterboxed picture. ``bilinear``: half-pixel centres,
    no antialiasing, edges clamped; of a depth-like frame the readings alone, their
    weights made to sum to 1 again; what leaves float32 is no reading.
    ``bilinear-antialias``: a triangle as wide as the shrinking asks for. ``nearest``:
    ``floor(i * in / out)``; ``nearest-exact``: ``floor((i + 1/2) * in / out)``.
    """
    tensors = {n: np.full(s, np.nan) for n, s in input_shapes(inputs).items()}
    for spec in inputs:
        tensor = tensors[spec.tensor]
        top, left, height, width = picture(spec, frames[spec.name].shape[:2])
        planes = tensor[0, spec.channel : spec.channel + spec.planes]
        planes[...] = spec.fill
        planes[:, top : top + height, left : left + width] = _planes(
            spec, frames[spec.name], (height, width)
        )
    return tensors


def picture(spec: ImageInput, camera: tuple[int, int]) -> Crop:
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


def upsample(
    scores: NDArray[Any],
    size: tuple[int, int],
    *,
    align_corners: bool = False,
    crop: Crop | None = None,
    input_size: tuple[int, int] | None = None,
) -> NDArray[np.float64]:
    """Scores ``(C, h, w)`` interpolated bilinearly, ``(C, H, W)``; edges are clamped.

    Args:
        scores: On the network's grid.
        size: ``(H, W)`` of the result.
        align_corners: Whether corner samples lie on the centres of corner pixels; if
            not, the corners of both grids coincide.
        crop: The part of the network's input that the result covers, in its pixels:
            `picture` of a letterbox. All of it if omitted.
        input_size: ``(height, width)`` of the network's input; given with ``crop``.
    """
    resized = scores.astype(np.float64)
    for axis, n in enumerate(size):
        samples = scores.shape[axis + 1]
        if crop is None or input_size is None:
            at = _positions(samples, n, align_corners)
        else:
            first, extent, whole = crop[axis], crop[axis + 2], input_size[axis]
            pixel = first + (np.arange(n) + 0.5) * extent / n - 0.5
            if align_corners:
                at = pixel * (samples - 1) / max(whole - 1, 1)
            else:
                at = (pixel + 0.5) * samples / whole - 0.5
        resized = _interpolate(resized, axis + 1, at)
    return resized


def labels(scores: NDArray[Any], *, threshold: float = 0.0) -> NDArray[np.uint8]:
    """The best class of each pixel, uint8 ``(H, W)``, of scores ``(C, H, W)``.

    The smallest class wins a tie; NaN never wins; without a score above -infinity the
    label is 0. Of a single class the label is 1 where the score is above ``threshold``.
    """
    if len(scores) == 1:
        return np.asarray(scores[0] > threshold, np.uint8)
    numbers = np.where(np.isnan(scores), -np.inf, scores)
    return np.asarray(numbers.argmax(0), np.uint8)


def with_background(scores: NDArray[Any], score: float) -> NDArray[Any]:
    """Scores ``(C, H, W)`` behind those of an implied first class: one number."""
    first = np.full_like(scores[:1], score, shape=(1, *scores.shape[1:]))
    return np.concatenate([first, scores])


def compared(
    features: NDArray[Any], vectors: NDArray[Any], *, normalize: str
) -> NDArray[np.float64]:
    """Scores ``(texts, H, W)`` of features ``(D, H, W)`` and vectors ``(texts, D)``.

    Their dot products; with ``l2`` after both are divided by their lengths, where 0
    stays 0.
    """
    features, vectors = features.astype(np.float64), vectors.astype(np.float64)
    if normalize == "l2":
        features, vectors = _of_length_1(features, 0), _of_length_1(vectors, 1)
    return np.asarray(np.einsum("pd,dhw->phw", vectors, features))


def _of_length_1(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    lengths = np.sqrt((values**2).sum(axis, keepdims=True))
    return values / np.where(lengths == 0, 1, lengths)


def confidence(scores: NDArray[Any]) -> NDArray[np.float64]:
    """The largest softmax probability of each pixel, of logits ``(C, H, W)``.

    Of a single class that of its sigmoid or of the other side. NaN where a score is NaN
    or +infinity, or all are -infinity.
    """
    logits = scores.astype(np.float64)
    if len(logits) == 1:
        logits = np.concatenate([np.zeros_like(logits), logits])
    with np.errstate(invalid="ignore"):
        powers = np.exp(logits - logits.max(0))
        return np.asarray(1 / powers.sum(0))


def threshold(removed: Collection[str]) -> float:
    """What a single class's score is compared with, in the network's own scores.

    Args:
        removed: The operators cut off the network's end: `fuseg.manifest.Tail.removed`.
    """
    return 0.5 if "Sigmoid" in removed else 0.0


def _planes(
    spec: ImageInput, frame: NDArray[Any], size: tuple[int, int]
) -> NDArray[np.float64]:
    values = frame.astype(np.float64)
    filter = spec.resize.filter
    if spec.kind == "color":
        resized = np.moveaxis(_resize(values, size, filter), -1, 0)
        mean, std = (np.array(v)[:, None, None] for v in (spec.mean, spec.std))
        return np.asarray((resized * spec.scale - mean) / std)
    planes = np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0)
    if len(planes) < spec.planes:  # each channel is made from all of the frame
        planes = np.repeat(planes, spec.planes, 0)
    numbers = zip(planes, spec.mean, spec.std, strict=True)
    return np.stack([_plane(spec, *each, size=size) for each in numbers])


def _plane(
    spec: DepthInput | PlaneInput,
    raw: NDArray[np.float64],
    mean: float,
    std: float,
    *,
    size: tuple[int, int],
) -> NDArray[np.float64]:
    filter = spec.resize.filter
    valid = ~np.isin(raw, spec.invalid) & np.isfinite(raw)
    values = np.where(valid, raw, 0) * spec.scale
    if spec.clip is not None:
        values = np.minimum(np.maximum(values, spec.clip[0]), spec.clip[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        if spec.transform == "log":
            values = np.log(values)
        elif spec.transform == "inverse":
            values = 1 / values
        elif spec.transform == "min-max" and valid.any():
            least, most = np.percentile(values[valid], spec.percentiles or (0, 100))
            values = np.minimum(np.maximum(values, least), most)
            values = (values - least) / (most - least if most > least else 1)
    valid &= np.isfinite(values)
    values = (np.where(valid, values, 0) - mean) / std
    valid &= np.abs(values) <= np.finfo(np.float32).max  # "no return" of some drivers
    share = _resize(valid.astype(np.float64), size, filter)
    total = _resize(np.where(valid, values, 0), size, filter)
    blended = np.divide(total, share, out=np.zeros(size), where=share > 0)
    return np.where(share > 0, blended, spec.fill)


def _resize(
    image: NDArray[np.float64], size: tuple[int, int], filter: str
) -> NDArray[np.float64]:
    for axis, n in enumerate(size):
        count = image.shape[axis]
        if filter.startswith("nearest"):
            image = np.take(image, _nearest(count, n, filter), axis)
        elif filter == "bilinear":
            image = _interpolate(image, axis, _positions(count, n))
        else:
            image = np.moveaxis(
                np.tensordot(_triangles(count, n), image, (1, axis)), 0, axis
            )
    return image


def _positions(
    samples: int, n: int, align_corners: bool = False
) -> NDArray[np.float64]:
    """Where each of ``n`` pixels lies among samples, in samples, before clamping."""
    if align_corners:
        return np.arange(n) * (samples - 1) / max(n - 1, 1)
    return (np.arange(n) + 0.5) * samples / n - 0.5


def _interpolate(
    image: NDArray[np.float64], axis: int, at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear between the two samples around each position; weight 0 reads nothing."""
    count = image.shape[axis]
    at = np.clip(at, 0, count - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, count - 1)
    weight = (at - low).reshape(-1, *[1] * (image.ndim - 1 - axis))
    first, second = np.take(image, low, axis), np.take(image, high, axis)
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN
        between = first * (1 - weight) + second * weight
    return np.where(weight == 0, first, between)


def _nearest(count: int, n: int, filter: str) -> NDArray[np.int64]:
    shift = 1 if filter == "nearest-exact" else 0
    return np.array([(2 * i + shift) * count // (2 * n) for i in range(n)])


def _triangles(count: int, n: int) -> NDArray[np.float64]:
    """What each of ``n`` samples takes of ``count`` others: (n, count)."""
    at = (np.arange(n)[:, None] + 0.5) * count / n - 0.5
    triangles = np.maximum(0, 1 - np.abs(np.arange(count) - at) / max(1.0, count / n))
    return np.asarray(triangles / triangles.sum(1, keepdims=True))
