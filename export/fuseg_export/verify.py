"""Every stage of an export against the stage before it, on the same tensors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset.metrics import confusion, score
from fuseg.errors import ExportError

from .frames.packing import PackedFrame
from .stage_programs import Prediction, Program

__all__ = ["StageResult", "compare"]

MIN_AGREEMENT = 0.9995
MAX_GAP = 1e-4  # between the two best scores of a pixel that changes its label
MAX_DIFFERENCE = 1e-3  # of one score; both are for scores up to 1 and grow with them


@dataclass(frozen=True)
class StageResult:
    """One stage compared with another.

    Attributes:
        label_agreement: Share of pixels with the same label.
        max_abs_logit_diff: Largest difference of one score.
        largest_gap: Between the two best scores, at pixels with another label.
        miou: Of this stage's labels, if the truth is known.
        ignored_share: Of the truth's pixels, that count nowhere.
        absent: Classes that never occur in the truth.
    """

    stage: str
    against: str
    frames: int
    label_agreement: float
    max_abs_logit_diff: float
    largest_gap: float
    miou: float | None
    ignored_share: float | None = None
    absent: tuple[str, ...] = ()


def compare(
    frames: Iterable[tuple[PackedFrame, NDArray[np.uint8]]],
    programs: Mapping[str, Program],
    *,
    classes: Sequence[str],
    ignore: int,
) -> list[StageResult]:
    """Run all programs on all frames and compare each with the one before it.

    Args:
        frames: As the runtime packed them, each with the runtime's labels at the
            network's own output size. These are compared with torch's.
        programs: By stage, torch first. The last one's scores stand for the runtime's.
        classes: Names, for the error message.
        ignore: Label in the truth that is not counted.

    Returns:
        A result for each program but the first, and one for the runtime.

    Raises:
        ExportError: There is no frame, a score is not finite, or a stage is over its
            limits. The message names the stage, the classes and the numbers.
    """
    stages = list(programs)
    pairs = [*zip(stages[1:], stages[:-1], strict=True), ("runtime", stages[0])]
    sums = {stage: _Differences(len(classes), ignore) for stage in [*stages, "runtime"]}
    for frame, labels in frames:
        predictions = {
            stage: program(frame.tensors) for stage, program in programs.items()
        }
        _require_usable(predictions[stages[0]])
        predictions["runtime"] = Prediction(predictions[stages[-1]].scores, labels)
        for stage, against in pairs:
            sums[stage].add(predictions[against], predictions[stage], frame.truth)
    return [sums[stage].result(stage, against, classes) for stage, against in pairs]


@dataclass
class _Differences:
    """What differs between two stages, over all frames so far."""

    classes: int
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
        self.changed = np.zeros(self.classes, np.int64)

    def add(
        self, expected: Prediction, got: Prediction, truth: NDArray[np.uint8] | None
    ) -> None:
        self.frames += 1
        self.pixels += expected.labels.size
        self.scale = max(self.scale, float(np.abs(expected.scores).max()))
        # np.maximum, unlike max, keeps a NaN.
        difference = np.abs(expected.scores - got.scores).max()
        self.difference = float(np.maximum(self.difference, difference))
        differs = expected.labels != got.labels
        self.changed += np.bincount(expected.labels[differs], minlength=self.classes)
        if differs.any():
            self.gap = max(self.gap, _largest_gap(expected, differs))
        if truth is not None:
            counts = confusion(truth, got.labels, self.classes, self.ignore)
            self.table = counts if self.table is None else self.table + counts
            self.ignored += int(np.count_nonzero(truth == self.ignore))

    def result(self, stage: str, against: str, classes: Sequence[str]) -> StageResult:
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
            most = [f"{classes[i]} ({self.changed[i]})" for i in order]
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
            frames=self.frames,
            label_agreement=agreement,
            max_abs_logit_diff=self.difference,
            largest_gap=self.gap,
            **self._scored(classes),
        )

    def _scored(self, classes: Sequence[str]) -> dict[str, Any]:
        if self.table is None or not self.table.any():
            return {"miou": None}
        found = score(self.table, self.ignored, classes, self.ignore, mapped=True)
        return {
            "miou": found.miou,
            "ignored_share": found.ignored_share,
            "absent": found.absent,
        }


def _largest_gap(prediction: Prediction, where: NDArray[np.bool_]) -> float:
    """Between the two best scores; of one class, between it and its threshold."""
    scores = prediction.scores[:, where]
    if len(scores) == 1:
        return float(np.abs(scores - prediction.threshold).max())
    second, first = np.partition(scores, -2, axis=0)[-2:]
    return float((first - second).max())


def _require_usable(prediction: Prediction) -> None:
    scores = prediction.scores
    if not np.isfinite(scores).all():
        raise ExportError(
            "the network gives scores that are NaN or infinite on a frame: look at its "
            "weights and at the inputs' scale, mean and std."
        )
    single = len(scores) == 1 and prediction.threshold == 0
    if single and scores.min() >= 0 and scores.max() <= 1:
        raise ExportError(
            "the network gives its one class scores from 0 to 1 only, as probabilities "
            "are, but fuseg labels what is above 0: return the logits."
        )
