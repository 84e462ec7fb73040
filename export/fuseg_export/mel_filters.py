"""The data of a `LogMel`: a window, and what each band takes of each frequency.

As Whisper, librosa (``slaney``) and torchaudio (``htk``, ``norm=None``) define them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["hann", "mel_filters"]

_LINEAR = 200 / 3  # hertz a mel of Slaney's scale, below 1 kHz
_STEP = np.log(6.4) / 27  # of its logarithm above that


def hann(length: int, frame: int) -> NDArray[np.float32]:
    """A periodic Hann window of ``length``, in the middle of ``frame`` samples."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    before = (frame - length) // 2
    padded = np.pad(window, (before, frame - length - before))
    return padded.astype(np.float32)


def mel_filters(
    rate: int,
    frame: int,
    bands: int,
    *,
    low: float = 0.0,
    high: float | None = None,
    scale: str = "slaney",
    normalized: bool = True,
) -> NDArray[np.float32]:
    """Triangles that overlap by half, ``(bands, frame // 2 + 1)``.

    Args:
        rate: Samples a second.
        frame: Samples of each Fourier transform.
        bands: How many triangles.
        low, high: Where the first begins and the last ends, in hertz; ``high`` is half
            the rate if omitted.
        scale: On which they are equally wide: ``slaney`` or ``htk``.
        normalized: Whether each has the same area, as Slaney's; else the same height.
    """
    to_mel, to_hertz = (_mel_htk, _hertz_htk) if scale == "htk" else (_mel, _hertz)
    ends = to_mel(np.array([low, rate / 2 if high is None else high]))
    edges = to_hertz(np.linspace(ends[0], ends[1], bands + 2))
    hertz = np.arange(frame // 2 + 1) * rate / frame
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    if normalized:
        weights *= (2 / (edges[2:] - edges[:-2]))[:, None]
    return weights.astype(np.float32)


def _mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    above = 15 + np.log(np.maximum(hertz, 1000) / 1000) / _STEP
    return np.where(hertz < 1000, hertz / _LINEAR, above)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * _LINEAR, 1000 * np.exp((mel - 15) * _STEP))


def _mel_htk(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + hertz / 700))


def _hertz_htk(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))
