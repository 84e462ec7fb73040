"""Pictures of a sound's frequencies, as a manifest declares them."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..manifest import LogMel

__all__ = ["LogMelPicture"]


class LogMelPicture:
    """Makes one of each window, in float64; what it works in is made once.

    Args:
        spec: See `LogMel`.
        samples: Of each window.
        window, filters: Content of the members that it names.
    """

    def __init__(
        self,
        spec: LogMel,
        samples: int,
        window: NDArray[np.float32],
        filters: NDArray[np.float32],
    ) -> None:
        self._spec, self._padding = spec, spec.padding
        self._padded = np.zeros(samples + 2 * spec.padding)
        every = sliding_window_view(self._padded, spec.frame)
        self._cut = every[:: spec.hop][: spec.frames]
        self._window = window.astype(np.float64)
        self._weights = np.ascontiguousarray(filters.T, np.float64)
        self._frames = np.empty((spec.frames, spec.frame))
        self._energies = np.empty((spec.frames, spec.frame // 2 + 1))
        self._bands = np.empty((spec.frames, spec.bands))

    def __call__(self, sound: NDArray[np.float64]) -> NDArray[np.float64]:
        """The features (frames, bands) of a window; the next call overwrites them."""
        spec, padding, padded = self._spec, self._padding, self._padded
        padded[padding : padding + len(sound)] = sound
        if spec.pad == "reflect":
            padded[:padding] = sound[padding:0:-1]
            padded[len(sound) + padding :] = sound[-2 : -2 - padding : -1]
        np.multiply(self._cut, self._window, out=self._frames)
        spectrum = np.fft.rfft(self._frames, axis=1)
        energies, bands = self._energies, self._bands
        np.multiply(spectrum.real, spectrum.real, out=energies)
        np.multiply(spectrum.imag, spectrum.imag, out=spectrum.imag)
        energies += spectrum.imag
        if spec.power == 1:
            np.sqrt(energies, out=energies)
        np.matmul(energies, self._weights, out=bands)
        np.maximum(bands, spec.floor, out=bands)
        if spec.log == "ln":
            np.log(bands, out=bands)
        elif spec.log != "none":
            np.log10(bands, out=bands)
            bands *= 10.0 if spec.log == "db" else 1.0
        if spec.range is not None:
            np.maximum(bands, bands.max() - spec.range, out=bands)
        return bands
