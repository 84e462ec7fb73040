"""A finished bundle while sensors are missing, so that a stand-in runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from fuseg import Segmenter
from fuseg.manifest import Manifest
from fuseg.runtime.outputs import adapter_of

from .trial import StandIn

__all__ = ["WithoutSensors"]


class WithoutSensors:
    """What the runtime makes of frames where a stand-in has to run.

    Args:
        stand_in: Of one output.
        manifest: The bundle's.
        opened: Loads the bundle with other policies for missing sensors.
    """

    def __init__(
        self,
        stand_in: StandIn,
        manifest: Manifest,
        opened: Callable[[Mapping[str, Any]], Segmenter],
    ) -> None:
        self._stand_in = stand_in
        self._lost = [e.name for e in manifest.sensors if e.tensor in stand_in.lost]
        away = {"policy": "sibling"}
        self._segmenter = opened(dict.fromkeys(self._lost, away))
        (self._output,) = (o for o in manifest.outputs if o.name == stand_in.of)

    def __call__(
        self, arrays: Mapping[str, Any], size: tuple[int, int] | None
    ) -> dict[str, NDArray[Any]]:
        """The stand-in's output by its name, of these frames but for those lost.

        They come after all of them, as results lie over the first camera's frames,
        lost or not.
        """
        frames: Any = arrays
        self._segmenter(size=size, **frames)
        given: Any = {n: array for n, array in arrays.items() if n not in self._lost}
        result = self._segmenter(size=size, **given)
        found = adapter_of(self._output).as_array(result[self._output.name])
        return {self._stand_in.output.name: found}
