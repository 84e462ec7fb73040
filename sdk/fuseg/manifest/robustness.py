"""The manifest's robustness card: how much of the mIoU stays as sensors fail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .schema import Record, require, within

__all__ = [
    "Estimate",
    "Expectation",
    "LostPixels",
    "Noise",
    "Robustness",
    "SensorSet",
]


@dataclass(frozen=True, kw_only=True)
class Estimate(Record):
    """An mIoU, and how sure it is.

    Attributes:
        miou: Over the classes that occur in the truth or in the labels. A frame that
            is refused has no labels: it counts as wrong at every pixel.
        interval: What 95 % of 1000 draws of the frames, with replacement, lie between.
    """

    miou: float = field(metadata=within(0, 1))
    interval: tuple[float, float] = field(metadata=within(0, 1))

    def _check(self) -> None:
        low, high = self.interval
        require(low <= high, f"interval must begin with the lower one, got {low}.")


@dataclass(frozen=True, kw_only=True)
class SensorSet(Estimate):
    """With these sensors there alone, or with these spoilt.

    Attributes:
        sensors: Their names.
        refused: How many frames were refused.
        refused_without: The sensors whose policy refused them.
    """

    sensors: tuple[str, ...]
    refused: int = field(default=0, metadata=within(0))
    refused_without: tuple[str, ...] = ()

    def _check(self) -> None:
        super()._check()
        require(bool(self.sensors), "sensors must not be empty.")


@dataclass(frozen=True, kw_only=True)
class Expectation(Estimate):
    """The mean of the sets of sensors that are there, by how likely they are.

    Attributes:
        p: How likely each sensor fails, by itself; that all do is left out.
    """

    p: float = field(metadata=within(0, 1))


@dataclass(frozen=True, kw_only=True)
class LostPixels(Record):
    """Pixels lost at random, each by itself.

    Attributes:
        share: How likely a pixel is lost: it is no reading, and of a sensor that cannot
            say so the raw value of ``fill``.
        sets: With these sensors losing pixels, all of them first.
        mean: Of ``sets`` but the first, and of no sensor losing any; absent for one
            sensor.
    """

    share: float = field(metadata=within(0, 1))
    sets: tuple[SensorSet, ...]
    mean: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class Noise(Record):
    """Salt and pepper, then Gaussian noise, on readings.

    Attributes:
        level: ``low``, ``mid`` or ``high``: 5, 10 or 20 % of the pixels become the
            frame's largest or smallest reading, and the Gaussian has a standard
            deviation of 0.1, 0.2 or 0.5 in the tensor.
        sets: With noise on these sensors, all of them first.
    """

    level: Literal["low", "mid", "high"]
    sets: tuple[SensorSet, ...]


@dataclass(frozen=True, kw_only=True)
class Robustness(Record):
    """The mIoU of the first segmentation with every set of sensors.

    Attributes:
        frames: How many frame sets with true labels it was measured on.
        subsets: With these sensors alone, all of them first; the others are gone,
            beyond their limits.
        mean: Of ``subsets``.
        expected: Of ``subsets``, by how likely sensors fail.
        lost_pixels: With pixels lost.
        noise: With noise.
    """

    frames: int = field(metadata=within(1))
    subsets: tuple[SensorSet, ...]
    mean: Estimate
    expected: tuple[Expectation, ...] = ()
    lost_pixels: tuple[LostPixels, ...] = ()
    noise: tuple[Noise, ...] = ()

    @property
    def sets(self) -> tuple[SensorSet, ...]:
        """Every set of sensors in it."""
        lost = (found for each in self.lost_pixels for found in each.sets)
        noisy = (found for each in self.noise for found in each.sets)
        return (*self.subsets, *lost, *noisy)

    def _check(self) -> None:
        require(bool(self.subsets), "subsets must not be empty.")
