from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _kernels
from .._check import (
    require_box,
    require_choice,
    require_dtype,
    require_size,
    require_whole,
)
from ..cuda.array_view import as_view, on_gpu
from ..cuda.launch import launch
from ..errors import ArgumentError, ShapeError
from .affine_axis import affine_axis
from .array_checks import require_one_of, require_out
from .layouts import hwc8_shape, require_16_byte_alignment

__all__ = ["UpsampleArgmax", "upsample_argmax"]

_MOST_CLASSES = 65535
_MOST_SAMPLES = 1 << 40
_MOST_IN_A_BYTE = 255  # 255 stays free for pixels without a label
_MOST_THREADS = 64
_MOST_IMAGES_ON_GPU = 65535  # of the third axis of a launch
_FLOATS = (np.float32, np.float16)
_LAYOUTS = ("linear", "hwc8")

Scores = NDArray[np.float32] | NDArray[np.float16]
Labels = NDArray[np.uint8] | NDArray[np.uint16]


def upsample_argmax(
    scores: Scores,
    *,
    size: tuple[int, int],
    align_corners: bool = False,
    crop: tuple[int, int, int, int] | None = None,
    input_size: tuple[int, int] | None = None,
    layout: str = "linear",
    classes: int | None = None,
    out: Labels | None = None,
    confidence: NDArray[np.float32] | None = None,
    threads: int = 1,
    stream: Any = None,
) -> Labels:
    """Label every pixel of the camera's image from scores on the network's grid.

    What a bilinear resize of every class and an argmax over them would give,
    without the resized scores. Where the samples around some pixels agree on the
    class, so does everything between them, and nothing is interpolated.

    Args:
        scores: Class scores, shape ``(C, h, w)`` or ``(N, C, h, w)``, float32 or
            float16, C-contiguous, ``1 <= C <= 65535``. Logits or log-probabilities;
            probabilities too, but not for ``confidence``. With ``C = 1`` the score
            is of class 1 against a class 0 that scores 0: the label is 1 where the
            score is above 0.
        size: ``(H, W)`` of the labels, in pixels. Larger, equal or smaller; equal
            is a plain argmax, smaller samples without antialiasing.
        align_corners: Whether the corner samples sit on the centres of the corner
            pixels, or (the default) the corners of both grids coincide.
        crop: ``(top, left, height, width)`` of the part of the network's input
            picture that is labelled, in its pixels: `Placement.picture` of a
            letterbox. The labels cover it, corners on corners. All of it if
            omitted.
        input_size: ``(h, w)`` of the network's input picture, in pixels, which the
            grid of scores covers. Given with ``crop``, and only then.
        layout: ``"linear"``, or for float16 ``"hwc8"``, as TensorRT likes its outputs:
            ``scores`` of one image, shape ``(h, w, P)``, with ``P`` the number of
            classes rounded up to a multiple of 8. What is beyond the classes does not
            count. On the GPU they begin at a multiple of 16 bytes.
        classes: ``C``, for ``"hwc8"``, which does not show it.
        out: Buffer for the labels, shape ``(H, W)`` or ``(N, H, W)``, C-contiguous,
            not sharing memory with ``scores``. A new one is made if omitted.
        confidence: Buffer for the largest softmax probability at every pixel, shape
            of the labels, float32, C-contiguous. It costs more than the labels,
            and does not change them.
        threads: Threads to work with, 1 to 64. They do not change the result.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`.

    Returns:
        Labels in ``[0, C)`` (``[0, 1]`` for ``C = 1``), shape ``(H, W)`` or
        ``(N, H, W)``; uint8 for up to 255 classes, uint16 above. This is ``out``
        itself if ``out`` was given. On a tie the smallest class wins. NaN never
        wins, nor does infinity minus infinity; where nothing is above -infinity
        the label is 0. A sample of weight 0 is not read.

        The arithmetic is float32: a label may differ from exact arithmetic where
        the two best scores are closer than 1e-6 of the largest sample around, but
        not where the four samples around agree on the class. ``confidence`` is within
        1e-5 while scores stay within 30 of 0, and NaN where a score is NaN or
        +infinity or all are -infinity.

    Raises:
        ShapeError: ``scores`` is not ``(C, h, w)`` or ``(N, C, h, w)``, or for
            ``"hwc8"`` ``(h, w, P)``, is empty or has more than 65535 classes, or on
            the GPU more than 65535 images, or a buffer has another shape than the
            labels.
        LayoutError: ``scores`` or a buffer is a strided view, or ``scores`` does not
            begin where ``"hwc8"`` has to on the GPU.
        DTypeError: An array is not of the type above.
        ArgumentError: ``size`` or ``input_size`` is not two numbers above 0,
            ``crop`` is not a part of ``input_size`` or one of the two is missing,
            ``threads`` is out of range, ``layout`` is none of the two, ``classes`` is
            missing or out of range or was given for ``"linear"``, or a buffer is
            read-only or shares memory with another array.

    Example:
        >>> scores = np.array([[[0.0, 0.0]], [[-1.0, 1.5]]], dtype=np.float32)
        >>> upsample_argmax(scores, size=(2, 8))
        array([[0, 0, 0, 0, 1, 1, 1, 1],
               [0, 0, 0, 0, 1, 1, 1, 1]], dtype=uint8)

        The right half of the network's input, 2 x 8 pixels:

        >>> upsample_argmax(scores, size=(1, 4), crop=(0, 4, 2, 4), input_size=(2, 8))
        array([[1, 1, 1, 1]], dtype=uint8)

    Source:
        Definition: ``torch.nn.functional.interpolate(mode="bilinear")`` in float64,
        then ``argmax(0)``. Pixel ``i`` of ``H`` lies at
        ``top + (i + 1/2) * height / H - 1/2`` of the input, and position ``p`` of
        ``h_in`` there at ``(p + 1/2) * h / h_in - 1/2`` of the grid, or with
        ``align_corners`` at ``p * (h - 1) / (h_in - 1)``.
    """
    scores = as_view("scores", scores)
    require_choice("layout", layout, _LAYOUTS)
    if layout == "hwc8":
        scores = require_one_of("scores", scores, (np.float16,), ("h", "w", "P"))
        classes = require_whole("classes", classes, 1, _MOST_CLASSES)
        shape = (classes, *scores.shape[:2])
    else:
        dims = ("N", "C", "h", "w") if scores.ndim == 4 else ("C", "h", "w")
        scores = require_one_of("scores", scores, _FLOATS, dims)
        shape = scores.shape
        if classes is not None:
            raise ArgumentError(
                f"classes must be omitted unless layout is 'hwc8', got {classes!r}: "
                "linear scores have it in their shape."
            )
    label = UpsampleArgmax(
        shape,
        scores.dtype,
        size=size,
        align_corners=align_corners,
        crop=crop,
        input_size=input_size,
        layout=layout,
        threads=threads,
    )
    return label(scores, out=out, confidence=confidence, stream=stream)


