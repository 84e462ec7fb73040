"""Variants judged by their labels: equal to fp32's, and mIoU where truth is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fuseg.dataset import scoring
from fuseg.dataset.bootstrap import draws, interval
from fuseg.dataset.metrics import confusion, iou, label_agreement, miou
from fuseg.manifest import Background, SegmentationOutput
from fuseg.ops import upsample_argmax

from ..reference import with_background
from .comparison import SHOWN, Comparison, Evaluation, worst_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LabelTask", "label_names"]


@dataclass(frozen=True)
class LabelTask:
    """How the scores of a network, its tail cut off, are labelled and scored.

    Attributes:
        classes: Names, in the order of the labels.
        ignore: Label in the truth that is not counted.
        size: (H, W) of the network's own output.
        align_corners: Of the resize that was cut off.
        mapped: See `fuseg.dataset.scoring.score`.
        tensor: The scores' name in the graph.
        background: An implied first class; None without one.
    """

    classes: tuple[str, ...]
    ignore: int
    size: tuple[int, int]
    align_corners: bool = False
    mapped: bool = True
    tensor: str = "logits"
    background: Background | None = None

    @classmethod
    def of(cls, output: SegmentationOutput, *, mapped: bool = True) -> Self:
        """The task of a manifest's output."""
        return cls(
            label_names(output),
            output.ignore,
            output.tail.size,
            output.upsample.align_corners,
            mapped,
            output.tensor,
            output.background,
        )

    def tensor_of(self, found: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The scores (1, C, h, w), those of the background first if there is one."""
        scores = found[self.tensor]
        if self.background is None:
            return scores
        return with_background(scores[0], self.background.score)[None]

    def result(self, tensor: NDArray[Any]) -> NDArray[np.uint8]:
        """Labels (H, W) from scores (1, C, h, w).

        By the kernel, as the bundle is run: hundreds of frames are labelled, once for
        each variant, and the kernel is held against the reference in its own tests.
        """
        labels = upsample_argmax(
            tensor[0], size=self.size, align_corners=self.align_corners
        )
        return np.asarray(labels, np.uint8)

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """Share of pixels with the same label."""
        return label_agreement(found, expected)

    def tally(self, variants: Collection[str]) -> _Tally:
        """Compares these variants with fp32, and all with the truth."""
        return _Tally(self, variants)

    def confusion(
        self, truth: NDArray[np.uint8], labels: NDArray[np.uint8]
    ) -> NDArray[np.int64]:
        """Pixel counts by true class (rows) and label (columns)."""
        return confusion(truth, labels, len(self.classes), self.ignore)

    def score(self, counts: Sequence[NDArray[np.int64]], ignored: int) -> scoring.Score:
        """Of all these frames together."""
        table = np.sum(counts, 0)
        return scoring.score(
            table, ignored, self.classes, self.ignore, mapped=self.mapped
        )


def label_names(output: SegmentationOutput) -> tuple[str, ...]:
    """A name for each label; of texts, which change, for as many as there may be."""
    if output.classes_from is None:
        return tuple(entry.name for entry in output.classes)
    return ("background", *(f"{output.classes_from} {i}" for i in range(1, 255)))


class _Tally:
    def __init__(self, task: LabelTask, variants: Collection[str]) -> None:
        self._task = task
        self._frames = self._ignored = 0
        self._equal: dict[str, list[float]] = {name: [] for name in variants}
        self._differs = dict.fromkeys(variants, 0.0)
        self._own: list[NDArray[np.int64]] = []
        self._tables: dict[str, list[NDArray[np.int64]]] = {n: [] for n in variants}

    def add(
        self,
        truth: NDArray[np.uint8] | None,
        fp32: NDArray[Any],
        variants: Mapping[str, NDArray[Any]],
    ) -> None:
        self._frames += 1
        task = self._task
        expected = task.result(fp32)
        if truth is not None:
            self._ignored += int(np.count_nonzero(truth == task.ignore))
            self._own.append(task.confusion(truth, expected))
        for name, scores in variants.items():
            difference = float(np.abs(scores - fp32).max())
            largest = np.maximum(self._differs[name], difference)  # keeps a NaN
            self._differs[name] = float(largest)
            labels = task.result(scores)
            self._equal[name].append(task.agreement(expected, labels))
            if truth is not None:
                self._tables[name].append(task.confusion(truth, labels))

    def done(self) -> Evaluation:
        task, known = self._task, bool(np.any(self._own))
        tables = self._tables.items() if known else ()
        return Evaluation(
            frames=self._frames,
            fp32=task.score(self._own, self._ignored) if known else None,
            scores={name: task.score(own, self._ignored) for name, own in tables},
            comparisons={name: self._compared(name, known) for name in self._equal},
            worst_frames=_worst(self._own),
        )

    def _compared(self, name: str, known: bool) -> Comparison:
        equal = self._equal[name]
        agreement = float(np.mean(equal))
        found = Comparison(
            len(equal), agreement, self._differs[name], worst_frames=worst_of(equal)
        )
        if not known:
            return found
        before, after = np.array(self._own), np.array(self._tables[name])
        drops = iou(before.sum(0)) - iou(after.sum(0))
        worst = int(np.nanargmax(drops))
        return Comparison(
            frames=len(equal),
            agreement=agreement,
            max_abs_logit_diff=self._differs[name],
            miou=miou(after.sum(0)),
            miou_drop=miou(before.sum(0)) - miou(after.sum(0)),
            interval=_interval(before, after),
            worst_class=self._task.classes[worst],
            worst_drop=float(drops[worst]),
            worst_frames=found.worst_frames,
        )


def _worst(tables: Sequence[NDArray[np.int64]]) -> tuple[int, ...]:
    right = [np.trace(table) / max(1, int(table.sum())) for table in tables]
    order = np.argsort(right, kind="stable")[:SHOWN]
    return tuple(int(i) for i in order if tables[i].any())


def _interval(
    before: NDArray[np.int64], after: NDArray[np.int64]
) -> tuple[float, float]:
    """Draw the frames anew, with replacement, the same for both networks."""
    drops = []
    for drawn in draws(len(before)):
        if before[drawn].any():  # else none of these frames has a pixel that counts
            drops.append(miou(before[drawn].sum(0)) - miou(after[drawn].sum(0)))
    return interval(drops)
