"""Frames spoilt as sensors spoil them: pixels lost, noise.

After the benchmark of Liao et al. (CVPR workshops 2025), which spoils the network's
tensors. Here the raw frames are spoilt, so that the whole runtime is judged: a lost
pixel is lost in all its channels and is no reading, noise leaves alone what is no
reading, and what an integer cannot hold is clipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..manifest import AudioInput, ColorInput, SensorInput
from ..manifest.units import unit_factor

__all__ = ["LEVELS", "SHARES", "Spoiler"]

Level = Literal["low", "mid", "high"]

SHARES = (0.25, 0.5, 0.75)
# The share of salt and pepper, and the Gaussian's standard deviation in the tensor; of
# sound and of transformed frames in standard deviations of the readings.
LEVELS: Mapping[Level, tuple[float, float]] = {
    "low": (0.05, 0.1),
    "mid": (0.1, 0.2),
    "high": (0.2, 0.5),
}


class Spoiler:
    """Spoils the frames of one sensor.

    Args:
        sensor: The input.
        unit: Of the frames; the input's own if omitted.
        channels: The order of the frames' colours; the input's own if omitted.
    """

    def __init__(
        self, sensor: SensorInput, unit: str | None = None, channels: str | None = None
    ) -> None:
        self._sensor = sensor
        self._invalid: tuple[int | float, ...] = getattr(sensor, "invalid", ())
        self._lost, self._step = _raw(sensor, unit, channels)
        self._relative = isinstance(sensor, AudioInput) or _has_no_step(sensor)

    def lose_pixels(
        self, frame: NDArray[Any], share: float, random: np.random.Generator
    ) -> NDArray[Any]:
        """A copy in which each pixel, or sample of sound, is lost with this chance."""
        return self.hide(frame, random.random(frame.shape[:2]) < share)

    def hide(self, frame: NDArray[Any], where: Any) -> NDArray[Any]:
        """A copy that is lost at these pixels: a mask, or slices."""
        spoilt: NDArray[Any] = frame.copy()
        spoilt[where] = self._no_reading(frame.dtype)
        return spoilt

    def add_noise(
        self, frame: NDArray[Any], level: Level, random: np.random.Generator
    ) -> NDArray[Any]:
        """A copy with salt and pepper, and then Gaussian noise, on its readings."""
        density, deviation = LEVELS[level]
        values = frame.astype(np.float32)
        readings = np.isfinite(values) & ~np.isin(frame, self._invalid)
        noisy: NDArray[Any] = frame.copy()
        if not readings.any():
            return noisy
        step = self._step
        if self._relative:  # silence stays silent
            step = np.float32(values[readings].std())
        axes = tuple(range(min(frame.ndim, 2)))
        high = np.where(readings, values, -np.inf).max(axes)
        low = np.where(readings, values, np.inf).min(axes)
        chance = random.random(frame.shape[:2])
        chance = chance.reshape(chance.shape + (1,) * (frame.ndim - chance.ndim))
        values = np.where(chance < density / 2, high, values)
        values = np.where(chance >= 1 - density / 2, low, values)
        gaussian = random.standard_normal(frame.shape, np.float32)
        values = values + gaussian * np.float32(deviation) * step
        if frame.dtype.kind in "iu":
            limits = np.iinfo(frame.dtype)
            values = np.clip(np.rint(values), limits.min, limits.max)
        noisy[readings] = values[readings]
        return noisy

    def _no_reading(self, dtype: np.dtype[Any]) -> Any:
        """What a lost pixel is in frames of this type."""
        if isinstance(self._sensor, (AudioInput, ColorInput)) or (
            dtype.kind in "iu" and not self._invalid
        ):
            if dtype.kind not in "iu":
                return self._lost
            limits = np.iinfo(dtype)
            return np.clip(np.rint(self._lost), limits.min, limits.max)
        return np.nan if dtype.kind == "f" else self._invalid[0]


def _has_no_step(sensor: SensorInput) -> bool:
    """Whether a step in the tensor is of no one size in the frames; 0 is lost then."""
    if isinstance(sensor, (AudioInput, ColorInput)):
        return False
    return sensor.transform is not None


def _raw(
    sensor: SensorInput, unit: str | None, channels: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The raw value of ``fill``, and that of a step of 1 in the tensor, by channel."""
    if isinstance(sensor, AudioInput):
        return np.zeros(()), np.ones(())
    if _has_no_step(sensor):
        return np.zeros(()), np.ones(())
    mean, std = np.array(sensor.mean), np.array(sensor.std)
    lost = (sensor.fill * std + mean) / sensor.scale
    step = std / abs(sensor.scale)
    if isinstance(sensor, ColorInput):
        order = channels or sensor.channels
        if order == "GRAY":
            return lost.mean(), step.mean()
        if order[:3] != sensor.channels:
            lost, step = lost[::-1], step[::-1]
        if len(order) == 4:
            lost, step = np.append(lost, 255.0), np.append(step, 0.0)
        return lost, step
    if unit is not None and sensor.kind != "plane":
        factor = unit_factor(sensor.unit, unit)
        lost, step = lost * factor, step * factor
    return (lost, step) if sensor.numbers > 1 else (lost.mean(), step.mean())
