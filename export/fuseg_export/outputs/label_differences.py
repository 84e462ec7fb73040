"""What differs between two stages of a segmentation: labels, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset.metrics import confusion
from fuseg.dataset.scoring import score
from fuseg.errors import ExportError

from .base import Prediction, StageResult

__all__ = ["LabelDifferences"]

MIN_AGREEMENT = 0.9995
# Between the best score of a pixel and that of the label it gets; with scores from 0 to
# 1, where less is rounding, and does not count as another label.
MAX_GAP = 1e-4
MAX_DIFFERENCE = 1e-3  # of one score; both limits grow with the scores


@dataclass
class LabelDifferences:
    """What differs between two stages, over all frames so far."""

    output: str
    classes: Sequence[str]
    ignore: int
    frames: int = 0
    pixels: int = 0
    scale: float = 1.0
    difference: float = 0.0
    lowest: float = np.inf
    highest: float = -np.inf
    changed: list[tuple[NDArray[Any], NDArray[Any]]] = field(default_factory=list)
    table: NDArray[np.int64] | None = None
    ignored: int = 0

    def add(
        self, expected: Prediction, got: Prediction, truth: NDArray[np.uint8] | None
    ) -> None:
        self.frames += 1
        self.pixels += expected.result.size
        self.scale = max(self.scale, float(np.abs(expected.tensor).max()))
        self.lowest = min(self.lowest, float(expected.tensor.min()))
        self.highest = max(self.highest, float(expected.tensor.max()))
        # np.maximum, unlike max, keeps a NaN.
        difference = np.abs(expected.tensor - got.tensor).max()
        self.difference = float(np.maximum(self.difference, difference))
        differs = expected.result != got.result
        if differs.any():
            gaps = _gaps(expected, got.result, differs)
            self.changed.append((expected.result[differs], gaps))
        if truth is not None:
            counts = confusion(truth, got.result, len(self.classes), self.ignore)
            self.table = counts if self.table is None else self.table + counts
            self.ignored += int(np.count_nonzero(truth == self.ignore))

    def result(self, stage: str, against: str) -> StageResult:
        if not self.frames:
            raise ExportError(f"stage {stage} was compared on no frame at all.")
        none = (np.zeros(0, np.int64), np.zeros(0))
        labels, gaps = map(np.concatenate, zip(none, *self.changed, strict=True))
        largest, rounding = gaps.max(initial=0), MAX_GAP * (self.highest - self.lowest)
        agreement = 1 - len(labels) / self.pixels
        counted = 1 - np.count_nonzero(gaps >= rounding) / self.pixels
        gap, difference = MAX_GAP * self.scale, MAX_DIFFERENCE * self.scale
        if (
            counted < MIN_AGREEMENT
            or largest > gap
            or not self.difference <= difference  # NaN is over it
        ):
            counts = np.bincount(labels.astype(np.int64), minlength=len(self.classes))
            order = np.argsort(-counts, kind="stable")[:3]
            changed = [f"{self.classes[i]} ({counts[i]})" for i in order if counts[i]]
            raise ExportError(
                f"stage {stage} computes something else than {against} on "
                f"{self.frames} frames: {counted:.6f} of the labels agree (at least "
                f"{MIN_AGREEMENT} must), labels change where the best two scores are "
                f"up to {largest:.2g} apart (at most {gap:.2g}), scores differ by up "
                f"to {self.difference:.2g} (at most {difference:.2g}); classes that "
                f"lose most pixels: {', '.join(changed) or 'none'}."
            )
        return StageResult(
            stage=stage,
            against=against,
            output=self.output,
            frames=self.frames,
            label_agreement=agreement,
            max_abs_logit_diff=self.difference,
            largest_gap=float(largest),
            **self._scored(),
        )

    def _scored(self) -> dict[str, Any]:
        if self.table is None or not self.table.any():
            return {"miou": None}
        found = score(self.table, self.ignored, self.classes, self.ignore, mapped=True)
        return {
            "miou": found.miou,
            "ignored_share": found.ignored_share,
            "absent": found.absent,
        }


def _gaps(
    prediction: Prediction, labels: NDArray[Any], where: NDArray[np.bool_]
) -> NDArray[Any]:
    """Between the best score of a pixel and that of the label it gets; of one class,
    between it and its threshold."""
    scores = prediction.tensor[:, where]
    if len(scores) == 1:
        return np.asarray(np.abs(scores[0] - prediction.threshold))
    given = np.take_along_axis(scores, labels[where][None].astype(np.int64), 0)[0]
    return np.asarray(scores.max(0) - given)
