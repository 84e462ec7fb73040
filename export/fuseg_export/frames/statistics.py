"""What the frames of an export were like, for the checks of live ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import ImageInput, Statistics

__all__ = ["measure"]


def measure(spec: ImageInput, frames: Sequence[NDArray[Any]]) -> Statistics | None:
    """Statistics of frames as the manifest declares them.

    None if a plane has no reading.
    """
    values = []
    for frame in frames:
        flat = frame.reshape(-1, spec.numbers).astype(np.float64)
        if spec.kind != "color":
            flat[~np.isfinite(flat) | np.isin(flat, spec.invalid)] = np.nan
        values.append(flat)
    readings = np.concatenate(values)
    known = ~np.isnan(readings)
    if not known.any(0).all():
        return None
    percentiles = np.nanpercentile(readings, (1, 50, 99), axis=0)
    p1, p50, p99 = (tuple(float(f"{v:.6g}") for v in row) for row in percentiles)
    share = max(round(float(known.mean()), 6), 1e-6)
    return Statistics(len(frames), share, p1, p50, p99)
