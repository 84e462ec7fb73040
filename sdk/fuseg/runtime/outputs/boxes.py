"""Boxes of a detector's candidates, in the camera's pixels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...manifest import BoxesOutput
from ...ops import Nms
from ..frame_job import FrameJob
from .activation import activated
from .adapter import OutputAdapter, OutputContext

__all__ = ["Boxes", "BoxesAdapter"]

_ALIKE = 0.5  # overlap of two boxes that show the same


@dataclass(frozen=True, eq=False)
class Boxes:
    """What is where in a frame, the best first.

    Attributes:
        boxes: (N, 4) float32: left, top, right and bottom edge, in pixels of the first
            image input's frame; 0, 0 is the corner of its first pixel.
        scores: (N,) float32.
        classes: (N,) indices into ``names``.
        names: Of all classes, in the manifest's order.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.intp]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.boxes)


class BoxesAdapter(OutputAdapter):
    """See `OutputAdapter`."""

    least_agreement = 0.9

    def __init__(self, output: BoxesOutput, context: OutputContext) -> None:
        super().__init__(output, context)
        overlap = output.iou_threshold
        self._suppress = Nms(
            iou_threshold=1.0 if overlap is None else overlap,
            max_candidates=output.max_candidates,
            max_boxes=output.max_boxes,
        )

    def read(self, tensor: NDArray[Any], job: FrameJob) -> Boxes:
        """See `OutputAdapter.read`."""
        spec: BoxesOutput = self.output
        values = tensor[0] if spec.order == "boxes-values" else tensor[0].T
        rows, classes, scores = self._candidates(values)
        if len(scores) > spec.max_candidates:
            best = np.argsort(-scores, kind="stable")[: spec.max_candidates]
            best.sort()
            rows, classes, scores = rows[best], classes[best], scores[best]
        boxes = _corners(values[rows, :4].astype(np.float32, order="C"), spec.form)
        if not np.isfinite(boxes).all():
            self.refuse_numbers("boxes or scores")
        stay = self._suppress(boxes, scores, classes.astype(np.int32))
        placed = self._placed(boxes[stay], job)
        seen = (placed[:, 2] > placed[:, 0]) & (placed[:, 3] > placed[:, 1])
        stay = stay[seen]
        return Boxes(placed[seen], scores[stay], classes[stay], spec.classes)

    def _candidates(
        self, values: NDArray[Any]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """The rows, classes and scores above the threshold, by row, then by class."""
        spec: BoxesOutput = self.output
        with_objects = spec.score == "objectness"
        raw, objects = values[:, 4 + with_objects :], None
        if with_objects:
            objects = values[:, 4].astype(np.float32)
            if spec.activation == "sigmoid":
                objects = activated(objects, spec.activation)
        if not np.isfinite(raw.sum()) and not _are_numbers(raw):
            self.refuse_numbers("boxes or scores")
        if objects is not None and not _are_numbers(objects):
            self.refuse_numbers("boxes or scores")
        # Of a row the highest score is that of its highest value: others need no look.
        rows = np.arange(len(raw))
        if spec.activation != "softmax":
            highest = activated(raw.max(1).astype(np.float32), spec.activation)
            highest = highest if objects is None else highest * objects
            rows = np.flatnonzero(highest > np.float32(spec.score_threshold))
        scores = activated(raw[rows].astype(np.float32), spec.activation)
        if objects is not None:
            scores = scores * objects[rows, None]
        if spec.background is not None:
            scores = scores[:, 1:] if spec.background == "first" else scores[:, :-1]
        if spec.labels == "all":
            at, classes = np.nonzero(scores > np.float32(spec.score_threshold))
        else:
            classes = scores.argmax(1)
            at = np.flatnonzero(
                scores[np.arange(len(rows)), classes] > np.float32(spec.score_threshold)
            )
            classes = classes[at]
        return rows[at], classes, scores[at, classes]

    def _placed(self, boxes: NDArray[np.float32], job: FrameJob) -> NDArray[np.float32]:
        """Boxes of the network's input in the camera's pixels, clipped to its frame."""
        height, width = job.camera or job.size
        (rows, columns), crop = self.context.preprocessor.placed(job.camera)
        if self.output.unit == "fractions":
            boxes = boxes * np.array([columns, rows] * 2, np.float32)
        top, left, high, wide = crop
        found = boxes.astype(np.float64)
        found[:, 0::2] = (found[:, 0::2] - left) * (width / wide)
        found[:, 1::2] = (found[:, 1::2] - top) * (height / high)
        ends = np.array([width, height] * 2, np.float64)
        return np.clip(found, 0.0, ends).astype(np.float32)

    @staticmethod
    def as_array(result: Boxes) -> NDArray[Any]:
        """See `OutputAdapter.as_array`."""
        rows = np.empty((len(result), 6), np.float32)
        rows[:, :4], rows[:, 4] = result.boxes, result.scores
        rows[:, 5] = result.classes
        return rows

    @staticmethod
    def as_json(result: Boxes) -> Any:
        """See `OutputAdapter.as_json`."""
        found = zip(result.boxes, result.scores, result.classes, strict=True)
        return [
            {
                "class": result.names[number],
                "score": round(float(score), 6),
                "box": [round(float(edge), 2) for edge in box],
            }
            for box, score, number in found
        ]

    @staticmethod
    def words(result: Boxes) -> str:
        """See `OutputAdapter.words`."""
        many = Counter(result.names[number] for number in result.classes)
        return ", ".join(f"{count} {name}" for name, count in many.most_common())

    @staticmethod
    def draw(result: Boxes, picture: NDArray[np.uint8]) -> None:
        """See `OutputAdapter.draw`."""
        height, width = picture.shape[:2]
        for box in result.boxes:
            left, top, right, bottom = np.rint(box).astype(int)
            right, bottom = min(right, width - 1), min(bottom, height - 1)
            for at in (top, bottom):
                picture[at : at + 1, left : right + 1] = (255, 64, 0)
            for at in (left, right):
                picture[top : bottom + 1, at : at + 1] = (255, 64, 0)

    @staticmethod
    def agreement(expected: NDArray[Any], found: NDArray[Any]) -> float:
        """The overlap of boxes that show the same, summed, over the larger number.

        Each expected box in turn takes the free one of its class that overlaps it most,
        by half at least. See `OutputAdapter`.
        """
        if not len(expected) or not len(found):
            return float(len(expected) == len(found))
        free, total = np.ones(len(found), bool), 0.0
        for row in expected:
            share = _overlaps(row[:4], found[:, :4])
            share = np.where(free & (found[:, 5] == row[5]), share, 0.0)
            best = int(share.argmax())
            if share[best] >= _ALIKE:
                free[best], total = False, total + float(share[best])
        return min(1.0, total / max(len(expected), len(found)))


def _overlaps(
    box: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The areas that others (N, 4) share with a box, over their unions.

    0 for boxes without an area.
    """
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.maximum(sides, 0).prod(1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1)
    share: NDArray[np.float32] = np.zeros_like(shared)
    np.divide(shared, areas - shared, out=share, where=shared > 0)
    return share


def _are_numbers(scores: NDArray[Any]) -> bool:
    """Whether none is NaN or +infinity; -infinity is no candidate."""
    return not (np.isnan(scores) | (scores == np.inf)).any()


def _corners(boxes: NDArray[np.float32], form: str) -> NDArray[np.float32]:
    if form == "xyxy":
        return boxes
    size = boxes[:, 2:]
    first = boxes[:, :2] if form == "xywh" else boxes[:, :2] - size / np.float32(2)
    return np.concatenate([first, first + size], 1)
