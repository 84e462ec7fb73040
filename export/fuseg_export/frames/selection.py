"""Which frames an export verifies, calibrates and evaluates on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset.label_ids import TruthReader
from fuseg.dataset.scoring import Score
from fuseg.errors import ArgumentError
from fuseg.manifest import ImageInput, Manifest

from ..network.target import Target
from . import frame_set
from .files import FileDataset, FileOptions
from .frame_set import (
    SEQUENCE,
    Dataset,
    FrameSet,
    WithExamples,
    first,
    with_examples,
)
from .packing import PackedFrame, PackedFrames, Packer, Tensors, pack_frames
from .statistics import about_no_reading

__all__ = [
    "DataSplit",
    "ExportFrames",
    "FrameOptions",
    "collect_frames",
    "split",
]

CALIBRATION, FRAMES = "--calibration", "--frames"
_SIZES = 3  # of a dimension: typical, least, most; see `ExportedInput.example`
_RANKING_FRAMES = 16  # that layers are ranked on, one by one
_CALIBRATION_ROOMS = range(1000, 1064)
_HELD_OUT_ROOMS = range(16, 216)


@dataclass(frozen=True)
class FrameOptions:
    """The frames that the user names.

    Attributes:
        frames: To verify and evaluate on, sources by input name, see `FileDataset`;
            None: rendered rooms.
        truth: Source of the true labels of ``frames``.
        truth_map: What the ids in these labels mean, see `TruthReader`.
        files: How frames and label maps are read and matched.
    """

    frames: Mapping[str, str] | None = None
    truth: str | None = None
    truth_map: Path | None = None
    files: FileOptions = field(default_factory=FileOptions)


@dataclass(frozen=True)
class ExportFrames:
    """The frames of one export.

    Attributes:
        compared: Those that every stage is compared on.
        frames: The user's, all of them, to evaluate on; None: rendered rooms.
        calibration: The user's, to calibrate on; None: ``frames``, or rooms.
        has_truth: Whether the user gave true labels of ``frames``.
        truth_map: See `FrameOptions`.
        mapped: Whether their ids are known to be class indices, or were mapped.
        notes, warnings: On the choice, a sentence each.
    """

    compared: Sequence[FrameSet]
    frames: FileDataset | None = None
    calibration: FileDataset | None = None
    has_truth: bool = False
    truth_map: Path | None = None
    mapped: bool = True
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def with_truth(self, manifest: Manifest) -> ExportFrames:
        """The same with the true labels, of a network whose classes are known.

        Raises:
            ArgumentError, InputFileError: See `TruthReader`.
        """
        if self.frames is None or not self.has_truth:
            return self
        if not manifest.label_outputs:
            raise ArgumentError(
                "--truth needs an output of kind segmentation, whose true labels they "
                "are."
            )
        output = manifest.label_outputs[0]
        if output.classes_from is not None:
            raise ArgumentError(
                f"--truth must be absent, as the classes of {output.name} are the "
                f"texts of {output.classes_from}, which change: give frames alone."
            )
        read = TruthReader(output.classes, output.ignore, self.truth_map)
        frames = self.frames.with_truth(read)
        own = first(frames, len(self.compared))
        pairs = zip(self.compared, itertools.cycle(own), strict=False)
        return replace(
            self,
            compared=[replace(frame, truth=same.truth) for frame, same in pairs],
            frames=frames,
            mapped=read.mapped,
        )

    def labelled(self, target: Target, count: int) -> list[FrameSet]:
        """The first ``count`` frame sets with true labels, or as many as there are."""
        if self.compared[0].truth is None or count <= len(self.compared):
            return [f for f in self.compared[:count] if f.truth is not None]
        dataset = self.frames or target.scenes(target.inputs, range(count))
        return first(WithExamples(dataset, target.others), count)

    def require_scored(self, score: Score | None) -> None:
        """Refuse the user's truth if nothing could be scored on it.

        Raises:
            ArgumentError: There is truth, and no score.
        """
        if self.has_truth and score is None:
            raise ArgumentError(
                "--truth must label a pixel that counts, but all of them are ignored: "
                "look at the ids in its files, and give --truth-map FILE if they are "
                "no class indices."
            )


def collect_frames(
    target: Target,
    options: FrameOptions,
    calibration: Mapping[str, str] | None,
) -> ExportFrames:
    """Find the frames that the user names, or render rooms.

    Args:
        calibration: Sources of the frames to calibrate on, by input name.

    Raises:
        ArgumentError, InputFileError: See `FileDataset`; or there is truth alone.
    """
    found = _collect_pictures(target, options, calibration)
    sizes = [1 if other.dimension is None else _SIZES for other in target.others]
    count = max(len(found.compared), *sizes, 1)
    frames = itertools.islice(itertools.cycle(found.compared), count)
    compared = [with_examples(f, i, target.others) for i, f in enumerate(frames)]
    return replace(found, compared=compared)


def _collect_pictures(
    target: Target,
    options: FrameOptions,
    calibration: Mapping[str, str] | None,
) -> ExportFrames:
    wanted = frame_set.STAGE_FRAMES
    if target.states:
        wanted = max(SEQUENCE, wanted)
    to_calibrate = None
    if calibration:
        to_calibrate = FileDataset(
            target.inputs, calibration, option=CALIBRATION, files=options.files
        )
    if options.frames and not target.inputs:
        raise ArgumentError(
            f"{FRAMES} must be absent for a network without pictures, got "
            f"{', '.join(options.frames)}: name sounds in the spec file, as examples."
        )
    if options.frames:
        frames = FileDataset(
            target.inputs, options.frames, options.truth, files=options.files
        )
        compared, count = first(frames, wanted), len(frames)
        _require_proportions(target.inputs, compared[0])
        notes = about_no_reading(target.inputs, target.assumed_invalid, compared)
        warnings = list(frames.unmatched)
        if target.states:
            notes.append(
                f"{FRAMES} in the order of their names are one sequence of {count}"
            )
            if count < SEQUENCE:
                warnings.append(
                    f"{FRAMES}: {count} in a row show little of what a state does: "
                    f"give {SEQUENCE} or more"
                )
        if count > len(compared):
            notes.append(f"compared the stages on the first {len(compared)} of {count}")
        return ExportFrames(
            compared,
            frames,
            to_calibrate,
            has_truth=options.truth is not None,
            truth_map=options.truth_map,
            notes=tuple(notes),
            warnings=tuple(warnings),
        )
    if options.truth is not None:
        raise ArgumentError("--truth needs --frames, whose labels it holds.")
    rooms = first(target.scenes(target.inputs, range(wanted)), wanted)
    _require_proportions(target.inputs, rooms[0])
    warning = (
        f"verified on {len(rooms)} rendered rooms, which are not what this network was "
        "trained for: give it real ones, --frames NAME=PATH"
    )
    return ExportFrames(
        rooms,
        calibration=to_calibrate,
        warnings=() if target.is_reference else (warning,),
    )


def _require_proportions(inputs: Sequence[ImageInput], frame: FrameSet) -> None:
    """Refuse frames that a letterbox would put bars around: the network labels the
    bars, fuseg does not, so nothing could be compared."""
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


@dataclass(frozen=True)
class DataSplit:
    """Frames to calibrate on, and others to evaluate on.

    Attributes:
        inputs: Of the manifest.
        size: Of the network's own labels; None if it has none.
        calibration: Whose ranges are taken, and that decide which layers must stay in
            float.
        held_out: That variants are evaluated on.
        warnings: What the user should know of them, a sentence each.
    """

    inputs: tuple[ImageInput, ...]
    size: tuple[int, int] | None
    calibration: Dataset
    held_out: Dataset
    warnings: tuple[str, ...] = ()

    def calibration_tensors(
        self, observe: Callable[[Tensors], None] = lambda _: None
    ) -> Iterator[dict[str, NDArray[np.float32]]]:
        """The tensors to take ranges of, one frame set in memory at a time.

        Args:
            observe: Sees each of them, too.
        """
        pack = Packer(self.inputs, CALIBRATION)
        for number in range(len(self.calibration)):
            frame = self.calibration[number]
            tensors = {**pack(number, frame.arrays), **frame.tensors}
            observe(tensors)
            yield tensors

    def calibration_frames(self) -> PackedFrames:
        """The frames of the calibration, to be gone through again and again."""
        return PackedFrames(self.inputs, self.size, self.calibration, CALIBRATION)

    def ranking_frames(self, *, along: bool = False) -> list[PackedFrame]:
        """A few of them; ``along`` a sequence, if states need one."""
        wanted = max(SEQUENCE, _RANKING_FRAMES) if along else _RANKING_FRAMES
        return list(itertools.islice(self.calibration_frames(), wanted))

    @property
    def only_held_out_has_truth(self) -> bool:
        """Whether truth is known of the frames to evaluate on alone."""
        known = (dataset[0].truth for dataset in (self.calibration, self.held_out))
        return [truth is None for truth in known] == [True, False]

    def held_out_frames(self) -> Iterator[PackedFrame]:
        """The frames to evaluate on, one in memory at a time."""
        return pack_frames(self.inputs, self.size, self.held_out, FRAMES)

    def held_out_frame(self, number: int) -> tuple[FrameSet, PackedFrame]:
        """One of the frames to evaluate on, as it came and as the network sees it."""
        frame = self.held_out[number]
        (packed,) = pack_frames(self.inputs, self.size, [frame], FRAMES)
        return frame, packed


def split(
    target: Target,
    inputs: tuple[ImageInput, ...],
    size: tuple[int, int] | None,
    *,
    calibration: FileDataset | None,
    frames: FileDataset | None,
) -> DataSplit:
    """The user's frames, or rendered rooms for what the user did not give.

    Args:
        inputs: Of the manifest.
        size: Of the network's own labels; None if it has none.
        calibration: To calibrate on; ``frames`` if omitted.
        frames: To evaluate on, with the true labels if they are known.
    """
    warnings: list[str] = []
    known = target.is_reference
    held_out = target.scenes(inputs, _HELD_OUT_ROOMS)
    if frames is not None:
        held_out = frames
    to_calibrate = target.scenes(inputs, _CALIBRATION_ROOMS)
    if calibration is not None:
        to_calibrate = calibration
        warnings += calibration.unmatched
    elif frames is not None:
        to_calibrate = held_out
        warnings.append(
            "calibrated and evaluated on the same frames: give others, --calibration "
            "NAME=PATH"
        )
    elif not known:
        warnings.append(
            "calibrated and evaluated on rendered rooms, which are not what this "
            "network was trained for: give real frames, --calibration and --frames "
            "NAME=PATH"
        )
    if target.others:
        to_calibrate = WithExamples(to_calibrate, target.others)
        held_out = WithExamples(held_out, target.others)
    return DataSplit(inputs, size, to_calibrate, held_out, tuple(warnings))
