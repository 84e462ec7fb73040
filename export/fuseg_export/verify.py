"""Every stage of an export against the stage before it, on the same tensors.

What is compared are class scores and labels at the network's own output size, as the
network itself gives them. A graph whose tail was cut gets it back here, in plain torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.dataset.metrics import confusion, score
from fuseg.errors import ExportError

from . import reference
from .ort_session import open_session
from .passes.cut_tail import Tail, find_tail

__all__ = ["Answer", "Case", "Result", "compare", "onnx_program", "torch_program"]

MIN_AGREEMENT = 0.9995
MAX_GAP = 1e-4  # between the two best scores of a pixel that changes its label
MAX_DIFFERENCE = 1e-3  # of one score; both are for scores up to 1 and grow with them

Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Answer:
    """What one program makes of one frame, at the network's own output size.

    Attributes:
        scores: Shape (C, H, W), float32.
        labels: Shape (H, W), uint8.
        threshold: If C is 1: above it a pixel is of the class.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]
    threshold: float = 0.0


@dataclass(frozen=True)
class Case:
    """One frame to compare on.

    Attributes:
        tensors: As the runtime packed them.
        labels: The runtime's, at the network's own output size.
        truth: Labels of that size, if they are known.
    """

    tensors: Tensors
    labels: NDArray[np.uint8]
    truth: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Result:
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


Program = Callable[[Tensors], Answer]


def torch_program(network: nn.Module, names: Sequence[str], tail: Tail) -> Program:
    """A torch network; ``tail`` is that of its graph, before it is cut."""

    def program(tensors: Tensors) -> Answer:
        given = [torch.from_numpy(tensors[name].copy()) for name in names]
        with torch.inference_mode():
            if "ArgMax" not in tail.removed:
                return _answer(network(*given), tail, ())
            with _ArgMaxTap() as tap:
                labels = network(*given).reshape(tail.size).numpy().astype(np.uint8)
            for scores in reversed(tap.seen):
                with suppress(ExportError):
                    answer = _answer(scores, tail, ())
                    if np.array_equal(answer.labels, labels):
                        return answer
        raise ExportError(
            "fuseg cannot see the scores that the network makes its labels from, so it "
            "cannot verify them: return the scores instead of labels."
        )

    return program


def onnx_program(model: onnx.ModelProto, tail: Tail) -> Program:
    """An ONNX graph. What it lacks of ``tail``, the whole one, is done in torch."""
    nodes, own = find_tail(model)
    lacking = [op for op in tail.removed if op not in own.removed]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    if "ArgMax" in own.removed:
        scores = nodes[own.removed.index("ArgMax")].inputs[0]
        assert scores is not None, "an ArgMax has an input"
        shown.graph.output.append(onnx.ValueInfoProto(name=scores.name))
    session = open_session(shown)

    def program(tensors: Tensors) -> Answer:
        *labels, scores = session.run(None, dict(tensors))
        answer = _answer(torch.from_numpy(scores), tail, lacking)
        if labels:
            own_labels = labels[0].reshape(tail.size).astype(np.uint8)
            return Answer(answer.scores, own_labels)
        return answer

    return program


def compare(
    cases: Iterable[Case],
    programs: Mapping[str, Program],
    *,
    classes: Sequence[str],
    ignore: int,
) -> list[Result]:
    """Run all programs on all cases and compare each with the one before it.

    Args:
        programs: By stage, torch first. The runtime's labels come with the cases; they
            are compared with torch's, and its scores are those of the last program.
        classes: Names, for the sentence about a failure.
        ignore: Label in the truth that is not counted.

    Returns:
        A result for each program but the first, and one for the runtime.

    Raises:
        ExportError: There is no case, a score is not finite, or a stage is over its
            budget. The sentence names the stage, the classes and the numbers.
    """
    stages = list(programs)
    pairs = [*zip(stages[1:], stages[:-1], strict=True), ("runtime", stages[0])]
    sums = {stage: _Sum(len(classes), ignore) for stage in [*stages, "runtime"]}
    for case in cases:
        answers = {stage: program(case.tensors) for stage, program in programs.items()}
        _require_usable(answers[stages[0]])
        answers["runtime"] = Answer(answers[stages[-1]].scores, case.labels)
        for stage, against in pairs:
            sums[stage].add(answers[against], answers[stage], case.truth)
    return [sums[stage].result(stage, against, classes) for stage, against in pairs]


@dataclass
class _Sum:
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
        self, expected: Answer, got: Answer, truth: NDArray[np.uint8] | None
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

    def result(self, stage: str, against: str, classes: Sequence[str]) -> Result:
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
        return Result(
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


class _ArgMaxTap(torch.overrides.TorchFunctionMode):
    """Remembers what was reduced to labels, while a network runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("argmax", "max", "topk"):
            self.seen += [a for a in args[:1] if isinstance(a, Tensor) and a.ndim == 4]
        return func(*args, **(kwargs or {}))


def _answer(scores: Tensor, tail: Tail, lacking: Sequence[str]) -> Answer:
    """Run the operators that a graph lacks of its tail, then label.

    They run in torch, as in the network: its float32 resize is what the graph's stages
    compute, and the float64 reference would differ from it by rounding.
    """
    if "Resize" in lacking:
        scores = F.interpolate(
            scores, tail.size, mode="bilinear", align_corners=tail.align_corners
        )
    for op in lacking:
        if op in _ACTIVATIONS:
            scores = _ACTIVATIONS[op](scores)
    if scores.shape[0] != 1 or tuple(scores.shape[2:]) != tail.size:
        raise ExportError(
            f"scores must have shape (1, C, {tail.size[0]}, {tail.size[1]}) to be "
            f"compared, got {tuple(scores.shape)}."
        )
    plain = scores[0].numpy()
    threshold = reference.threshold(tail.removed)
    return Answer(plain, reference.labels(plain, threshold=threshold), threshold)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Softmax": lambda scores: scores.softmax(1),
    "LogSoftmax": lambda scores: scores.log_softmax(1),
    "Sigmoid": torch.sigmoid,
}


def _largest_gap(answer: Answer, where: NDArray[np.bool_]) -> float:
    """Between the two best scores; of one class, between it and its threshold."""
    scores = answer.scores[:, where]
    if len(scores) == 1:
        return float(np.abs(scores - answer.threshold).max())
    second, first = np.partition(scores, -2, axis=0)[-2:]
    return float((first - second).max())


def _require_usable(answer: Answer) -> None:
    scores = answer.scores
    if not np.isfinite(scores).all():
        raise ExportError(
            "the network gives scores that are NaN or infinite on a frame: look at its "
            "weights and at the inputs' scale, mean and std."
        )
    single = len(scores) == 1 and answer.threshold == 0
    if single and scores.min() >= 0 and scores.max() <= 1:
        raise ExportError(
            "the network gives its one class scores from 0 to 1 only, as probabilities "
            "are, but fuseg labels what is above 0: return the logits."
        )
