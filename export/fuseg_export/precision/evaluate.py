"""Variants against the float32 network: equal labels, and mIoU where truth is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from fuseg.dataset import metrics
from fuseg.dataset.metrics import confusion, iou, label_agreement, miou
from fuseg.errors import ArgumentError
from fuseg.manifest import SegmentationOutput
from fuseg.ops import upsample_argmax

from ..frames.packing import PackedFrame, Tensors
from ..ort_session import open_cpu_session
from .options import Budget

__all__ = [
    "Comparison",
    "Evaluation",
    "ScoreFunction",
    "Task",
    "evaluate",
    "score_function",
]

_DRAWS = 1000  # of the bootstrap
_LEVEL = 95  # per cent, of its interval
_SHOWN = 4  # frames that a report shows

ScoreFunction = Callable[[Tensors], NDArray[np.float32]]


@dataclass(frozen=True)
class Task:
    """How the scores of a network, its tail cut off, are labelled and scored.

    Attributes:
        classes: Names, in the order of the labels.
        ignore: Label in the truth that is not counted.
        size: (H, W) of the network's own output.
        align_corners: Of the resize that was cut off.
        mapped: See `fuseg.dataset.metrics.score`.
    """

    classes: tuple[str, ...]
    ignore: int
    size: tuple[int, int]
    align_corners: bool = False
    mapped: bool = True

    @classmethod
    def of(cls, output: SegmentationOutput, *, mapped: bool = True) -> Task:
        """The task of a manifest's output."""
        return cls(
            tuple(c.name for c in output.classes),
            output.ignore,
            output.tail.size,
            output.upsample.align_corners,
            mapped,
        )

    def label(self, scores: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Labels (H, W) from scores (1, C, h, w).

        By the kernel, as the bundle is run: hundreds of frames are labelled, once for
        each variant, and the kernel is held against the reference in its own tests.
        """
        labels = upsample_argmax(
            scores[0], size=self.size, align_corners=self.align_corners
        )
        return np.asarray(labels, np.uint8)

    def confusion(
        self, truth: NDArray[np.uint8], labels: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Pixel counts by true class (rows) and label (columns)."""
        return confusion(truth, labels, len(self.classes), self.ignore)

    def score(self, counts: Sequence[NDArray[np.int64]], ignored: int) -> metrics.Score:
        """Of all these frames together."""
        table = np.sum(counts, 0)
        return metrics.score(
            table, ignored, self.classes, self.ignore, mapped=self.mapped
        )


@dataclass(frozen=True)
class Comparison:
    """A variant beside the float32 network, on the same frames.

    Attributes:
        frames: How many.
        agreement: Share of pixels with the same label.
        max_abs_logit_diff: Largest difference of one score.
        miou: Of the variant; None without truth.
        miou_drop: The float32 network's less the variant's.
        interval: Of ``miou_drop``: 95 % of 1000 paired bootstrap draws of the frames.
        worst_class: The class that loses most IoU.
        worst_drop: What it loses.
        worst_frames: Numbers of the frames that agree least, the worst first.
    """

    frames: int
    agreement: float
    max_abs_logit_diff: float
    miou: float | None = None
    miou_drop: float | None = None
    interval: tuple[float, float] | None = None
    worst_class: str | None = None
    worst_drop: float | None = None
    worst_frames: tuple[int, ...] = ()

    def over(self, budget: Budget) -> str | None:
        """What is over the budget, in words; None if nothing is."""
        faults = []
        if not math.isfinite(self.max_abs_logit_diff):
            faults.append("it gives scores that are NaN or infinite")
        if self.agreement < budget.agreement:
            faults.append(
                f"{self.agreement:.4f} of the labels agree with fp32's, fewer than "
                f"{budget.agreement}"
            )
        if self.miou_drop is not None and self.miou_drop > budget.miou_drop:
            faults.append(
                f"mIoU falls by {self.miou_drop:.4f}, more than {budget.miou_drop}"
            )
        if self.worst_drop is not None and self.worst_drop > budget.class_drop:
            faults.append(
                f"IoU of {self.worst_class} falls by {self.worst_drop:.4f}, more than "
                f"{budget.class_drop}"
            )
        return "; ".join(faults) or None


def score_function(model: onnx.ModelProto) -> ScoreFunction:
    """A network with one output as a function, run by ONNX Runtime."""
    session = open_cpu_session(model)

    def scores(tensors: Tensors) -> NDArray[np.float32]:
        (found,) = session.run(None, dict(tensors))
        return np.asarray(found, np.float32)

    return scores


@dataclass(frozen=True)
class Evaluation:
    """The float32 network and its variants on the same frames.

    Attributes:
        frames: How many.
        fp32: The score of the float32 network; None without truth, or where all of it
            is ignored.
        scores: Those of the variants, by name; empty where ``fp32`` is None.
        comparisons: The variants beside the float32 network, by name.
        worst_frames: Numbers of those where most labels of the float32 network are
            wrong, the worst first; where truth is known.
    """

    frames: int
    fp32: metrics.Score | None
    scores: dict[str, metrics.Score]
    comparisons: dict[str, Comparison]
    worst_frames: tuple[int, ...]


def evaluate(
    frames: Iterable[PackedFrame],
    fp32: ScoreFunction,
    variants: Mapping[str, ScoreFunction],
    task: Task,
) -> Evaluation:
    """Label all frames with all variants; one frame is in memory at a time.

    Args:
        fp32: The float32 network.
        variants: By name; may be empty.

    Raises:
        ArgumentError: There is no frame.
    """
    count = ignored = 0
    equal: dict[str, list[float]] = {name: [] for name in variants}
    differs = dict.fromkeys(variants, 0.0)
    own: list[NDArray[np.int64]] = []
    tables: dict[str, list[NDArray[np.int64]]] = {name: [] for name in variants}
    for frame in frames:
        count += 1
        own_scores = fp32(frame.tensors)
        expected = task.label(own_scores)
        if frame.truth is not None:
            ignored += int(np.count_nonzero(frame.truth == task.ignore))
            own.append(task.confusion(frame.truth, expected))
        for name, variant in variants.items():
            scores = variant(frame.tensors)
            difference = float(np.abs(scores - own_scores).max())
            differs[name] = float(np.maximum(differs[name], difference))  # keeps a NaN
            labels = task.label(scores)
            equal[name].append(label_agreement(labels, expected))
            if frame.truth is not None:
                tables[name].append(task.confusion(frame.truth, labels))
    if not count:
        raise ArgumentError("variants must be evaluated on at least one frame, got 0.")
    known = bool(np.any(own))
    return Evaluation(
        frames=count,
        fp32=task.score(own, ignored) if known else None,
        scores={name: task.score(tables[name], ignored) for name in variants if known},
        comparisons={
            name: _compare(
                equal[name],
                differs[name],
                own,
                tables[name] if known else [],
                task.classes,
            )
            for name in variants
        },
        worst_frames=_worst(own),
    )


def _compare(
    equal: list[float],
    difference: float,
    own: list[NDArray[np.int64]],
    tables: list[NDArray[np.int64]],
    classes: Sequence[str],
) -> Comparison:
    agreement = float(np.mean(equal))
    order = np.argsort(equal, kind="stable")[:_SHOWN]
    worst_frames = tuple(int(i) for i in order if equal[i] < 1)
    if not tables:
        return Comparison(len(equal), agreement, difference, worst_frames=worst_frames)
    before, after = np.array(own), np.array(tables)
    drops = iou(before.sum(0)) - iou(after.sum(0))
    worst = int(np.nanargmax(drops))
    return Comparison(
        frames=len(equal),
        agreement=agreement,
        max_abs_logit_diff=difference,
        miou=miou(after.sum(0)),
        miou_drop=miou(before.sum(0)) - miou(after.sum(0)),
        interval=_interval(before, after),
        worst_class=classes[worst],
        worst_drop=float(drops[worst]),
        worst_frames=worst_frames,
    )


def _worst(tables: Sequence[NDArray[np.int64]]) -> tuple[int, ...]:
    right = [np.trace(table) / max(1, int(table.sum())) for table in tables]
    order = np.argsort(right, kind="stable")[:_SHOWN]
    return tuple(int(i) for i in order if tables[i].any())


def _interval(
    before: NDArray[np.int64], after: NDArray[np.int64]
) -> tuple[float, float]:
    """Draw the frames anew, with replacement, the same for both networks."""
    random = np.random.default_rng(0)
    drops = []
    for _ in range(_DRAWS):
        drawn = random.integers(0, len(before), len(before))
        if before[drawn].any():  # else none of these frames has a pixel that counts
            drops.append(miou(before[drawn].sum(0)) - miou(after[drawn].sum(0)))
    tail = (100 - _LEVEL) / 2
    low, high = np.percentile(drops, (tail, 100 - tail))
    return float(low), float(high)
