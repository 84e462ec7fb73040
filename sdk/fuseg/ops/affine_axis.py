"""Where output pixels lie on a network's grid, as exact fractions."""

from __future__ import annotations

import math

__all__ = ["AffineAxis", "affine_axis"]

AffineAxis = tuple[int, int, int]
"""Position ``i`` is ``(first + i * step) / unit``; the same of common/resample.h."""


def affine_axis(
    samples: int,
    out: int,
    *,
    align_corners: bool,
    crop: tuple[int, int] | None = None,
    whole: int | None = None,
) -> AffineAxis:
    """Lay ``out`` pixels over a grid of ``samples`` along one axis.

    Args:
        samples: Samples of the grid.
        out: Pixels of the output.
        align_corners: Whether the corner samples sit on the centres of the corner
            pixels, or the corners of both grids coincide.
        crop: ``(first, length)`` of the part of the network's input that the output
            shows, in pixels, of ``whole`` along this axis; the output covers it, corner
            on corner. The grid covers ``whole``.
    """
    if crop is None or whole is None:
        if not align_corners:
            return _reduced(samples - out, 2 * samples, 2 * out)
        return _reduced(0, samples - 1, out - 1) if out > 1 else (0, 0, 1)
    # Pixel i lies at position p = first + (i + 1/2) * length / out - 1/2 of the input.
    first, length = crop
    if not align_corners:  # (p + 1/2) * samples / whole - 1/2
        start = (2 * out * first + length) * samples - out * whole
        return _reduced(start, 2 * length * samples, 2 * out * whole)
    if whole == 1:
        return 0, 0, 1
    start = (2 * out * first + length - out) * (samples - 1)
    return _reduced(start, 2 * length * (samples - 1), 2 * out * (whole - 1))


def _reduced(first: int, step: int, unit: int) -> AffineAxis:
    common = math.gcd(first, step, unit)
    return first // common, step // common, unit // common
