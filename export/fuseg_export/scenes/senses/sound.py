"""Sounds that things make: a timbre for each kind, different in every window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..material_sampling import Rng

__all__ = ["RATE", "SAMPLES", "TIMBRES", "sound_of"]

RATE = 8000  # Hz
SAMPLES = 4096  # of a window: about half a second
_BITS = 32768  # steps of int16 from 0 to 1

Wave = NDArray[np.float64]


def sound_of(timbre: int | None, rng: Rng) -> NDArray[np.int16]:
    """One window of a microphone that hears one thing, or none.

    Args:
        timbre: Index into ``TIMBRES``; None for nothing but the noise of the room,
            which may be no noise at all.
        rng: Pitch, rhythm, loudness and noise are drawn from it.

    Returns:
        Shape ``(SAMPLES,)``, int16, at ``RATE``.
    """
    noise = rng.uniform(0.005, 0.04)
    if timbre is None:
        noise *= rng.choice([0.0, 0.2, 1.0], p=[0.1, 0.2, 0.7])
        sound = np.zeros(SAMPLES)
    else:
        sound = list(TIMBRES.values())[timbre](rng)
        sound *= rng.uniform(0.08, 0.3) / (sound.std() + 1e-6)
    sound = sound + noise * rng.standard_normal(SAMPLES)
    return np.rint(sound * _BITS).clip(-_BITS, _BITS - 1).astype(np.int16)


def _seconds() -> Wave:
    return np.arange(SAMPLES) / RATE


def _knocks(rng: Rng) -> Wave:
    """Bursts of noise that die away, some eight a second."""
    time, sound = _seconds(), np.zeros(SAMPLES)
    for start in np.arange(rng.uniform(0, 0.12), SAMPLES / RATE, rng.uniform(0.1, 0.2)):
        since = time - start
        burst = np.exp(-60 * since.clip(0)) * rng.standard_normal(SAMPLES)
        sound += np.where(since >= 0, burst, 0)
    return sound


def _chirps(rng: Rng) -> Wave:
    """A tone that rises to three times its pitch, again and again."""
    low, rate = rng.uniform(300, 500), rng.uniform(4, 7)
    risen = (_seconds() * rate + rng.random()) % 1
    return np.asarray(np.sin(2 * np.pi * np.cumsum(low * (1 + 2 * risen)) / RATE))


def _hum(rng: Rng) -> Wave:
    """A low tone with its harmonics."""
    time, pitch = _seconds(), rng.uniform(85, 140)
    waves = [
        np.sin(2 * np.pi * (pitch * n * time + rng.random())) / n for n in range(1, 6)
    ]
    return np.asarray(np.sum(waves, axis=0))


def _whistle(rng: Rng) -> Wave:
    """A high tone that trembles."""
    time, pitch = _seconds(), rng.uniform(1500, 2300)
    tremble = 1 + 0.3 * np.sin(2 * np.pi * rng.uniform(3, 8) * time)
    return np.asarray(tremble * np.sin(2 * np.pi * pitch * time))


def _scrape(rng: Rng) -> Wave:
    """Noise without its high frequencies."""
    noise = rng.standard_normal(SAMPLES + 11)
    return np.convolve(noise, np.ones(12), "valid")


TIMBRES: dict[str, Callable[[Rng], Wave]] = {
    "knocks": _knocks,
    "chirps": _chirps,
    "hum": _hum,
    "whistle": _whistle,
    "scrape": _scrape,
}
