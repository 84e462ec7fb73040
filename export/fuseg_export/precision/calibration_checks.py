"""What calibration frames would do to INT8: outliers, holes and their fill value.

The steps of an input's range go to its ends. A few far values, or a fill value beyond
all readings, leave few for what the network looks at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import ImageInput

__all__ = ["CalibrationChecks"]

_A_FRAME = 1024  # values looked at of each sensor
_MOSTLY = 0.5
_TAIL = 4.0  # times as far as all but one value of a thousand
_WASTE = 0.25  # of the range


class CalibrationChecks:
    """Collects a few values of each frame; then says what is unusual about them."""

    def __init__(self, inputs: Sequence[ImageInput]) -> None:
        self._inputs = inputs
        self._seen: dict[str, list[NDArray[np.float32]]] = {i.name: [] for i in inputs}

    def __call__(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        for entry in self._inputs:
            first = entry.channel
            planes = tensors[entry.tensor][0, first : first + entry.planes]
            step = max(1, planes.size // _A_FRAME)
            self._seen[entry.name].append(planes.reshape(-1)[::step].copy())

    def warnings(self) -> list[str]:
        """A sentence on everything unusual."""
        found = []
        for entry in self._inputs:
            values = np.concatenate(self._seen[entry.name])
            filled = values == np.float32(entry.fill)
            if entry.kind == "color" or not filled.any():
                found += self._tail(entry.name, values)
                continue
            share = float(filled.mean())
            if share > _MOSTLY:
                found.append(
                    f"{entry.name}: {share:.0%} of the calibration's pixels have no "
                    "reading: its ranges rest on few"
                )
            readings = values[~filled]
            if readings.size:
                found += self._tail(entry.name, readings)
                found += self._fill(entry, readings)
        return found

    @staticmethod
    def _tail(name: str, values: NDArray[np.float32]) -> list[str]:
        distance = np.abs(values - np.median(values))
        usual = float(np.quantile(distance, 0.999))
        largest = float(distance.max())
        if largest <= _TAIL * usual:
            return []
        far = largest / max(usual, 1e-9)
        return [
            f"{name}: one value lies {far:.1f} times as far from the middle as 99.9 % "
            + "of them do, and takes INT8's steps from the rest: try "
            + "--calibration-method percentile"
        ]

    @staticmethod
    def _fill(entry: ImageInput, readings: NDArray[np.float32]) -> list[str]:
        low, high = float(readings.min()), float(readings.max())
        wide = max(high, entry.fill) - min(low, entry.fill)
        waste = 1 - (high - low) / wide if wide > 0 else 0.0
        if waste <= _WASTE:
            return []
        return [
            f"{entry.name}: its fill value {entry.fill:g} lies beyond all readings "
            + f"({low:.3g} to {high:.3g}) and takes {waste:.0%} of INT8's steps: train "
            + "with one nearer to them"
        ]
