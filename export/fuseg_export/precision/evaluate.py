"""What fewer bits cost: labels beside the float32 network's, and beside the truth."""

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
from fuseg.ops import upsample_argmax

from ..ort_session import open_session
from ..passes.cut_tail import Tail

__all__ = [
    "Budget",
    "Case",
    "Judgement",
    "Scores",
    "Verdict",
    "judge",
    "labels_of",
    "scores_of",
]

_DRAWS = 1000  # of the bootstrap
_LEVEL = 95  # per cent, of its interval
_SHOWN = 4  # frames that a report shows

Tensors = Mapping[str, NDArray[np.float32]]
Scores = Callable[[Tensors], NDArray[np.float32]]


@dataclass(frozen=True)
class Case:
    """One frame: the network's inputs, and the true labels (H, W) if known.

    ``truth`` has the network's own output size.
    """

    tensors: Tensors
    truth: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Budget:
    """What a variant may lose against float32 before it is refused.

    Attributes:
        miou_drop: Of the mean IoU; judged where the truth is known.
        class_drop: Of the IoU of any class.
        agreement: Share of equal labels that there must be.
    """

    miou_drop: float = 0.005
    class_drop: float = 0.02
    agreement: float = 0.995

    def halved(self) -> Budget:
        """Half of each loss: for a few frames, that others may be harder than."""
        agreement = 1 - (1 - self.agreement) / 2
        return Budget(self.miou_drop / 2, self.class_drop / 2, agreement)


@dataclass(frozen=True)
class Verdict:
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


def scores_of(model: onnx.ModelProto) -> Scores:
    """A network with one output as a function, run by ONNX Runtime."""
    session = open_session(model)

    def scores(tensors: Tensors) -> NDArray[np.float32]:
        (found,) = session.run(None, dict(tensors))
        return np.asarray(found, np.float32)

    return scores


def labels_of(scores: NDArray[np.float32], tail: Tail) -> NDArray[np.uint8]:
    """Labels of the network's own output size, from scores whose tail was cut.

    By the kernel, as the bundle is run: hundreds of frames are labelled, once for each
    variant, and the kernel is held against the reference in its own tests.
    """
    labels = upsample_argmax(
        scores[0], size=tail.size, align_corners=tail.align_corners
    )
    return np.asarray(labels, np.uint8)


@dataclass(frozen=True)
class Judgement:
    """The float32 network and its variants on the same frames.

    Attributes:
        frames: How many.
        full: How the float32 network scores; None without truth, or where all of it
            is ignored.
        scores: How the variants do, by name; empty where ``full`` is None.
        verdicts: The variants beside the float32 network, by name.
        worst_frames: Numbers of those where most labels of the float32 network are
            wrong, the worst first; where truth is known.
    """

    frames: int
    full: metrics.Score | None
    scores: dict[str, metrics.Score]
    verdicts: dict[str, Verdict]
    worst_frames: tuple[int, ...]


def judge(
    cases: Iterable[Case],
    reference: Scores,
    variants: Mapping[str, Scores],
    tail: Tail,
    *,
    classes: Sequence[str],
    ignore: int,
    mapped: bool = True,
) -> Judgement:
    """Label all cases with all variants; one frame is in memory at a time.

    Args:
        reference: The float32 network.
        variants: By name; may be empty.
        tail: What was cut off it.
        classes: Names, in the order of the labels.
        ignore: Label in the truth that is not counted.
        mapped: See `fuseg.dataset.metrics.score`.

    Raises:
        ArgumentError: There is no case.
    """
    count = ignored = 0
    equal: dict[str, list[float]] = {name: [] for name in variants}
    differs = dict.fromkeys(variants, 0.0)
    own: list[NDArray[np.int64]] = []
    tables: dict[str, list[NDArray[np.int64]]] = {name: [] for name in variants}
    for case in cases:
        count += 1
        own_scores = reference(case.tensors)
        expected = labels_of(own_scores, tail)
        if case.truth is not None:
            ignored += int(np.count_nonzero(case.truth == ignore))
            own.append(confusion(case.truth, expected, len(classes), ignore))
        for name, variant in variants.items():
            scores = variant(case.tensors)
            difference = float(np.abs(scores - own_scores).max())
            differs[name] = float(np.maximum(differs[name], difference))  # keeps a NaN
            labels = labels_of(scores, tail)
            equal[name].append(label_agreement(labels, expected))
            if case.truth is not None:
                table = confusion(case.truth, labels, len(classes), ignore)
                tables[name].append(table)
    if not count:
        raise ArgumentError("a variant must be judged on at least one frame, got none.")
    known = bool(np.any(own))

    def score(counts: list[NDArray[np.int64]]) -> metrics.Score:
        table = np.sum(counts, 0)
        return metrics.score(table, ignored, classes, ignore, mapped=mapped)

    return Judgement(
        frames=count,
        full=score(own) if known else None,
        scores={name: score(tables[name]) for name in variants if known},
        verdicts={
            name: _verdict(
                equal[name], differs[name], own, tables[name] if known else [], classes
            )
            for name in variants
        },
        worst_frames=_worst(own),
    )


def _verdict(
    equal: list[float],
    difference: float,
    own: list[NDArray[np.int64]],
    tables: list[NDArray[np.int64]],
    classes: Sequence[str],
) -> Verdict:
    agreement = float(np.mean(equal))
    order = np.argsort(equal, kind="stable")[:_SHOWN]
    worst_frames = tuple(int(i) for i in order if equal[i] < 1)
    if not tables:
        return Verdict(len(equal), agreement, difference, worst_frames=worst_frames)
    before, after = np.array(own), np.array(tables)
    drops = iou(before.sum(0)) - iou(after.sum(0))
    worst = int(np.nanargmax(drops))
    return Verdict(
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
