from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import (
    require_choice,
    require_number,
    require_numbers,
    require_size,
    require_whole,
)
from ..cuda.array_view import on_gpu
from ..cuda.launch import launch
from ..errors import ArgumentError, DTypeError, ShapeError
from .array_checks import require_array, require_one_of, require_out

__all__ = ["FuseArgmax", "fuse_argmax"]

_MODES = ("add", "multiply", "max")  # FusionMode of fuse_argmax.h
_MOST_MAPS = 4
_MOST_CLASSES = 65535
_MOST_THREADS = 64
_FLOATS = (np.float32, np.float16)

Weights = Sequence[float | Sequence[float] | NDArray[Any]]
Labels = NDArray[np.uint8] | NDArray[np.uint16]


def fuse_argmax(
    maps: Sequence[NDArray[np.float32] | NDArray[np.float16]],
    *,
    size: tuple[int, int],
    mode: str = "add",
    weights: Weights | None = None,
    valid: Sequence[NDArray[np.uint8] | None] | None = None,
    align_corners: bool = False,
    ignore: int | None = None,
    out: Labels | None = None,
    confidence: NDArray[np.float32] | None = None,
    source: NDArray[np.uint8] | None = None,
    threads: int = 1,
    stream: Any = None,
) -> Labels:
    """Label every pixel from the class scores of several sensors or networks.

    What a bilinear resize of every map, a combination of them class by class and an
    argmax would give, without the resized or the combined scores.

    Args:
        maps: 2 to 4 score maps of the same picture and classes, each ``(C, h, w)``
            with its own ``(h, w)``, float32 or float16, C-contiguous,
            ``2 <= C <= 65535``. Logits, log-probabilities or probabilities for
            ``"add"`` and ``"max"``; probabilities, none negative, for
            ``"multiply"``.
        size: ``(H, W)`` of the labels, in pixels. Larger, equal or smaller than a
            map; smaller samples without antialiasing.
        mode: ``"add"``, the sum of ``weight * score``; ``"multiply"``, the product of
            ``score ** weight``, as a sum of logarithms (a class that any map gives
            0 never wins); or ``"max"``, the largest ``weight * score``.
        weights: One per map: a number, or ``C`` numbers, one per class; 1 if
            omitted. Finite, and not negative unless ``mode`` is ``"add"``. A map does
            not count for a class that it has weight 0 for.
        valid: One per map: None, or a plane ``(h, w)``, uint8, C-contiguous, 0 where
            the sensor has no reading. A map counts at a pixel if all samples that
            are read there are valid; the others are combined as they are, without
            it.
        align_corners: Whether the corner samples sit on the centres of the corner
            pixels, or (the default) the corners of all grids coincide.
        ignore: The label where no map counts. If omitted, the largest of the type:
            255 or 65535.
        out: Buffer for the labels, shape ``(H, W)``, uint8 for ``C <= 255``, above
            that uint16, C-contiguous. It shares no memory with the other arrays;
            nor do the next two. A new one is made if omitted.
        confidence: Buffer for the largest softmax probability of the combined
            scores (``"multiply"``: the largest product, divided by the sum of all),
            shape ``(H, W)``, float32, C-contiguous; 0 where no map counts.
        source: Buffer for the index of the map that contributed most, shape
            ``(H, W)``, uint8, C-contiguous: of the maps that count, the one whose
            own ``weight * score`` (``"multiply"``: ``score ** weight``) of that
            class is largest, the smallest index on a tie; 255 where no map counts.
        threads: How many threads share the work, 1 to 64. The result is the same.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`. There
            ``weights`` that differ by class reach 224 classes.

    Returns:
        Labels in ``[0, C)`` or ``ignore``, shape ``(H, W)``. This is ``out`` itself
        if ``out`` was given. On a tie the smallest class wins. NaN never wins, nor
        does infinity minus infinity; where nothing is above -infinity the label is 0
        and ``source`` 255. A sample of weight 0 is not read.

        The arithmetic is float32: a label may differ from exact arithmetic where the
        two best combined scores are closer than 1e-6 of the sum, over the maps, of
        the largest ``abs(weight * score)`` around (``"multiply"``: of
        ``weight * (1 + abs(log(score)))``). ``confidence`` is within 1e-5 while that
        sum stays below 30, and NaN where a combined score is NaN or +infinity or all
        are -infinity.

    Raises:
        ShapeError: A map is not ``(C, h, w)``, is empty or has other classes than the
            first, there are fewer than 2 classes or more than 65535, or a plane or
            buffer is not of its shape.
        LayoutError: An array is a strided view.
        DTypeError: An array is not of the type above, or ``maps`` is no sequence.
        ArgumentError: There are not 2 to 4 maps, a number or word is not one of those
            above, or a buffer is read-only or shares memory with another array.

    Example:
        >>> camera = np.array([[[3.0, 0.0]], [[1.0, 1.0]]], dtype=np.float32)
        >>> radar = np.array([[[0.0]], [[1.2]]], dtype=np.float16)
        >>> source = np.empty((1, 4), np.uint8)
        >>> fuse_argmax([camera, radar], size=(1, 4), source=source)
        array([[0, 0, 1, 1]], dtype=uint8)
        >>> source
        array([[0, 0, 1, 1]], dtype=uint8)

    Source:
        Definition: ``torch.nn.functional.interpolate(mode="bilinear")`` of every map
        in float64, then the formula above, then ``argmax(0)``.
    """
    maps = _listed("maps", maps)
    if not 2 <= len(maps) <= _MOST_MAPS:
        raise ArgumentError(f"maps must be 2 to {_MOST_MAPS} arrays, got {len(maps)}.")
    for i, scores in enumerate(maps):
        maps[i] = require_one_of(f"maps[{i}]", scores, _FLOATS, ("C", "h", "w"))
    classes = maps[0].shape[0]
    if not 2 <= classes <= _MOST_CLASSES:
        raise ShapeError(
            f"maps must have 2 to {_MOST_CLASSES} classes, got {classes}: with one "
            "there is nothing to choose."
        )
    label = FuseArgmax(
        classes,
        [scores.shape[1:] for scores in maps],
        size=size,
        mode=mode,
        weights=weights,
        align_corners=align_corners,
        ignore=ignore,
        threads=threads,
    )
    return label(
        maps,
        valid=valid,
        out=out,
        confidence=confidence,
        source=source,
        stream=stream,
    )


