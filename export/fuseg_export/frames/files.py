"""The user's files of frames and label maps, matched to frame sets."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset.frame_matching import Stamps, match_frames
from fuseg.dataset.images import read_frame
from fuseg.dataset.label_ids import TruthReader
from fuseg.errors import ArgumentError, ShapeError
from fuseg.manifest import ImageInput
from fuseg.manifest.units import parse_unit, unit_factor

from .frame_set import FrameSet

__all__ = ["FileDataset", "FileOptions"]

_TRUTH = "--truth"
# As drivers deliver it, in float32 and in uint16.
_UNITS = {
    "length": ("m", "mm"),
    "temperature in kelvin": ("K", "0.01K"),
    "temperature in Celsius": ("C", "0.01C"),
}


@dataclass(frozen=True)
class FileOptions:
    """How the user's files are read and matched.

    Attributes:
        stamps: Match by the time in their names; None: by equal names.
        planes: By input name, the channel of an image file that is the sensor's.
    """

    stamps: Stamps | None = None
    planes: Mapping[str, str] = field(default_factory=dict)


class FileDataset:
    """The user's frames, matched as ``fuseg run`` matches them, read when asked for.

    Args:
        inputs: Their names must be those of ``sources``.
        sources: By input name a file, a folder, or a pattern with stars.
        truth: The same for the true labels; None if they are not known.
        option: What the user calls the frames, for error messages.
        files: How they are read and matched.

    Attributes:
        unmatched: A sentence on each sensor some of whose files have no partner.

    Raises:
        ArgumentError: Names do not fit, or no frame has a file of every input.
        InputFileError: A file cannot be read.
    """

    def __init__(
        self,
        inputs: Sequence[ImageInput],
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
        for flag, names in (
            ("--plane", files.planes),
            ("--reference", of_stamps),
        ):
            unknown = [name for name in names if name not in wanted]
            if unknown:
                raise ArgumentError(
                    f"{flag} must name one of {', '.join(wanted)}, got {unknown[0]}."
                )
        if stamps and stamps.reference:
            stamps = replace(stamps, reference=f"{option} {stamps.reference}")
        named = {f"{option} {name}": sources[name] for name in wanted}
        every = named if truth is None else {**named, _TRUTH: truth}
        matched = match_frames(every, stamps)
        if not matched.frames:
            each = "each input" if truth is None else "each input and of --truth"
            raise ArgumentError(
                f"{option} must match, but no frame has a file of {each}: "
                f"{matched.hint}."
            )
        self._frames = matched.frames
        self.unmatched = tuple(
            f"{name}: {len(files)} without a partner are left out, the first is "
            f"{files[0]}"
            for name, files in matched.unmatched.items()
        )

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> FrameSet:
        files = self._frames[number].files
        arrays = {
            i.name: self._read(i, files[f"{self._option} {i.name}"])
            for i in self._inputs
        }
        if _TRUTH not in files or self._read_truth is None:
            return FrameSet(arrays)
        truth = self._read_truth(files[_TRUTH])
        first = self._inputs[0].name
        if truth.shape != arrays[first].shape[:2]:
            raise ShapeError(
                f"{_TRUTH}: {files[_TRUTH]} must have the size of {first}'s frame, "
                f"{arrays[first].shape[:2]}, got {truth.shape}."
            )
        return FrameSet(arrays, truth)

    def with_truth(self, read_truth: TruthReader) -> FileDataset:
        """The same frames with their true labels, if there are any."""
        same = copy.copy(self)
        same._read_truth = read_truth
        return same

    def _read(self, sensor: ImageInput, path: Path) -> NDArray[Any]:
        plane = self._planes.get(sensor.name)
        kind = "color" if len(sensor.frame_shape) == 3 else sensor.kind
        array = read_frame(path, kind, channels=plane, name=sensor.name)
        _require(sensor, array, path, self._option)
        turned = sensor.kind == "color" and sensor.channels == "BGR"
        if turned and path.suffix.lower() != ".npy":
            array = np.ascontiguousarray(array[..., ::-1])
        return array


def _require(sensor: ImageInput, array: NDArray[Any], path: Path, option: str) -> None:
    wanted = f"({', '.join(map(str, sensor.frame_shape))})"
    fits = array.ndim == len(sensor.frame_shape) and all(
        isinstance(want, str) or want == got
        for want, got in zip(sensor.frame_shape, array.shape, strict=True)
    )
    if not fits or array.dtype != sensor.dtype or not array.size:
        raise ArgumentError(
            f"{option} {sensor.name}: {path} must be {sensor.dtype} {wanted}, got "
            f"{array.dtype} {array.shape}: {_way_out(sensor, array)}"
        )


def _way_out(sensor: ImageInput, array: NDArray[Any]) -> str:
    if not array.size:
        return "it holds no pixel."
    if sensor.kind == "color":
        return "give frames of 8 bits per channel, with the channels last."
    if sensor.kind == "plane":
        return "give frames of this type and shape, as .npy if need be."
    if array.ndim != 2 or array.dtype == sensor.dtype:
        return "give frames of one plane."
    resize = sensor.resize
    word = f"{sensor.name}={sensor.kind}:{resize.height}x{resize.width}:{array.dtype}"
    if array.dtype == np.uint8:
        return (
            "an 8-bit image has lost the sensor's values; give the one that the "
            "sensor's driver stored, or, if the network was trained on such images, "
            f"say --input {word}."
        )
    if array.dtype not in (np.float32, np.uint16):
        return "give frames of uint8, uint16 or float32."
    if sensor.unit == "1":
        return (
            "give other frames, or, if the network was trained on such, say --input "
            f"{word}."
        )
    dimension = parse_unit(str(sensor.unit))[0]
    unit = _UNITS[dimension][0 if array.dtype == np.float32 else 1]
    said: dict[str, Any] = {"dtype": str(array.dtype), "unit": unit}
    said["scale"] = float(f"{sensor.scale * unit_factor(unit, str(sensor.unit)):.12g}")
    if array.dtype == np.uint16:
        said["invalid"] = [0, 65535]
    spec = json.dumps({"inputs": {sensor.name: said}})
    return f"say what this sensor delivers, such as {spec} in a file, --spec FILE."
