"""The robustness card: every set of sensors, and of spoilt ones, scored.

Definitions: Liao et al., "Benchmarking Multi-modal Semantic Segmentation under Sensor
Failures: Missing and Noisy Modality Robustness", CVPR workshops 2025, arXiv
2503.18445, and the code that its authors published with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..dataset.bootstrap import draws, interval
from ..errors import ArgumentError, FrameError
from ..manifest import Estimate, Expectation, LostPixels, Noise, Robustness, SensorSet
from .spoil import LEVELS, SHARES, Spoiler
from .subsets import (
    Subset,
    count_pixels,
    label_with,
    require_few,
    require_gone,
    subsets,
)

if TYPE_CHECKING:
    from ..segmenter import Segmenter

__all__ = ["LabelledFrame", "measure"]

FAILURES = (0.2, 0.1, 0.05)  # chances that a sensor fails

_Condition = tuple[str, Subset]  # what happens, to which sensors
_Values = NDArray[np.float64]  # of all frames, then of each draw

_ALONE = "alone"
_DIGITS = 6


class LabelledFrame(NamedTuple):
    """What a Segmenter is given, by input name, and the true labels (H, W)."""

    given: Mapping[str, Any]
    truth: NDArray[Any]


def measure(
    segmenter: Segmenter,
    frames: Iterable[LabelledFrame],
    *,
    units: Mapping[str, str] | None = None,
    channels: Mapping[str, str] | None = None,
) -> Robustness:
    """Score the first segmentation with every set of sensors, and of spoilt ones.

    One frame is in memory at a time. What is random is seeded by the frame's number and
    the sensor: the same frames give the same card, and a frame is spoilt alike in all
    sets. Of a bundle with states every set goes through the frames as a sequence.

    Args:
        segmenter: Loaded so that nothing is held; its missing-sensor policies decide
            what becomes of a sensor that is gone.
        frames: With truth of the camera's size.
        units, channels: As `fuseg.load` got them.

    Raises:
        ArgumentError: a sensor is held, there are too many, or no frame has a pixel
            whose truth counts.
        FusegError: as a call of the segmenter; a refused frame is counted instead.
    """
    manifest = segmenter.manifest
    require_gone(manifest)
    require_few(manifest, "robustness")
    names = [sensor.name for sensor in manifest.sensors]
    spoilers = {
        sensor.name: Spoiler(
            sensor, (units or {}).get(sensor.name), (channels or {}).get(sensor.name)
        )
        for sensor in manifest.sensors
    }
    found = subsets(names)
    conditions = [(what, subset) for what in _what_happens() for subset in found]
    output = manifest.label_outputs[0]
    classes = len(manifest.classes_of(output))
    tallies = {
        condition: _Tally(
            segmenter.clone() if manifest.states else segmenter, classes, output.ignore
        )
        for condition in conditions
    }
    for number, frame in enumerate(frames):
        given = {n: array for n, array in frame.given.items() if array is not None}
        for place, what in enumerate(_what_happens()):
            spoilt = {}
            for index, name in enumerate(names):
                if what != _ALONE and name in given:
                    random = np.random.default_rng([number, place, index])
                    spoilt[name] = _spoilt(spoilers[name], given[name], what, random)
            for subset in found:
                changed = {n: a for n, a in spoilt.items() if n in subset}
                kept = subset if what == _ALONE else names
                tallies[what, subset].add(kept, {**given, **changed}, frame.truth)
    return _card(names, tallies)


def _what_happens() -> list[str]:
    return [_ALONE, *map(str, SHARES), *LEVELS]


def _spoilt(
    spoiler: Spoiler, frame: Any, what: str, random: np.random.Generator
) -> NDArray[Any]:
    for level in LEVELS:
        if what == level:
            return spoiler.add_noise(np.asarray(frame), level, random)
    return spoiler.lose_pixels(np.asarray(frame), float(what), random)


class _Tally:
    """Of one condition: by frame and class, pixels right, and pixels in either."""

    def __init__(self, segmenter: Segmenter, classes: int, ignore: int) -> None:
        self._segmenter, self._classes, self._ignore = segmenter, classes, ignore
        self.refused = 0
        self.refused_without: dict[str, None] = {}  # a set in order
        self.counts: list[NDArray[np.int64]] = []

    def add(
        self, sensors: Iterable[str], given: Mapping[str, Any], truth: NDArray[Any]
    ) -> None:
        size = truth.shape[0], truth.shape[1]
        labels = label_with(self._segmenter, [*sensors], given, size)
        if isinstance(labels, FrameError):
            self.refused += 1
            self.refused_without |= dict.fromkeys(labels.causes)
        found = count_pixels(truth, labels, self._classes, self._ignore)
        self.counts.append(found)


def _card(names: list[str], tallies: Mapping[_Condition, _Tally]) -> Robustness:
    frames = len(tallies[_ALONE, tuple(names)].counts)
    taken = np.array([np.bincount(d, minlength=frames) for d in draws(frames or 1)])
    weights = np.vstack([np.ones((1, frames)), taken[:, :frames]])
    values = {
        condition: _mious(weights, np.array(tally.counts))
        for condition, tally in tallies.items()
    }
    found = subsets(names)
    whole, alone = found[0], np.array([values[_ALONE, subset] for subset in found])
    # A draw of frames without a pixel that counts says nothing, of any condition.
    says = ~np.isnan(alone[0])
    if not frames or not says[0]:
        raise ArgumentError(
            "robustness must be measured on a frame with a labelled pixel, got none."
        )

    def estimate(of: _Values) -> dict[str, Any]:
        low, high = (round(v, _DIGITS) for v in interval(of[1:][says[1:]]))
        return {"miou": round(float(of[0]), _DIGITS), "interval": (low, high)}

    def sets(what: str) -> tuple[SensorSet, ...]:
        return tuple(
            SensorSet(
                sensors=subset,
                refused=tallies[what, subset].refused,
                refused_without=tuple(tallies[what, subset].refused_without),
                **estimate(values[what, subset]),
            )
            for subset in found
        )

    def lost_pixels(share: float) -> LostPixels:
        # The benchmark's sets: no sensor spoilt, and all sets but the one of all.
        some = [values[str(share), subset] for subset in found if subset != whole]
        mean = None
        if some:
            mean = Estimate(**estimate(np.mean([alone[0], *some], 0)))
        return LostPixels(share=share, sets=sets(str(share)), mean=mean)

    def expected(p: float) -> Expectation:
        likely = [p ** (len(names) - len(s)) * (1 - p) ** len(s) for s in found]
        return Expectation(p=p, **estimate(np.average(alone, 0, likely)))

    return Robustness(
        frames=frames,
        subsets=sets(_ALONE),
        mean=Estimate(**estimate(alone.mean(0))),
        expected=tuple(map(expected, FAILURES)),
        lost_pixels=tuple(map(lost_pixels, SHARES)),
        noise=tuple(Noise(level=level, sets=sets(level)) for level in LEVELS),
    )


def _mious(weights: NDArray[np.float64], counts: NDArray[np.int64]) -> _Values:
    """The mIoU of each weighted sum of frames; NaN of one that has no pixel."""
    if not len(counts):
        return np.full(len(weights), np.nan)
    sums = np.tensordot(weights, counts.astype(np.float64), 1)
    right, either = sums[:, 0], sums[:, 1]
    occurring = either > 0
    shares = np.divide(right, either, out=np.zeros_like(right), where=occurring)
    count = occurring.sum(axis=1)
    return np.where(count > 0, shares.sum(axis=1) / np.maximum(count, 1), np.nan)
