"""The frames that decide: some to calibrate on, others to judge the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset import metrics
from fuseg.dataset.label_ids import TruthReader
from fuseg.errors import ArgumentError
from fuseg.manifest import Input, Manifest
from fuseg.runtime.sensor import Sensor

from ..network.target import Target, tensor_shapes
from ..precision.calibration_checks import Watch
from ..precision.evaluate import Case
from ..reference import at_size
from . import samples
from .samples import Frame, Frames, Paired, Rendered, first

__all__ = ["CALIBRATION", "Data", "Given", "Packer", "cases", "choose", "gather"]

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
        frames = [self.calibration[number] for number in range(few)]
        return list(cases(self.inputs, self.size, frames, CALIBRATION))

    def frame(self, number: int) -> tuple[Frame, Case]:
        """One of those judged on, and its case."""
        frame = self.held_out[number]
        (case,) = cases(self.inputs, self.size, [frame], "--frames")
        return frame, case

    def judging(self) -> Iterator[Case]:
        """The cases to judge on, one in memory at a time."""
        return cases(self.inputs, self.size, self.held_out, "--frames")


@dataclass(frozen=True)
class Given:
    """The frames of one export.

    Attributes:
        compared: Those that every stage is compared on.
        frames: The user's, all of them, to judge on; None: rendered rooms.
        calibration: The user's, to take ranges of; None: ``frames``, or rooms.
        truth: Whether the user gave true labels of ``frames``.
        mapped: Whether their ids are known to be class indices, or were mapped.
    """

    compared: Sequence[Frame]
    frames: Paired | None = None
    calibration: Paired | None = None
    truth: bool = False
    mapped: bool = True

    def labelled(self, manifest: Manifest, truth_map: Path | None) -> Given:
        """The same with the true labels, of a network whose classes are known.

        Raises:
            ArgumentError, InputFileError: See `fuseg.dataset.label_ids.TruthReader`.
        """
        if self.frames is None or not self.truth:
            return self
        (output,) = manifest.outputs
        read = TruthReader(output.classes, output.ignore, truth_map)
        frames = self.frames.labelled(read)
        return replace(self, compared=first(frames), frames=frames, mapped=read.mapped)

    def require_scored(self, score: metrics.Score | None) -> None:
        """Refuse the user's truth if nothing could be scored on it.

        Raises:
            ArgumentError: There is truth, and no score.
        """
        if self.truth and score is None:
            raise ArgumentError(
                "--truth must label a pixel that counts, but all of them are ignored: "
                "look at the ids in its files, and give --truth-map FILE if they are "
                "no class indices."
            )


def gather(
    target: Target,
    frames: Mapping[str, str] | None,
    truth: str | None,
    calibration: Mapping[str, str] | None,
    files: samples.FileOptions,
) -> tuple[Given, list[str], list[str]]:
    """Find the frames that the user names, or render rooms.

    Args:
        frames, calibration: Sources by input name; see `samples.Paired`.
        truth: Source of the label maps of ``frames``.
        files: How all of these are read and paired.

    Returns:
        The frames, notes on them, and warnings.

    Raises:
        ArgumentError, InputFileError: See `samples.Paired`; or there is truth alone.
    """
    to_calibrate = None
    if calibration:
        to_calibrate = Paired(
            target.inputs, calibration, option=CALIBRATION, files=files
        )
    if frames:
        paired = Paired(target.inputs, frames, truth, files=files)
        compared, count = first(paired), len(paired)
        _require_proportions(target.inputs, compared[0])
        notes = []
        if count > len(compared):
            notes.append(f"compared the stages on the first {len(compared)} of {count}")
        given = Given(compared, paired, to_calibrate, truth is not None)
        return given, notes, [*paired.unpaired]
    if truth is not None:
        raise ArgumentError("--truth needs --frames, whose labels it holds.")
    known = target.is_reference
    rooms = samples.rendered(target.inputs, samples.MOST_FRAMES, labelled=known)
    _require_proportions(target.inputs, rooms[0])
    warning = (
        f"verified on {len(rooms)} rendered rooms, which are not what this network was "
        "trained for: give it real ones, --frames NAME=PATH"
    )
    return Given(rooms, None, to_calibrate), [], [] if known else [warning]


def _require_proportions(inputs: Sequence[Input], frame: Frame) -> None:
    """Refuse frames that a letterbox would put bars around: the network labels those,
    too, and fuseg does not, so nothing could be compared."""
    for entry in inputs:
        height, width = frame.arrays[entry.name].shape[:2]
        wanted = entry.resize
        if wanted.fit == "letterbox" and height * wanted.width != width * wanted.height:
            raise ArgumentError(
                f"--frames {entry.name} must have the proportions of the network, "
                f"{wanted.height} x {wanted.width}, to verify it with resize.fit "
                f"'letterbox', got {height} x {width}: give such frames; the bundle "
                "takes cameras of any size."
            )


def choose(
    target: Target,
    inputs: tuple[Input, ...],
    size: tuple[int, int],
    *,
    calibration: Paired | None,
    frames: Paired | None,
) -> Data:
    """The user's frames, or rendered rooms for what the user did not give.

    Args:
        size: Of the network's own labels.
        calibration: To take ranges of; ``frames`` if omitted.
        frames: To judge on, with the true labels if they are known.
    """
    doubts: list[str] = []
    known = target.is_reference
    held_out: Frames = Rendered(inputs, range(16, 16 + _HELD_OUT), labelled=known)
    if frames is not None:
        held_out = frames
    calibrating: Frames = Rendered(inputs, _CALIBRATION, labelled=known)
    if calibration is not None:
        calibrating = calibration
        doubts += calibration.unpaired
    elif frames is not None:
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


def cases(
    inputs: Sequence[Input], size: tuple[int, int], frames: Frames, option: str
) -> Iterator[Case]:
    """Frames as the network sees them, one in memory at a time.

    Args:
        inputs: Of the manifest.
        size: That the true labels are brought to, the network's own.
        option: What the user calls these frames, for the sentences.

    Raises:
        ArgumentError: See `Packer`.
    """
    pack = Packer(inputs, option)
    for number in range(len(frames)):
        frame = frames[number]
        truth = None if frame.truth is None else at_size(frame.truth, size)
        yield Case(pack(number, frame.arrays), truth)
