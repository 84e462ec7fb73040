"""How much of each class comes from which sensor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FrameError, ShapeError
from ..robustness import (
    Subset,
    count_pixels,
    label_with,
    require_few,
    require_gone,
    subsets,
)
from .shapley import shapley

if TYPE_CHECKING:
    from ..segmenter import Segmenter

__all__ = ["ClassShares", "Contributions", "contributions"]

_NO_LABEL = -1  # labels are all compared


@dataclass(frozen=True)
class ClassShares:
    """Of one class.

    Attributes:
        values: By set of sensors, the IoU of its labels with those that they are
            compared with, over all frames together.
        contributions: By sensor, its Shapley value; they sum to ``total``.
        total: The IoU with all sensors: 1 unless compared with the truth.
        shares: The contributions over ``total``; None where that is 0.
    """

    values: dict[Subset, float]
    contributions: dict[str, float]
    total: float
    shares: dict[str, float] | None


@dataclass(frozen=True)
class Contributions:
    """Of all classes.

    Attributes:
        frames: How many frame sets were looked at.
        sensors: In the bundle's order.
        against: ``"all sensors"``, or ``"truth"``.
        classes: By class; None where it is neither in the labels made from all sensors
            nor, where that is known, in the truth.
        refused: By set of sensors that were refused, how many frames.
    """

    frames: int
    sensors: tuple[str, ...]
    against: str
    classes: dict[str, ClassShares | None]
    refused: dict[Subset, int]

    @property
    def sets(self) -> list[Subset]:
        """Every set of sensors, all of them first."""
        return subsets(self.sensors)


def contributions(
    segmenter: Segmenter,
    frames: Iterable[tuple[Mapping[str, Any], NDArray[Any] | None]],
) -> Contributions:
    """Exact Shapley values of the sensors, class by class.

    The value of a set of sensors is the IoU of a class between the labels made from it
    alone, by way of the bundle's missing-sensor policies, and those made from all
    sensors, or the true ones. Nothing is worth 0, and so is a set that is refused.

    Args:
        segmenter: Loaded so that nothing is held.
        frames: What the segmenter is given, by input name, with true labels of the
            camera's size, of all frames or of none. At least one.

    Raises:
        ArgumentError: a sensor is held, or there are too many.
        ShapeError: true labels are not of the camera's size.
        FusegError: as a call of the segmenter with all sensors.
    """
    manifest = segmenter.manifest
    require_gone(manifest)
    require_few(manifest, "an explanation")
    names = tuple(sensor.name for sensor in manifest.sensors)
    found = subsets(names)
    output = manifest.label_outputs[0]
    classes = [entry.name for entry in manifest.classes_of(output)]
    runners = {s: segmenter.clone() if manifest.states else segmenter for s in found}
    sums = {s: np.zeros((2, len(classes)), np.int64) for s in found}
    refused = dict.fromkeys(found, 0)
    count, known = 0, False
    for given, truth in frames:
        count, known = count + 1, truth is not None
        whole = label_with(runners[names], names, given, None)
        if isinstance(whole, FrameError):
            raise whole
        if truth is not None and truth.shape != whole.shape:
            raise ShapeError(
                f"truth must have the camera's size {whole.shape}, got {truth.shape}."
            )
        expected = whole if truth is None else truth
        ignore = _NO_LABEL if truth is None else output.ignore
        size = whole.shape[0], whole.shape[1]
        for subset in found:
            labels: NDArray[np.uint8] | FrameError = whole
            if subset != names:
                labels = label_with(runners[subset], subset, given, size)
            refused[subset] += isinstance(labels, FrameError)
            sums[subset] += count_pixels(expected, labels, len(classes), ignore)
    return Contributions(
        frames=count,
        sensors=names,
        against="truth" if known else "all sensors",
        classes={
            name: _shares(names, {s: table[:, index] for s, table in sums.items()})
            for index, name in enumerate(classes)
        },
        refused={subset: n for subset, n in refused.items() if n},
    )


def _shares(
    sensors: Subset, counts: Mapping[Subset, NDArray[np.int64]]
) -> ClassShares | None:
    """Of one class, from the pixels in both and in either, by set of sensors."""
    if not counts[sensors][1]:
        return None
    values = {s: float(both / max(either, 1)) for s, (both, either) in counts.items()}
    found, total = shapley(sensors, values), values[sensors]
    shares = {name: value / total for name, value in found.items()} if total else None
    return ClassShares(values, found, total, shares)
