"""Frames in files with their true labels, labelled and scored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..bundle import Bundle
from ..dataset import metrics, scoring
from ..dataset.frame_matching import FrameFiles, MatchedFrames
from ..dataset.label_ids import TruthReader
from ..errors import ArgumentError, ShapeError
from ..manifest import SegmentationOutput
from ..robustness import LabelledFrame
from ..segmenter import Segmenter
from .frame_reader import FrameReader, label
from .printing import progress

TRUTH = "--truth"  # beside the inputs' names, which are identifiers


def labels_of(bundle: Bundle, option: str = TRUTH) -> SegmentationOutput:
    """The output that true labels, or those of ``option``, are compared with.

    Raises:
        ArgumentError: The bundle gives no labels.
    """
    outputs = bundle.manifest.label_outputs
    if not outputs:
        names = ", ".join(output.name for output in bundle.manifest.outputs)
        raise ArgumentError(
            f"{option} must be left out: this bundle gives {names} and no labels."
        )
    return outputs[0]


class LabelledFrames:
    """Frame sets matched with their true labels, read one at a time."""

    def __init__(
        self, matched: MatchedFrames, read: FrameReader, read_truth: TruthReader
    ) -> None:
        self._matched, self._read, self._read_truth = matched, read, read_truth

    def for_robustness(self) -> Iterator[LabelledFrame]:
        """What `fuseg.robustness.measure` takes."""
        for _, given, truth in self._frames("spoiling"):
            yield LabelledFrame(self._read(given), truth)

    def score(self, segmenter: Segmenter) -> scoring.Score:
        """Label every frame and compare.

        Raises:
            ShapeError: True labels are not of the camera's size.
            FusegError: As the segmenter does.
        """
        output = segmenter.manifest.label_outputs[0]
        classes = segmenter.manifest.classes_of(output)
        count, ignored = len(classes), 0
        table = np.zeros((count, count), np.int64)
        for frame, given, expected in self._frames("scoring"):
            labels = label(segmenter, given, self._read(given)).labels
            if expected.shape != labels.shape:
                raise ShapeError(
                    f"{frame.files[TRUTH]} must have the camera's size "
                    f"{labels.shape}, got {expected.shape}."
                )
            table += metrics.confusion(expected, labels, count, output.ignore)
            ignored += int(np.count_nonzero(expected == output.ignore))
        names = [entry.name for entry in classes]
        mapped = self._read_truth.mapped
        return scoring.score(table, ignored, names, output.ignore, mapped=mapped)

    def _frames(
        self, what: str
    ) -> Iterator[tuple[FrameFiles, FrameFiles, NDArray[np.uint8]]]:
        """Each frame, what of it is given to the segmenter, and its truth."""
        frames = self._matched.frames
        for frame in progress(frames, what=what, total=len(frames)):
            files = dict(frame.files)
            truth = self._read_truth(files.pop(TRUTH))
            yield frame, FrameFiles(frame.key, files), truth
