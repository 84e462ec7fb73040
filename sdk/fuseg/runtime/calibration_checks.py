"""Whether live frames are like those that the bundle was made with.

A unit that is off by ten, a lens cap or a sensor that sees almost nothing give labels
all the same. A sparse grid of pixels tells, of the first frames and then of few.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..manifest import DepthInput, Statistics
from ..manifest.units import parse_unit
from .frame_format import DepthFormat

__all__ = ["CalibrationCheck", "about_brightness", "about_planes", "about_values"]

# Of some pixels: whether the sensor sees nothing, and what is far outside, if anything.
Strange = Callable[[NDArray[Any], Statistics], tuple[bool, str | None]]

_GRID = 32  # rows and columns of pixels that are looked at
_FIRST = 8  # frames that are looked at, each
_EVERY = 256  # after that
_IN_A_ROW = (
    3  # of those looked at, before one that sees nothing is reported: it may start
)
_FEWEST_FRAMES = 8  # of the bundle's statistics, to go by them
_FAR = 2.0  # a distance is far outside beyond this times the largest, or its inverse
_FEW = 0.25  # of the share of readings that there was
_DARK = 0.1  # of the median brightness that there was

_log = logging.getLogger("fuseg")


class CalibrationCheck:
    """Looks at one input's frames; says once what is far from the bundle's.

    Attributes:
        warning: What was said, or None.
    """

    def __init__(self, name: str, known: Statistics | None, strange: Strange) -> None:
        self.warning: str | None = None
        self._name, self._strange = name, strange
        self._known = (
            known if known is not None and known.frames >= _FEWEST_FRAMES else None
        )
        self._looked, self._outside, self._wait = 0, 0, 0
        self._size: tuple[int, ...] = ()  # of the frames that this grid is of
        self._grid: tuple[NDArray[np.int64], ...] = ()

    def check(self, frame: Any) -> None:
        """Check a frame, if it is its turn; what is on a GPU is not read."""
        if self._wait:
            self._wait -= 1
            return
        known = self._known
        if known is None or self.warning or not isinstance(frame, np.ndarray):
            return
        blind, found = self._about(frame, known)
        self._looked += 1
        self._outside = 0 if found is None else self._outside + 1
        if found is not None and self._outside >= (_IN_A_ROW if blind else 1):
            self.warning = f"{self._name}: {found}"
            _log.warning("%s", self.warning)
        elif self._looked >= _FIRST and found is None:
            self._wait = _EVERY - 1

    def _about(self, frame: NDArray[Any], known: Statistics) -> tuple[bool, str | None]:
        """What is far outside, if anything, and whether the sensor sees nothing."""
        size = frame.shape[:2]
        if size != self._size:
            rows, columns = (
                np.linspace(0, n - 1, min(n, _GRID)).astype(int) for n in size
            )
            self._size, self._grid = size, np.ix_(rows, columns)
        return self._strange(frame[self._grid], known)


def about_brightness(pixels: NDArray[Any], known: Statistics) -> str | None:
    """What is wrong with pixels (H, W, channels) of a colour camera."""
    bright = _nth(pixels[..., :3].reshape(-1), 0.99)  # without alpha
    usual = max(known.p50)
    if bright >= _DARK * usual:
        return None
    return (
        f"it is dark, {bright:.0f} of 255 where it is brightest; the median of the "
        f"frames that the bundle was made with was {usual:.0f}. Is it 0 to 255?"
    )


def about_values(
    pixels: NDArray[Any], spec: DepthInput, delivered: DepthFormat, known: Statistics
) -> tuple[bool, str | None]:
    """What is wrong with the pixels (H, W) of a depth-like sensor, if anything, and
    whether it sees nothing."""
    raw = pixels.astype(np.float64).ravel()
    valid = _are_readings(raw, delivered.invalid)
    if delivered.valid_range is not None:
        low, high = delivered.valid_range
        valid &= (raw >= low) & (raw <= high)
    share = float(valid.mean())
    if share < _FEW * known.valid_share:
        return True, _about_share(share, known)
    median = _nth(raw[valid], 0.5) * delivered.scale / spec.scale
    return False, _about_median(spec, median, known, delivered.unit)


def about_planes(
    pixels: NDArray[Any], invalid: Sequence[float], known: Statistics
) -> tuple[bool, str | None]:
    """As `about_values`, of pixels (N, planes) in the manifest's own values."""
    valid = np.isfinite(pixels) & ~np.isin(pixels, invalid)
    share = float(valid.mean())
    if share < _FEW * known.valid_share:
        return True, _about_share(share, known)
    for number, (low, high) in enumerate(zip(known.p1, known.p99, strict=True)):
        readings = pixels[valid[:, number], number].astype(np.float64)
        if not readings.size:
            continue
        median, margin = _nth(readings, 0.5), high - low
        if not low - margin <= median <= high + margin:
            return False, (
                f"the median of its plane {number} is {median:.3g}; 98 % of what the "
                f"bundle was made with lay between {low:.3g} and {high:.3g}."
            )
    return False, None


def _about_share(share: float, known: Statistics) -> str:
    return (
        f"{share:.0%} of its pixels are readings; of the frames that the "
        f"bundle was made with it was {known.valid_share:.0%}."
    )


def _are_readings(
    raw: NDArray[np.float64], invalid: Sequence[float]
) -> NDArray[np.bool_]:
    readings: NDArray[np.bool_] = np.isfinite(raw)
    for value in invalid:
        readings &= raw != value
    return readings


def _nth(values: NDArray[Any], share: float) -> float:
    """The value that this share of the others is below."""
    at = int(share * (values.size - 1))
    return float(np.partition(values, at)[at])


def _about_median(
    spec: DepthInput, median: float, known: Statistics, said: str
) -> str | None:
    low, high = known.p1[0], known.p99[0]
    margin = high - low
    least, most = low - margin, high + margin
    if parse_unit(spec.unit)[0] == "length" and low > 0:
        least, most = low / _FAR, high * _FAR
    if least <= median <= most:
        return None
    unit = "" if spec.unit == "1" else f" {spec.unit}"
    middle, first, last = (
        f"{v:.0f}" if abs(v) >= 1000 else f"{v:.3g}" for v in (median, low, high)
    )
    return (
        f"its median is {middle}{unit}; 98 % of what the bundle was made with lay "
        f"between {first} and {last}{unit}. If its frames are not in {said}, say so "
        "when loading (units, --unit)."
    )
