"""Sets of sensors, and labels made from one of them alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..dataset.metrics import confusion
from ..errors import ArgumentError, FrameError
from ..manifest import Manifest

if TYPE_CHECKING:
    from ..segmenter import Segmenter

__all__ = [
    "MOST_SENSORS",
    "Subset",
    "count_pixels",
    "label_with",
    "require_few",
    "require_gone",
    "subsets",
]

MOST_SENSORS = 4  # 15 sets of them

Subset = tuple[str, ...]


def subsets(sensors: Sequence[str]) -> list[Subset]:
    """Every set of sensors but the empty one: the largest first, else in order."""
    sizes = range(len(sensors), 0, -1)
    return [found for size in sizes for found in combinations(sensors, size)]


def require_few(manifest: Manifest, what: str) -> None:
    """Refuse a bundle whose sets of sensors are too many to run each.

    Raises:
        ArgumentError: it has more than `MOST_SENSORS` sensors, or none.
    """
    count = len(manifest.sensors)
    if not 1 <= count <= MOST_SENSORS:
        raise ArgumentError(
            f"{what} runs every set of sensors: the bundle must have 1 to "
            f"{MOST_SENSORS}, got {count}."
        )


def require_gone(manifest: Manifest) -> None:
    """Refuse policies by which a sensor that is left out lives on in a held frame.

    Raises:
        ArgumentError: an input holds frames.
    """
    for sensor in manifest.sensors:
        if sensor.missing.policy == "hold":
            raise ArgumentError(
                f"segmenter must hold no frame, as a sensor that is left out is gone, "
                f"but {sensor.name} does: load it with missing={{{sensor.name!r}: "
                f"{{'policy': {sensor.missing.then!r}}}}}."
            )


def label_with(
    segmenter: Segmenter,
    sensors: Collection[str],
    frames: Mapping[str, Any],
    size: tuple[int, int] | None,
) -> NDArray[np.uint8] | FrameError:
    """Labels (H, W) made without the other sensors; the error if that is refused.

    Args:
        frames: By input name, those of all sensors, and texts.
        size: Of the labels, if not the camera's.
    """
    known = {sensor.name for sensor in segmenter.manifest.sensors}
    given = {n: f for n, f in frames.items() if n in sensors or n not in known}
    try:
        return segmenter(size=size, **given).labels
    except FrameError as err:
        return err


def count_pixels(
    expected: NDArray[Any],
    labels: NDArray[np.uint8] | FrameError,
    classes: int,
    ignore: int,
) -> NDArray[np.int64]:
    """By class, pixels of it in both, and in either: (2, classes).

    What was refused has no label at any pixel. Pixels of which ``ignore`` is expected
    count nowhere.
    """
    if isinstance(labels, FrameError):
        known = expected[expected != ignore]
        missed = np.bincount(known, minlength=classes)
        return np.stack([np.zeros_like(missed), missed])
    table = confusion(expected, labels, classes, ignore)
    both = np.diagonal(table)
    return np.stack([both, table.sum(axis=0) + table.sum(axis=1) - both])
