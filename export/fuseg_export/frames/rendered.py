"""Rendered rooms as the sensors of any network would see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.manifest import DepthInput, ImageInput
from fuseg.manifest.units import parse_unit, unit_factor

from ..scenes import HELD_OUT_SEEDS, Scene, render
from .frame_set import Dataset, FrameSet

__all__ = [
    "CAMERA",
    "SMALL_CAMERA",
    "RenderedDataset",
    "Scenes",
    "as_frame_set",
    "labelled_rooms",
    "rooms",
    "small_rooms",
]

# Of a network's pictures, and of numbers: these held-out scenes as they see them.
Scenes = Callable[[Sequence[ImageInput], range], Dataset]

CAMERA = (480, 640)  # height and width
SMALL_CAMERA = (96, 128)
_LARGEST = {"uint8": 255, "uint16": 65535, "float32": 1.0}
_COLDEST = {"temperature in kelvin": 285.0, "temperature in Celsius": 12.0}
_WARMTH = 25.0  # kelvin between black and white


class RenderedDataset:
    """Rooms that no reference model was trained on, rendered when they are asked for.

    Args:
        inputs: Each kind sees what it can: color the picture; depth and range the
            distances; thermal the brightness, as if white were warm; a map, too.
        numbers: Which of the held-out rooms.
        labelled: Whether the scenes' classes are the network's.
        camera: Height and width of the frames.
    """

    def __init__(
        self,
        inputs: Sequence[ImageInput],
        numbers: range,
        *,
        labelled: bool,
        camera: tuple[int, int] = CAMERA,
    ) -> None:
        self._inputs, self._labelled, self._camera = inputs, labelled, camera
        self._seeds = HELD_OUT_SEEDS[numbers.start : numbers.stop]

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, number: int) -> FrameSet:
        scene = render(self._seeds[number], *self._camera)
        return as_frame_set(self._inputs, scene, labelled=self._labelled)


# What a network of whatever else is shown for want of better, and what rooms' own are.
rooms: Scenes = partial(RenderedDataset, labelled=False)
labelled_rooms: Scenes = partial(RenderedDataset, labelled=True)
small_rooms: Scenes = partial(RenderedDataset, labelled=True, camera=SMALL_CAMERA)


def as_frame_set(
    inputs: Sequence[ImageInput], scene: Scene, *, labelled: bool
) -> FrameSet:
    """One room as these inputs see it; see `RenderedDataset`."""
    return FrameSet(
        {i.name: _seen_by(i, scene) for i in inputs}, scene.labels if labelled else None
    )


def _seen_by(sensor: ImageInput, scene: Scene) -> NDArray[Any]:
    if sensor.kind == "color":
        pixels = scene.color[..., ::-1] if sensor.channels == "BGR" else scene.color
        return np.ascontiguousarray(pixels)
    if sensor.kind == "plane":
        frame = _stored(sensor, _brightness(scene.color) * _LARGEST[sensor.dtype])
        return np.dstack([frame] * sensor.planes) if sensor.planes > 1 else frame
    if sensor.kind == "thermal":
        return _stored(sensor, _temperature(sensor, scene.color))
    unit = "mm" if sensor.unit == "1" else sensor.unit
    frame = _stored(sensor, scene.depth * unit_factor("mm", unit))
    no_reading = np.nan if sensor.dtype == "float32" else (*sensor.invalid, 0)[0]
    frame[scene.depth == 0] = no_reading
    return frame


def _temperature(sensor: DepthInput, color: NDArray[np.uint8]) -> NDArray[Any]:
    brightness = _brightness(color)
    dimension, step = parse_unit(sensor.unit)
    if dimension not in _COLDEST:
        values = brightness * _LARGEST[sensor.dtype]
    else:
        values = (_COLDEST[dimension] + _WARMTH * brightness) / float(step)
    return np.asarray(values)


def _brightness(color: NDArray[np.uint8]) -> NDArray[Any]:
    return np.asarray(color @ np.array([0.299, 0.587, 0.114]) / 255)


def _stored(sensor: ImageInput, values: NDArray[Any]) -> NDArray[Any]:
    if sensor.dtype == "float32":
        return values.astype(np.float32)
    whole = np.rint(values).clip(0, _LARGEST[sensor.dtype])
    return np.asarray(whole, sensor.dtype)
