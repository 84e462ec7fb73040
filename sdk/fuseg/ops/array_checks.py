"""Checks of arrays, on the CPU or a GPU, each with the sentence about a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..cuda.array_view import as_view, share_memory
from ..errors import ArgumentError, DTypeError, LayoutError, ShapeError


def require_array(
    name: str,
    array: Any,
    dtype: DTypeLike,
    shape: Sequence[int | str],
    may_be_empty: bool = False,
) -> Any:
    """Refuse ``array`` unless it is dense and has this dtype and this shape.

    In ``shape`` a number asks for exactly that size; a letter names an axis of any
    size, but 0 only if it ``may_be_empty``, and is what the caller reads in the
    message.

    Returns the array to work on: NumPy's, itself or sharing its memory, or
    `array_view.CudaArrayView`.
    """
    return require_one_of(name, array, (dtype,), shape, may_be_empty)


def require_one_of(
    name: str,
    array: Any,
    dtypes: Sequence[DTypeLike],
    shape: Sequence[int | str],
    may_be_empty: bool = False,
) -> Any:
    """Refuse ``array`` unless it is dense and has one of these dtypes."""
    array = _require_elements(name, array, dtypes, shape, may_be_empty)
    if not array.flags.aligned:
        raise LayoutError(
            f"{name} must be aligned to {array.dtype.alignment} bytes, got one that "
            f"begins or steps in between. Copy it: {name}.copy()."
        )
    if not array.flags.c_contiguous:
        raise LayoutError(
            f"{name} must be C-contiguous, got strides {array.strides} for shape "
            f"{array.shape}. Copy it once: np.ascontiguousarray({name})."
        )
    return array


def require_rows(
    name: str, array: Any, dtypes: Sequence[DTypeLike], shape: Sequence[int | str]
) -> Any:
    """Refuse ``array`` unless each of its rows is dense, wherever the rows lie.

    Crops and flips of a larger image pass; they are read where they are, on the CPU at
    any address. Returns the array to work on, as `require_array`.
    """
    array = _require_elements(name, array, dtypes, shape)
    dense = array.itemsize
    side_by_side = isinstance(array, np.ndarray) or array.flags.aligned
    for size, stride in zip(array.shape[:0:-1], array.strides[:0:-1], strict=True):
        side_by_side &= size == 1 or stride == dense
        dense *= size
    if not side_by_side:
        raise LayoutError(
            f"{name} must have the pixels of a row side by side, got strides "
            f"{array.strides} for shape {array.shape}. Copy it once: "
            f"np.ascontiguousarray({name})."
        )
    return array


def require_out(
    name: str, array: Any, dtype: DTypeLike, shape: Sequence[int], **inputs: Any
) -> Any:
    """Refuse ``array`` unless it can be written without touching ``inputs``.

    ``inputs`` went through `require_array`. Returns the array to write.
    """
    given_out = array
    array = require_array(name, array, dtype, shape)
    if not array.flags.writeable:
        if array is given_out:
            raise ArgumentError(f"{name} must be writable, got a read-only array.")
        raise ArgumentError(
            f"{name} must be writable, got {type(given_out).__name__}, which this "
            f"NumPy shares for reading only. Pass a NumPy array: {name}.numpy() is one."
        )
    for other, given in inputs.items():
        if given is not None and share_memory(array, given):
            raise ArgumentError(
                f"{name} must not share memory with {other}. Give it its own buffer: "
                f"np.empty({tuple(shape)}, np.{np.dtype(dtype)})."
            )
    return array


def _require_elements(
    name: str,
    array: Any,
    dtypes: Sequence[DTypeLike],
    shape: Sequence[int | str],
    may_be_empty: bool = False,
) -> Any:
    array = as_view(name, array)
    if array.dtype not in dtypes:
        spelled = " or ".join(str(np.dtype(dtype)) for dtype in dtypes)
        raise DTypeError(f"{name} must be {spelled}, got {array.dtype}.")
    fits = array.ndim == len(shape)
    for want, got in zip(shape, array.shape, strict=False):
        fits &= want == got or isinstance(want, str)
    if not fits:
        spelled = ", ".join(map(str, shape))
        raise ShapeError(f"{name} must have shape ({spelled}), got {array.shape}.")
    if array.size == 0 and not may_be_empty:
        raise ShapeError(f"{name} must not be empty, got shape {array.shape}.")
    return array
