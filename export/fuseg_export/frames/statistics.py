"""What the frames of an export were like, for the checks of live ones."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import ImageInput, Statistics

from .frame_set import FrameSet

__all__ = ["about_no_reading", "measure"]


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


def about_no_reading(
    inputs: Sequence[ImageInput],
    assumed: Collection[str],
    frames: Sequence[FrameSet],
) -> list[str]:
    """What to know of pixels that were taken for no reading, a sentence an input.

    Args:
        assumed: The names of inputs whose ``invalid`` is their kind's default.
    """
    sentences = []
    for spec in inputs:
        if spec.kind == "color" or spec.name not in assumed:
            continue
        pixels = np.concatenate([frame.arrays[spec.name].ravel() for frame in frames])
        shares = {value: float((pixels == value).mean()) for value in spec.invalid}
        found = [f"{v} ({_percent(share)})" for v, share in shares.items() if share]
        if not found:
            continue
        said = json.dumps({"inputs": {spec.name: {"invalid": []}}})
        sentences.append(
            f"{spec.name}: pixels that are {' or '.join(found)} were taken for no "
            f"reading; where they are readings, as of depth that was filled in, write "
            f"{said} in a file, --spec FILE"
        )
    return sentences


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "less than 0.1%"