class UpsampleArgmax:
    """`upsample_argmax` for a frame loop.

    Settings are checked, tables laid and scratch memory taken once. One object serves
    one caller at a time.

    Args:
        shape: ``(C, h, w)`` or ``(N, C, h, w)`` of the scores; the former too where
            ``layout`` lays them out as ``(h, w, P)``.
        dtype: Type of the scores, float32 or float16.
        size, align_corners, crop, input_size, layout, threads: See `upsample_argmax`.

    Attributes:
        shape: Shape of the labels, ``(H, W)`` or ``(N, H, W)``.
        dtype: Type of the labels, uint8 or uint16.

    Raises:
        ShapeError, DTypeError, ArgumentError: As `upsample_argmax`.

    Example:
        >>> label = UpsampleArgmax((2, 1, 2), np.float32, size=(1, 4))
        >>> label(np.array([[[0.0, 0.0]], [[-1.0, 1.5]]], dtype=np.float32))
        array([[0, 0, 1, 1]], dtype=uint8)
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: DTypeLike,
        *,
        size: tuple[int, int],
        align_corners: bool = False,
        crop: tuple[int, int, int, int] | None = None,
        input_size: tuple[int, int] | None = None,
        layout: str = "linear",
        threads: int = 1,
    ) -> None:
        given = _require_shape(shape)
        self._scores_dtype = require_dtype("dtype", dtype, _FLOATS)
        classes, height, width = given[-3:]
        require_choice("layout", layout, _LAYOUTS)
        self._scores, self._pitch = given, 0
        if layout == "hwc8":
            self._scores = hwc8_shape(given, self._scores_dtype)
            self._pitch = self._scores[-1]
        size = require_size("size", size)
        if (crop is None) != (input_size is None):
            raise ArgumentError(
                f"crop and input_size must be given together, got {crop!r} and "
                f"{input_size!r}."
            )
        whole: Sequence[int | None] = (None, None)
        sides: Sequence[tuple[int, int] | None] = (None, None)
        if crop is not None:
            whole = require_size("input_size", input_size)
            top, left, crop_height, crop_width = require_box("crop", crop, whole)
            sides = (top, crop_height), (left, crop_width)
        rows, columns = (
            affine_axis(
                *(samples, pixels),
                align_corners=bool(align_corners),
                crop=side,
                whole=along,
            )
            for samples, pixels, side, along in zip(
                (height, width), size, sides, whole, strict=True
            )
        )
        threads = require_whole("threads", threads, 1, _MOST_THREADS)
        self.shape = (*given[:-3], *size)
        self.dtype = np.dtype(np.uint8 if classes <= _MOST_IN_A_BYTE else np.uint16)
        try:
            self._kernel = _kernels.UpsampleArgmax(
                shape=given,
                dtype=self._scores_dtype,
                size=size,
                rows=rows,
                columns=columns,
                pitch=self._pitch,
                threads=threads,
            )
        except MemoryError as err:
            raise ShapeError(
                f"shape and size must be of scores whose tables fit the memory of this "
                f"machine, got {given} and {size}."
            ) from err

    def __call__(
        self,
        scores: Scores,
        *,
        out: Labels | None = None,
        confidence: NDArray[np.float32] | None = None,
        nan_samples: NDArray[np.int32] | None = None,
        stream: Any = None,
    ) -> Labels:
        """Label one frame, or one batch; see `upsample_argmax`.

        Args:
            nan_samples: Buffer for one number, shape ``(1,)``, int32: how many samples
                of the grid have no softmax, because a score is NaN or +infinity or all
                are -infinity. Labels and confidence near them mean nothing. Samples
                that no label needs may be left out.
        """
        if stream is None and self._kernel.run(scores, out, confidence, nan_samples):
            return out  # type: ignore[return-value]  # the kernel takes no None
        scores = require_one_of("scores", scores, (self._scores_dtype,), self._scores)
        more = {"confidence": confidence, "nan_samples": nan_samples}
        gpu = on_gpu(out, stream, scores=scores, **more)
        if out is None:
            out = np.empty(self.shape, self.dtype)
        target = require_out("out", out, self.dtype, self.shape, scores=scores)
        if confidence is not None:
            inputs = {"scores": scores, "out": target}
            confidence = require_out(
                "confidence", confidence, np.float32, self.shape, **inputs
            )
        if nan_samples is not None:
            inputs = {"scores": scores, "out": target, "confidence": confidence}
            nan_samples = require_out(
                "nan_samples", nan_samples, np.int32, (1,), **inputs
            )
        arrays = (scores, target, confidence, nan_samples)
        if gpu:
            if len(self.shape) == 3 and self.shape[0] > _MOST_IMAGES_ON_GPU:
                raise ShapeError(
                    f"scores must be of at most {_MOST_IMAGES_ON_GPU} images on the "
                    f"GPU, got {self.shape[0]}: label them in several calls."
                )
            if self._pitch:
                require_16_byte_alignment(scores)
            launch(self._kernel, *arrays, stream=stream)
        else:
            ran = self._kernel.run(*arrays)
            assert ran, "the kernel refuses what the checks above let pass"
        return out


def _require_shape(shape: Any) -> tuple[int, ...]:
    """Read the shape of the scores."""
    try:
        sizes = tuple(operator.index(n) for n in shape)
    except (TypeError, ValueError):
        sizes = ()
    if len(sizes) not in (3, 4) or min(sizes) < 1:
        raise ShapeError(
            f"shape must be (C, h, w) or (N, C, h, w), each above 0, got {shape!r}."
        )
    if sizes[-3] > _MOST_CLASSES:
        raise ShapeError(
            f"scores must have 1 to {_MOST_CLASSES} classes, got {sizes[-3]}: a label "
            "is at most two bytes."
        )
    if math.prod(sizes) > _MOST_SAMPLES:
        raise ShapeError(
            f"shape must be of at most {_MOST_SAMPLES} scores, got {shape!r}."
        )
    return sizes
