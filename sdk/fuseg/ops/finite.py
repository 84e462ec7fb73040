"""Which raw readings stay finite when they are normalised."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._check import FLOAT32_MAX, require_number
from ..errors import ArgumentError

__all__ = ["readings_between"]

_MOST_BLENDED = 2.0**126  # four of them cannot add up to infinity


def readings_between(
    frame_dtype: np.dtype[Any],
    dtype: np.dtype[Any],
    multiply: float,
    add: float,
    *,
    blends: bool,
    valid_range: tuple[float, float] | None,
) -> tuple[float, float]:
    """Readings lie between these two, which are none: their results are finite."""
    factor, offset = np.float32(multiply), np.float32(add)
    result = np.dtype(np.float16) if dtype == np.float16 else np.dtype(np.float32)

    def is_finite(raw: float, result: np.dtype[Any] = result) -> bool:
        with np.errstate(over="ignore"):
            return bool(np.isfinite((np.float32(raw) * factor + offset).astype(result)))

    if frame_dtype.kind != "f":
        if valid_range is not None:
            raise ArgumentError(
                f"valid_range must be omitted for {frame_dtype} frames, got "
                f"{valid_range!r}."
            )
        largest = np.iinfo(frame_dtype).max
        if not is_finite(largest, np.dtype(np.float32)):
            raise ArgumentError(
                f"scale / std must keep the largest reading, {largest}, within "
                f"float32, got a factor of {multiply!r}."
            )
        return -math.inf, math.inf
    top = _MOST_BLENDED if blends else FLOAT32_MAX
    centre = min(max(-add / multiply if multiply else 0.0, -top), top)
    low, high = (_last_finite(is_finite, centre, end) for end in (-top, top))
    if valid_range is not None:
        least, most = (require_number("valid_range", n) for n in valid_range)
        low, high = max(low, least), min(high, most)
    with np.errstate(over="ignore"):  # to infinity
        below = np.nextafter(np.float32(low), np.float32(-np.inf))
        above = np.nextafter(np.float32(high), np.float32(np.inf))
    return float(below), float(above)


def _last_finite(
    is_finite: Callable[[float], bool], centre: float, end: float
) -> float:
    """The float32 nearest to ``end`` that fits; ``centre`` does."""
    if is_finite(end):
        return end
    fits, fails = _rank(centre), _rank(end)
    while abs(fails - fits) > 1:
        middle = (fits + fails) // 2
        if is_finite(_of_rank(middle)):
            fits = middle
        else:
            fails = middle
    return _of_rank(fits)


def _rank(value: float) -> int:
    """Which float32 it is, counted from 0."""
    rank = int(np.abs(np.float32(value)).view(np.int32))
    return -rank if value < 0 else rank


def _of_rank(rank: int) -> float:
    value = float(np.int32(abs(rank)).view(np.float32))
    return -value if rank < 0 else value
