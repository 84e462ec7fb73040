"""A detector's candidates: the graph ends before they are thinned out.

TensorRT takes no NonMaxSuppression, and its result has no fixed size: the runtime does
what the network does behind it, and here is its definition.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m
from fuseg.errors import ArgumentError

from ..network.outputs import Shapes
from .base import OutputRequest, Prediction, Size
from .plain import Plain, record_of

__all__ = ["Boxes", "overlap"]

_ALIKE = 0.5  # overlap of two boxes that show the same


@dataclass(frozen=True)
class Boxes(Plain):
    """See `ExportedOutput`.

    Attributes:
        size: (height, width) of the network's first input.
    """

    size: tuple[int, int] = (1, 1)

    EQUAL = "boxes overlap"
    LEAST_BETWEEN_STAGES = 0.99
    LEAST = 0.9

    @classmethod
    def of(cls, request: OutputRequest, returned: Tensor, inputs: Shapes) -> Boxes:
        """See `ExportedOutput`: (1, boxes, values), or (1, values, boxes)."""
        said = request.settings
        axis = -1 if said.get("order", "boxes-values") == "boxes-values" else -2
        others = (said.get("score") == "objectness") + bool(said.get("background"))
        count = returned.shape[axis] - 4 - others if returned.ndim == 3 else 1
        named = [f"class_{i}" for i in range(max(1, count))]
        given = {"score_threshold": 0.3, "iou_threshold": 0.5, "classes": named}
        if not inputs:
            raise ArgumentError(
                f"output {request.name} of kind boxes needs an input that is a "
                "picture, in whose pixels they are."
            )
        height, width = next(iter(inputs.values()))[-2:]
        return cls(
            record_of(m.BoxesOutput, request, returned, **given), (height, width)
        )

    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """Rows of x0, y0, x1, y1, score, class, the best first, in the pixels of the
        network's input: its manifest's definition."""
        spec: m.BoxesOutput = self.record
        rows = tensor[0].astype(np.float64)
        rows = rows if spec.order == "boxes-values" else rows.T
        found = [
            [*_corners(rows[row, :4], spec.form), score, label]
            for row, label, score in self._candidates(rows)
        ]
        kept: list[list[float]] = []
        for box in _best_first(found)[: spec.max_candidates]:
            if spec.iou_threshold is None or not any(
                box[5] == better[5] and overlap(box, better) > spec.iou_threshold
                for better in kept
            ):
                kept.append(box)
        made = np.array(kept[: spec.max_boxes], np.float64).reshape(-1, 6)
        sides = np.array([self.size[1], self.size[0]] * 2, np.float64)
        if spec.unit == "fractions":
            made[:, :4] *= sides
        made[:, :4] = made[:, :4].clip(0, sides)
        return made[(made[:, 2] > made[:, 0]) & (made[:, 3] > made[:, 1])]

    def at_camera(
        self,
        prediction: Prediction,
        camera: Size,
        size: Size,  # noqa: ARG002 - boxes are the camera's
    ) -> Prediction:
        """Its boxes in the camera's pixels."""
        rows = prediction.result.copy()
        rows[:, 0:4:2] *= camera[1] / self.size[1]
        rows[:, 1:4:2] *= camera[0] / self.size[0]
        return replace(prediction, result=rows)

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """The overlaps of boxes of one class that show the same, over their number.

        Each expected box in turn takes the free one that overlaps it most, by half at
        least; the number is that of the longer list.
        """
        free, total = [list(map(float, row)) for row in found], 0.0
        for box in expected:
            shares = [(overlap(box, o), -i) for i, o in enumerate(free)]
            own = [pair for pair, o in zip(shares, free, strict=True) if o[5] == box[5]]
            share, index = max(own, default=(0.0, 0))
            if share >= _ALIKE:
                total += share
                del free[-index]
        longer = max(len(expected), len(found))
        return total / longer if longer else 1.0

    def _candidates(self, rows: NDArray[Any]) -> list[tuple[int, int, float]]:
        """Row, class and score of what is above the threshold, by row, then class."""
        spec: m.BoxesOutput = self.record
        with_objects = spec.score == "objectness"
        scores = rows[:, 4 + with_objects :]
        if spec.activation == "softmax":
            powers = np.exp(scores - scores.max(1, keepdims=True))
            scores = powers / powers.sum(1, keepdims=True)
        elif spec.activation == "sigmoid":
            scores = _sigmoid(scores)
        if with_objects:
            objects = rows[:, 4:5]
            scores *= _sigmoid(objects) if spec.activation == "sigmoid" else objects
        if spec.background is not None:
            scores = scores[:, 1:] if spec.background == "first" else scores[:, :-1]
        if spec.labels == "best":
            best = scores.argmax(1)
            only = np.full_like(scores, -np.inf)
            only[np.arange(len(best)), best] = scores[np.arange(len(best)), best]
            scores = only
        above = np.argwhere(scores > spec.score_threshold)
        return [(int(row), int(c), float(scores[row, c])) for row, c in above]


def _best_first(boxes: list[list[float]]) -> list[list[float]]:
    """Of equal scores the first one is the better."""
    return sorted(boxes, key=lambda box: -box[4])


def _corners(four: NDArray[Any], form: str) -> tuple[float, float, float, float]:
    a, b, c, d = map(float, four)
    if form == "cxcywh":
        a, b = a - c / 2, b - d / 2
    return (a, b, c, d) if form == "xyxy" else (a, b, a + c, b + d)


def overlap(one: Any, other: Any) -> float:
    """The area of two boxes' overlap, as a share of their union's; 0 without areas."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(wide * high / (sum(areas) - wide * high))


def _sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):  # exp(large) is infinity: 0
        return np.asarray(1 / (1 + np.exp(-values)))
