"""Paired frames to verify an export on: the user's own, or rendered rooms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.errors import ArgumentError
from fuseg.images import read_frame
from fuseg.manifest import Input
from fuseg.manifest.units import parse_unit, unit_factor
from fuseg.pairs import pair

from .scenes import HELD_OUT_SEEDS, Scene, render

__all__ = ["MOST_FRAMES", "Frame", "adapt", "read", "rendered"]

CAMERA = (480, 640)
MOST_FRAMES = 16
_LARGEST = {"uint8": 255, "uint16": 65535, "float32": 1.0}
_COLDEST = {"temperature in kelvin": 285.0, "temperature in Celsius": 12.0}
_WARMTH = 25.0  # kelvin between black and white


@dataclass(frozen=True, eq=False)
class Frame:
    """One moment.

    Attributes:
        arrays: A frame for each input, as the manifest declares it.
        truth: Labels at the first input's size, uint8; None if they are not known.
    """

    arrays: dict[str, NDArray[Any]]
    truth: NDArray[np.uint8] | None = None


def rendered(inputs: Sequence[Input], count: int, *, labelled: bool) -> list[Frame]:
    """Rooms that no reference model was trained on, seen by these sensors.

    Args:
        inputs: Each kind sees what it can: colour the picture; depth and range the
            distances; thermal the brightness, as if white were warm.
        count: How many.
        labelled: Whether the scenes' classes are the network's.
    """
    scenes = [render(seed, *CAMERA) for seed in HELD_OUT_SEEDS[:count]]
    return [adapt(inputs, s, labelled=labelled) for s in scenes]


def adapt(inputs: Sequence[Input], scene: Scene, *, labelled: bool) -> Frame:
    """One room as these sensors see it; see `rendered`."""
    return Frame(
        {i.name: _seen(i, scene) for i in inputs}, scene.labels if labelled else None
    )


def read(inputs: Sequence[Input], sources: Mapping[str, str]) -> list[Frame]:
    """The user's frames, paired as ``fuseg run`` pairs them; the first 16.

    Args:
        inputs: Their names must be those of ``sources``.
        sources: By input name a file, a folder, or a pattern with one star.

    Raises:
        ArgumentError: Names do not fit, or no frame has a file of every input.
        InputFileError: A file cannot be read.
    """
    wanted = [i.name for i in inputs]
    if sorted(sources) != sorted(wanted):
        raise ArgumentError(
            f"--frames must be given for each of {', '.join(wanted)}, got "
            f"{', '.join(sources)}."
        )
    pairs = pair({name: sources[name] for name in wanted})
    if not pairs.frames:
        raise ArgumentError(
            "--frames must pair, but no frame has a file of each input."
        )
    frames = []
    for files in pairs.frames[:MOST_FRAMES]:
        arrays = {i.name: read_frame(files.files[i.name], i.kind) for i in inputs}
        for i in inputs:
            stored_as_rgb = files.files[i.name].suffix.lower() != ".npy"
            _require(i, arrays[i.name], files.files[i.name])
            if i.channels == "BGR" and stored_as_rgb:
                arrays[i.name] = np.ascontiguousarray(arrays[i.name][..., ::-1])
        frames.append(Frame(arrays))
    return frames


def _require(sensor: Input, array: NDArray[Any], path: Path) -> None:
    wanted = "(H, W, 3)" if sensor.kind == "color" else "(H, W)"
    fits = array.ndim == 3 and array.shape[2] == 3
    if sensor.kind != "color":
        fits = array.ndim == 2
    if not fits or array.dtype != sensor.dtype or not array.size:
        raise ArgumentError(
            f"--frames {sensor.name}: {path} must be {sensor.dtype} {wanted}, got "
            f"{array.dtype} {array.shape}: give other frames, or say with --spec what "
            "this sensor delivers."
        )


def _seen(sensor: Input, scene: Scene) -> NDArray[Any]:
    if sensor.kind == "color":
        turned = scene.color[..., ::-1] if sensor.channels == "BGR" else scene.color
        return np.ascontiguousarray(turned)
    if sensor.kind == "thermal":
        return _stored(sensor, _warmth(sensor, scene.color))
    unit = "mm" if sensor.unit == "1" else str(sensor.unit)
    frame = _stored(sensor, scene.depth * unit_factor("mm", unit))
    none = np.nan if sensor.dtype == "float32" else (*sensor.invalid, 0)[0]
    frame[scene.depth == 0] = none
    return frame


def _warmth(sensor: Input, color: NDArray[np.uint8]) -> NDArray[Any]:
    brightness = color @ np.array([0.299, 0.587, 0.114]) / 255
    dimension, step = parse_unit(str(sensor.unit))
    if dimension not in _COLDEST:
        values = brightness * _LARGEST[sensor.dtype]
    else:
        values = (_COLDEST[dimension] + _WARMTH * brightness) / float(step)
    return np.asarray(values)


def _stored(sensor: Input, values: NDArray[Any]) -> NDArray[Any]:
    if sensor.dtype == "float32":
        return values.astype(np.float32)
    whole = np.rint(values).clip(0, _LARGEST[sensor.dtype])
    return np.asarray(whole, sensor.dtype)