class FuseArgmax:
    """`fuse_argmax` for a frame loop: settings are checked and scratch is made once.

    One object serves one caller at a time.

    Args:
        classes: How many classes the maps score, 2 to 65535.
        grids: ``(h, w)`` of every map, 2 to 4 of them.
        size, mode, weights, align_corners, ignore, threads: See `fuse_argmax`.

    Attributes:
        size: ``(H, W)`` of the labels.
        dtype: Type of the labels.

    Raises:
        ArgumentError: As `fuse_argmax`, and if ``classes`` is out of range.

    Example:
        >>> label = FuseArgmax(2, [(1, 2), (1, 1)], size=(1, 4), mode="max")
        >>> camera = np.array([[[3.0, 0.0]], [[1.0, 1.0]]], dtype=np.float32)
        >>> radar = np.array([[[0.0]], [[1.2]]], dtype=np.float32)
        >>> label([camera, radar])
        array([[0, 0, 1, 1]], dtype=uint8)
    """

    def __init__(
        self,
        classes: int,
        grids: Sequence[tuple[int, int]],
        *,
        size: tuple[int, int],
        mode: str = "add",
        weights: Weights | None = None,
        align_corners: bool = False,
        ignore: int | None = None,
        threads: int = 1,
    ) -> None:
        classes = require_whole("classes", classes, 2, _MOST_CLASSES)
        grids = [require_size("every grid", grid) for grid in _listed("grids", grids)]
        if not 2 <= len(grids) <= _MOST_MAPS:
            raise ArgumentError(
                f"grids must be 2 to {_MOST_MAPS} sizes, got {len(grids)}."
            )
        self.size = require_size("size", size)
        require_choice("mode", mode, _MODES)
        self.dtype = np.dtype(np.uint8 if classes <= 255 else np.uint16)
        most = np.iinfo(self.dtype).max
        ignore = most if ignore is None else require_whole("ignore", ignore, 0, most)
        self._shapes = [(classes, *grid) for grid in grids]
        self._no_planes = [None] * len(grids)
        table = _weights_of(weights, mode, len(grids), classes)
        try:
            self._kernel = _kernels.FuseArgmax(
                classes=classes,
                grids=grids,
                size=self.size,
                mode=_MODES.index(mode),
                align_corners=bool(align_corners),
                weights=table,
                ignore=ignore,
                threads=require_whole("threads", threads, 1, _MOST_THREADS),
            )
        except MemoryError as err:
            raise ShapeError(
                "grids and size must be such that their tables fit the memory of this "
                f"machine, got {grids} and {self.size}."
            ) from err

    def __call__(
        self,
        maps: Sequence[NDArray[np.float32] | NDArray[np.float16]],
        *,
        valid: Sequence[NDArray[np.uint8] | None] | None = None,
        out: Labels | None = None,
        confidence: NDArray[np.float32] | None = None,
        source: NDArray[np.uint8] | None = None,
        stream: Any = None,
    ) -> Labels:
        """Label one frame; see `fuse_argmax`."""
        maps = self._one_per_map("maps", maps)
        planes = list(self._no_planes)
        if valid is not None:
            planes = self._one_per_map("valid", valid)
        results = (out, confidence, source)
        if stream is None and self._kernel.run(*maps, *planes, *results):
            return out  # type: ignore[return-value]  # the kernel takes no None
        given: dict[str, Any] = {}
        for i, (scores, plane, shape) in enumerate(
            zip(maps, planes, self._shapes, strict=True)
        ):
            name = f"maps[{i}]"
            given[name] = maps[i] = require_one_of(name, scores, _FLOATS, shape)
            if plane is not None:
                name = f"valid[{i}]"
                given[name] = planes[i] = require_array(
                    name, plane, np.uint8, shape[1:]
                )
        gpu = on_gpu(out, stream, **given, confidence=confidence, source=source)
        if out is None:
            out = np.empty(self.size, self.dtype)
        target = require_out("out", out, self.dtype, self.size, **given)
        given["out"] = target
        if confidence is not None:
            confidence = require_out(
                "confidence", confidence, np.float32, self.size, **given
            )
            given["confidence"] = confidence
        if source is not None:
            source = require_out("source", source, np.uint8, self.size, **given)
        arrays = (*maps, *planes, target, confidence, source)
        if gpu:
            launch(self._kernel, *arrays, stream=stream)
        else:
            ran = self._kernel.run(*arrays)
            assert ran, "the kernel refuses what the checks above let pass"
        return out

    def _one_per_map(self, name: str, values: Any) -> list[Any]:
        listed = _listed(name, values)
        if len(listed) != len(self._shapes):
            raise ArgumentError(
                f"{name} must be {len(self._shapes)}, one per map, got {len(listed)}."
            )
        return listed


def _listed(name: str, values: Iterable[Any]) -> list[Any]:
    try:
        return list(values)
    except TypeError:
        raise DTypeError(
            f"{name} must be a sequence, one of each map, got {type(values).__name__}."
        ) from None


def _weights_of(
    weights: Any, mode: str, maps: int, classes: int
) -> NDArray[np.float32]:
    """Read ``weights`` as (maps, classes) numbers."""
    table = np.ones((maps, classes), np.float32)
    if weights is None:
        return table
    listed = _listed("weights", weights)
    if len(listed) != maps:
        raise ArgumentError(f"weights must be {maps}, one per map, got {len(listed)}.")
    for i, weight in enumerate(listed):
        name = f"weights[{i}]"
        if isinstance(weight, Real):
            table[i] = require_number(name, weight)
        else:
            table[i] = require_numbers(name, weight, classes)
    if mode != "add" and (table < 0).any():
        raise ArgumentError(
            f"weights must not be negative where mode is {mode!r}, got {weights!r}."
        )
    return table
