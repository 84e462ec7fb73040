"""One window of sound at another sampling rate."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

__all__ = ["Resampler", "has_few_phases", "length_at"]

_MOST_PHASES = 1000
_CROSSINGS = 40  # of the filter, on each side of its middle
_PASSED = 0.92  # of the lower of the two bandwidths
_BETA = 9.0  # of Kaiser's window: what is beyond is 1e-5 of what it was


def length_at(samples: int, rate: int, given: int) -> int:
    """How many samples at ``given`` Hz last as long as ``samples`` at ``rate``."""
    return max(1, (2 * samples * given + rate) // (2 * rate))


def has_few_phases(rate: int, given: int) -> bool:
    """Whether the ratio of two rates is of numbers that are small enough."""
    return rate // math.gcd(rate, given) <= _MOST_PHASES


class Resampler:
    """A polyphase filter: a sinc in Kaiser's window, from one rate to another.

    Before and after the window there is silence, so the first and last 40 samples (of
    the lower rate) are less exact than the others.

    Args:
        samples: How many are made.
        rate: Of those.
        given: Of what is given: `length_at` says how many samples.
    """

    def __init__(self, samples: int, rate: int, given: int) -> None:
        shared = math.gcd(rate, given)
        up, down = rate // shared, given // shared
        cut = _PASSED * min(1.0, up / down)  # of the given bandwidth
        half = math.ceil(_CROSSINGS / cut)
        self.given = length_at(samples, rate, given)
        last = (samples - 1) * down // up
        self._start = half  # where the window lies
        # Taps reach from half - 1 before to half after the sample before a position.
        self._padded = np.zeros(half + max(self.given, last + 1) + half + 1)
        self._rows = []
        for phase in range(min(up, samples)):
            first, part = divmod(phase * down, up)
            at = np.arange(1 - half, half + 1) - part / up
            window = np.i0(_BETA * np.sqrt(np.clip(1 - (at / half) ** 2, 0, None)))
            taps = np.sinc(cut * at) * window
            count = len(range(phase, samples, up))
            step = self._padded.itemsize
            rows = as_strided(
                self._padded[first + 1 :], (count, 2 * half), (down * step, step)
            )
            self._rows.append((slice(phase, None, up), rows, taps / taps.sum()))

    def __call__(self, sound: NDArray[np.float64], out: NDArray[np.float64]) -> None:
        """Bring ``sound`` (given,) to ``out`` (samples,)."""
        self._padded[self._start : self._start + self.given] = sound
        for place, rows, taps in self._rows:
            np.einsum("ij,j->i", rows, taps, out=out[place])
