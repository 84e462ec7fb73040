"""The frames that decide: some to calibrate on, others to judge the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.errors import ArgumentError
from fuseg.manifest import Input
from fuseg.sensor import Sensor

from ..definition import at_size
from ..samples import Frames, Paired, Rendered
from ..target import Target, tensor_shapes
from .judge import Case
from .watch import Watch

__all__ = ["Data", "Packer", "choose"]

CALIBRATION = "--calibration"
_REPAIRING = 16  # frames that the search of sensitive layers labels again and again
_CALIBRATION = range(1000, 1064)  # rendered rooms
_HELD_OUT = 200


@dataclass(frozen=True)
class Data:
    """The frames of one decision.

    Attributes:
        calibration: Whose ranges are taken, and the first of which repairs.
        held_out: That variants are judged on.
        doubts: What the user should know of them, a sentence each.
    """

    inputs: tuple[Input, ...]
    size: tuple[int, int]
    calibration: Frames
    held_out: Frames
    doubts: tuple[str, ...]

    def calibrating(
        self, watch: Watch | None = None
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        """The tensors to take ranges of, one frame in memory at a time."""
        pack = Packer(self.inputs, CALIBRATION)
        for number in range(len(self.calibration)):
            tensors = pack(number, self.calibration[number].arrays)
            if watch is not None:
                watch(tensors)
            yield tensors

    def repairing(self) -> list[Case]:
        """A few cases of the calibration."""
        few = min(len(self.calibration), _REPAIRING)
        return list(_cases(self, self.calibration, CALIBRATION, few))

    def frame(self, number: int) -> tuple[NDArray[np.uint8] | None, Case]:
        """One of those judged on: its first colour picture, RGB, and the case."""
        arrays = self.held_out[number].arrays
        pack = Packer(self.inputs, "--frames")
        case = Case(pack(number, arrays))
        for entry in self.inputs:
            if entry.kind == "color":
                color = arrays[entry.name]
                return (color[..., ::-1] if entry.channels == "BGR" else color), case
        return None, case

    def judging(self) -> Iterator[Case]:
        """The cases to judge on, one in memory at a time."""
        return _cases(self, self.held_out, "--frames", len(self.held_out))


def choose(
    target: Target,
    inputs: tuple[Input, ...],
    size: tuple[int, int],
    *,
    calibration: Mapping[str, str] | None,
    frames: Mapping[str, str] | None,
    truth: str | None,
) -> Data:
    """The user's frames, or rendered rooms for what the user did not give.

    Args:
        size: Of the network's own labels.
        calibration, frames: Sources by input name; see `samples.Paired`.
        truth: Source of the true labels of ``frames``.

    Raises:
        ArgumentError, InputFileError: See `samples.Paired`.
    """
    doubts: list[str] = []
    known = target.is_reference
    if truth is not None and not frames:
        raise ArgumentError("--truth needs the --frames that it is of.")
    held_out: Frames = Rendered(inputs, range(16, 16 + _HELD_OUT), labelled=known)
    if frames:
        held_out = Paired(inputs, frames, truth)
        doubts += held_out.unpaired
    calibrating: Frames = Rendered(inputs, _CALIBRATION, labelled=known)
    if calibration:
        calibrating = Paired(inputs, calibration, option=CALIBRATION)
        doubts += calibrating.unpaired
    elif frames:
        calibrating = held_out
        doubts.append(
            "calibrated and judged on the same frames: give others, --calibration "
            "NAME=PATH"
        )
    elif not known:
        doubts.append(
            "calibrated and judged on rendered rooms, which are not what this network "
            "was trained for: give real frames, --calibration and --frames NAME=PATH"
        )
    return Data(inputs, size, calibrating, held_out, tuple(doubts))


class Packer:
    """Frames to the network's tensors, as the runtime packs them; none may be unusable.

    Args:
        inputs: Of the manifest.
        option: What the user calls these frames, for the sentences.
    """

    def __init__(self, inputs: Sequence[Input], option: str) -> None:
        self._sensors = {i.name: Sensor(i) for i in inputs}
        self._shapes = tensor_shapes(inputs)
        self._option = option
        self._sizes: dict[str, tuple[int, ...]] = {}

    def __call__(
        self, number: int, arrays: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[np.float32]]:
        """The tensors of frame ``number``.

        Raises:
            ArgumentError: A sensor has no valid pixel in it, or another size than in
                the frames before.
        """
        packed = {name: np.empty(s, np.float32) for name, s in self._shapes.items()}
        for name, sensor in self._sensors.items():
            array: Any = sensor.take(arrays[name])
            size = self._sizes.setdefault(name, array.shape[:2])
            if array.shape[:2] != size:
                raise ArgumentError(
                    f"{self._option} {name}: every frame must be {size[0]} x {size[1]} "
                    f"like the first, got {array.shape[0]} x {array.shape[1]} in frame "
                    f"{number}: leave it out."
                )
            if not sensor.has_reading(array):
                raise ArgumentError(
                    f"{self._option} {name}: frame {number} has no valid pixel: leave "
                    "it out, for every sensor."
                )
            sensor.write(array, packed)
        return packed


def _cases(data: Data, frames: Frames, option: str, count: int) -> Iterator[Case]:
    pack = Packer(data.inputs, option)
    for number in range(count):
        frame = frames[number]
        truth = None if frame.truth is None else at_size(frame.truth, data.size)
        yield Case(pack(number, frame.arrays), truth)
