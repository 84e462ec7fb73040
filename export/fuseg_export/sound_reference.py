"""The definition of right for sound: windows -> tensors, as `reference` is for frames.

In float64, by sums of cosines and sines, and slow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import AudioInput, LogMel

__all__ = ["preprocess_sound"]

_LOGARITHMS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "ln": np.log,
    "log10": np.log10,
    "db": lambda values: 10 * np.log10(values),
    "none": lambda values: values,
}


def preprocess_sound(
    spec: AudioInput,
    sound: NDArray[Any],
    window: NDArray[np.float32] | None = None,
    filters: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """A window of samples at the network's rate -> the network's tensor.

    Args:
        window, filters: The members that ``spec.features`` names, if it has some.
    """
    values = sound.astype(np.float64) * spec.scale
    if spec.features is not None:
        assert window is not None, "the features name it"
        assert filters is not None, "the features name them"
        values = _log_mel(spec.features, values, window, filters)
        if spec.features.order == "bands-frames":
            values = values.T
    return ((values - spec.mean) / spec.std).reshape(spec.shape)


def _log_mel(
    spec: LogMel,
    sound: NDArray[np.float64],
    window: NDArray[np.float32],
    filters: NDArray[np.float32],
) -> NDArray[np.float64]:
    """(frames, bands); see `LogMel` for the order of its steps."""
    count, before = len(sound), spec.padding
    at = np.arange(-before, count + before)
    inside = (at >= 0) & (at < count)
    if spec.pad == "reflect":
        at = np.abs(at)
        at = np.where(at < count, at, 2 * (count - 1) - at)
        inside[:] = True
    padded = np.where(inside, sound[np.clip(at, 0, count - 1)], 0.0)
    starts = np.arange(spec.frames) * spec.hop
    cut = padded[starts[:, None] + np.arange(spec.frame)] * window.astype(np.float64)
    cosines, sines = _waves(spec.frame)
    energies = (cut @ cosines) ** 2 + (cut @ sines) ** 2
    bands = energies ** (spec.power / 2) @ filters.T.astype(np.float64)
    made = _LOGARITHMS[spec.log](np.maximum(bands, spec.floor))
    if spec.range is not None:
        made = np.maximum(made, made.max() - spec.range)
    return np.asarray(made)


@functools.lru_cache(maxsize=2)
def _waves(frame: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The cosines and sines of each frequency, ``(frame, frame // 2 + 1)``."""
    turns = np.outer(np.arange(frame), np.arange(frame // 2 + 1)) % frame
    angles = 2 * np.pi * turns / frame
    return np.cos(angles), np.sin(angles)
