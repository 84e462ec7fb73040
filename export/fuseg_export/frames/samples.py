"""Paired frames to verify an export on: the user's own, or rendered rooms."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset.frame_matching import Stamps, match_frames
from fuseg.dataset.images import read_frame
from fuseg.dataset.label_ids import TruthReader
from fuseg.errors import ArgumentError, ShapeError
from fuseg.manifest import Input
from fuseg.manifest.units import parse_unit, unit_factor

from ..scenes import HELD_OUT_SEEDS, Scene, render

__all__ = [
    "MOST_FRAMES",
    "FileOptions",
    "Frame",
    "Frames",
    "Paired",
    "Rendered",
    "adapt",
    "first",
    "rendered",
]

CAMERA = (480, 640)
MOST_FRAMES = 16
_TRUTH = "--truth"
_LARGEST = {"uint8": 255, "uint16": 65535, "float32": 1.0}
_COLDEST = {"temperature in kelvin": 285.0, "temperature in Celsius": 12.0}
# As drivers deliver it, in float32 and in uint16.
_UNITS = {
    "length": ("m", "mm"),
    "temperature in kelvin": ("K", "0.01K"),
    "temperature in Celsius": ("C", "0.01C"),
}
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


class Frames(Protocol):
    """Frames that are made or read when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> Frame: ...


class Rendered:
    """Rooms that no reference model was trained on, seen by these sensors.

    Each is rendered when it is asked for.

    Args:
        inputs: Each kind sees what it can: colour the picture; depth and range the
            distances; thermal the brightness, as if white were warm.
        numbers: Which of the held-out rooms.
        labelled: Whether the scenes' classes are the network's.
    """

    def __init__(
        self, inputs: Sequence[Input], numbers: range, *, labelled: bool
    ) -> None:
        self._inputs, self._labelled = inputs, labelled
        self._seeds = HELD_OUT_SEEDS[numbers.start : numbers.stop]

    def __len__(self) -> int:
        return len(self._seeds)

    def __getitem__(self, number: int) -> Frame:
        scene = render(self._seeds[number], *CAMERA)
        return adapt(self._inputs, scene, labelled=self._labelled)


def rendered(inputs: Sequence[Input], count: int, *, labelled: bool) -> list[Frame]:
    """The first rooms of `Rendered`."""
    frames = Rendered(inputs, range(count), labelled=labelled)
    return [frames[i] for i in range(count)]


def adapt(inputs: Sequence[Input], scene: Scene, *, labelled: bool) -> Frame:
    """One room as these sensors see it; see `rendered`."""
    return Frame(
        {i.name: _seen(i, scene) for i in inputs}, scene.labels if labelled else None
    )


@dataclass(frozen=True)
class FileOptions:
    """How the user's files are read and paired.

    Attributes:
        stamps: By the time in their names; None: by equal names.
        planes: By input name, the channel of an image file that is the sensor's.
    """

    stamps: Stamps | None = None
    planes: Mapping[str, str] = field(default_factory=dict)


