"""What differs between two stages of a segmentation: labels, and their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset.metrics import confusion, score
from fuseg.errors import ExportError

from .base import Prediction, StageResult

__all__ = ["LabelDifferences"]

MIN_AGREEMENT = 0.9995
MAX_GAP = 1e-4  # between the two best scores of a pixel that changes its label
MAX_DIFFERENCE = 1e-3  # of one score; both are for scores up to 1 and grow with them


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
    gap: float = 0.0
    changed: NDArray[np.int64] = field(init=False)
    table: NDArray[np.int64] | None = None
    ignored: int = 0

    def __post_init__(self) -> None:
        self.changed = np.zeros(len(self.classes), np.int64)

    def add(
        self, expected: Prediction, got: Prediction, truth: NDArray[np.uint8] | None
    ) -> None:
        self.frames += 1
        self.pixels += expected.result.size
        self.scale = max(self.scale, float(np.abs(expected.tensor).max()))
        # np.maximum, unlike max, keeps a NaN.
        difference = np.abs(expected.tensor - got.tensor).max()
        self.difference = float(np.maximum(self.difference, difference))
        differs = expected.result != got.result
        count = len(self.classes)
        self.changed += np.bincount(expected.result[differs], minlength=count)
        if differs.any():
            self.gap = max(self.gap, _largest_gap(expected, differs))
        if truth is not None:
            counts = confusion(truth, got.result, count, self.ignore)
            self.table = counts if self.table is None else self.table + counts
            self.ignored += int(np.count_nonzero(truth == self.ignore))

    def result(self, stage: str, against: str) -> StageResult:
        if not self.frames:
            raise ExportError(f"stage {stage} was compared on no frame at all.")
        agreement = 1 - int(self.changed.sum()) / self.pixels
        gap, difference = MAX_GAP * self.scale, MAX_DIFFERENCE * self.scale
        if (
            agreement < MIN_AGREEMENT
            or self.gap > gap
            or not self.difference <= difference  # NaN is over it
        ):
            order = np.argsort(-self.changed, kind="stable")[:3]
            most = [f"{self.classes[i]} ({self.changed[i]})" for i in order]
            changed = [m for i, m in zip(order, most, strict=True) if self.changed[i]]
            raise ExportError(
                f"stage {stage} computes something else than {against} on "
                f"{self.frames} frames: {agreement:.6f} of the labels agree (at least "
                f"{MIN_AGREEMENT} must), labels change where the best two scores are "
                f"up to {self.gap:.2g} apart (at most {gap:.2g}), scores differ by up "
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
            largest_gap=self.gap,
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


def _largest_gap(prediction: Prediction, where: NDArray[np.bool_]) -> float:
    """Between the two best scores; of one class, between it and its threshold."""
    scores = prediction.tensor[:, where]
    if len(scores) == 1:
        return float(np.abs(scores - prediction.threshold).max())
    second, first = np.partition(scores, -2, axis=0)[-2:]
    return float((first - second).max())