class Paired:
    """The user's frames, paired as ``fuseg run`` pairs them, read when asked for.

    Args:
        inputs: Their names must be those of ``sources``.
        sources: By input name a file, a folder, or a pattern with stars.
        truth: The same for the true labels; None if they are not known.
        option: What the user calls the frames, for the sentences.
        files: How they are read and paired.

    Attributes:
        unpaired: A sentence on each sensor whose files have not all a partner.

    Raises:
        ArgumentError: Names do not fit, or no frame has a file of every input.
        InputFileError: A file cannot be read.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        sources: Mapping[str, str],
        truth: str | None = None,
        option: str = "--frames",
        files: FileOptions = FileOptions(),
    ) -> None:
        self._inputs, self._option, self._planes = inputs, option, files.planes
        self._read_truth: TruthReader | None = None
        wanted = [i.name for i in inputs]
        if sorted(sources) != sorted(wanted):
            raise ArgumentError(
                f"{option} must be given for each of {', '.join(wanted)}, got "
                f"{', '.join(sources)}."
            )
        stamps = files.stamps
        of_stamps = [stamps.reference] if stamps and stamps.reference else []
        for told, names in (("--plane", files.planes), ("--reference", of_stamps)):
            unknown = [name for name in names if name not in wanted]
            if unknown:
                raise ArgumentError(
                    f"{told} must name one of {', '.join(wanted)}, got {unknown[0]}."
                )
        if stamps and stamps.reference:
            stamps = replace(stamps, reference=f"{option} {stamps.reference}")
        named = {f"{option} {name}": sources[name] for name in wanted}
        every = named if truth is None else {**named, _TRUTH: truth}
        pairs = match_frames(every, stamps)
        if not pairs.frames:
            each = "each input" if truth is None else "each input and of --truth"
            raise ArgumentError(
                f"{option} must pair, but no frame has a file of {each}: {pairs.hint}."
            )
        self._frames = pairs.frames
        self.unpaired = tuple(
            f"{name}: {len(files)} without a partner are left out, the first is "
            f"{files[0]}"
            for name, files in pairs.unpaired.items()
        )

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Frame:
        files = self._frames[number].files
        arrays = {
            i.name: self._read(i, files[f"{self._option} {i.name}"])
            for i in self._inputs
        }
        if _TRUTH not in files or self._read_truth is None:
            return Frame(arrays)
        truth = self._read_truth(files[_TRUTH])
        first = self._inputs[0].name
        if truth.shape != arrays[first].shape[:2]:
            raise ShapeError(
                f"{_TRUTH}: {files[_TRUTH]} must have the size of {first}'s frame, "
                f"{arrays[first].shape[:2]}, got {truth.shape}."
            )
        return Frame(arrays, truth)

    def labelled(self, read_truth: TruthReader) -> Paired:
        """The same frames with their true labels, if there are any."""
        same = copy.copy(self)
        same._read_truth = read_truth
        return same

    def _read(self, sensor: Input, path: Path) -> NDArray[Any]:
        plane = self._planes.get(sensor.name)
        array = read_frame(path, sensor.kind, channels=plane, name=sensor.name)
        _require(sensor, array, path, self._option)
        if sensor.channels == "BGR" and path.suffix.lower() != ".npy":
            array = np.ascontiguousarray(array[..., ::-1])
        return array


def first(frames: Frames) -> list[Frame]:
    """The first `MOST_FRAMES` of these frames."""
    return [frames[i] for i in range(min(len(frames), MOST_FRAMES))]


def _require(sensor: Input, array: NDArray[Any], path: Path, option: str) -> None:
    wanted = "(H, W, 3)" if sensor.kind == "color" else "(H, W)"
    fits = array.ndim == 3 and array.shape[2] == 3
    if sensor.kind != "color":
        fits = array.ndim == 2
    if not fits or array.dtype != sensor.dtype or not array.size:
        raise ArgumentError(
            f"{option} {sensor.name}: {path} must be {sensor.dtype} {wanted}, got "
            f"{array.dtype} {array.shape}: {_way_out(sensor, array)}"
        )


def _way_out(sensor: Input, array: NDArray[Any]) -> str:
    if not array.size:
        return "it holds no pixel."
    if sensor.kind == "color":
        return "give frames of 8 bits per channel, with the channels last."
    if array.ndim != 2 or array.dtype == sensor.dtype:
        return "give frames of one plane."
    if array.dtype == np.uint8:
        return (
            "an 8-bit image has lost the sensor's values; give the one that the "
            "sensor's driver stored."
        )
    if array.dtype not in (np.float32, np.uint16) or sensor.unit == "1":
        return "give other frames, or say with --spec what this sensor delivers."
    dimension = parse_unit(str(sensor.unit))[0]
    unit = _UNITS[dimension][0 if array.dtype == np.float32 else 1]
    said: dict[str, Any] = {"dtype": str(array.dtype), "unit": unit}
    said["scale"] = float(f"{sensor.scale * unit_factor(unit, str(sensor.unit)):.12g}")
    if array.dtype == np.uint16:
        said["invalid"] = [0, 65535]
    spec = json.dumps({"inputs": {sensor.name: said}})
    return f"say what this sensor delivers, such as {spec} in a file, --spec FILE."


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
