"""Class scores of every pixel: their tail is cut, their labels are compared.

Stages give scores and labels at the network's own output size, as the network itself
does. A graph whose tail was cut gets it back here, in plain torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fuseg import manifest as m
from fuseg.dataset.metrics import confusion, score
from fuseg.errors import ArgumentError, ExportError, ManifestError

from .. import reference
from ..network.outputs import Shapes, require_planes
from ..network.spec import default_classes, make_classes
from ..passes.cut_tail import CutTail, cut_tail, find_tail
from .base import OutputRequest, Prediction, Reader, Size, StageResult
from .label_task import LabelTask

__all__ = ["Segmentation"]

MIN_AGREEMENT = 0.9995
MAX_GAP = 1e-4  # between the two best scores of a pixel that changes its label
MAX_DIFFERENCE = 1e-3  # of one score; both are for scores up to 1 and grow with them


@dataclass(frozen=True)
class Segmentation:
    """See `ExportedOutput`.

    Attributes:
        request: What the user asks for.
        made: The manifest's record; None until the tail is cut.
        tail: What was cut off; None until then.
        whole: The longest tail of a stage: onnxsim may drop a softmax before an argmax.
    """

    request: OutputRequest
    made: m.SegmentationOutput | None = None
    tail: CutTail | None = None
    whole: CutTail | None = None

    @classmethod
    def of(
        cls, request: OutputRequest, returned: Tensor, inputs: Shapes
    ) -> Segmentation:
        """See `ExportedOutput`: scores (1, C, h, w), or labels."""
        require_planes(returned, inputs)
        settings = dict(request.settings)
        for key in settings:
            if key not in ("classes", "ignore"):
                raise ArgumentError(
                    f"output {request.name}: {key!r} is unknown; known are classes, "
                    "ignore."
                )
        named = settings.get("classes")
        if named is not None and not isinstance(named, tuple):
            settings["classes"] = make_classes(f"output {request.name}: classes", named)
        return cls(replace(request, settings=settings))

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def exported_as(self) -> str:
        return "output" if self.name == "labels" else f"{self.name}_output"

    @property
    def record(self) -> m.SegmentationOutput:
        assert self.made is not None, "its tail is cut first"
        return self.made

    @property
    def is_cut(self) -> bool:
        return self.tail is not None and bool(self.tail.removed)

    def cut(
        self, model: onnx.ModelProto, index: int
    ) -> tuple[onnx.ModelProto, Segmentation]:
        wanted = "logits" if self.name == "labels" else f"{self.name}_logits"
        made, tail = cut_tail(model, index, wanted)
        scores = made.graph.output[index]
        channels = scores.type.tensor_type.shape.dim[1].dim_value
        settings = self.request.settings
        classes = _classes(settings.get("classes"), channels)
        try:
            record = m.SegmentationOutput(
                name=self.name,
                tensor=scores.name,
                upsample=m.Upsample(align_corners=tail.align_corners),
                ignore=settings.get("ignore", 255),
                classes=classes,
                tail=m.Tail(tail.removed, tail.size),
            )
        except ManifestError as err:
            raise ArgumentError(f"output {self.name}: {err}") from err
        return made, replace(self, made=record, tail=tail, whole=tail)

    def followed(self, stages: Sequence[onnx.ModelProto], index: int) -> Segmentation:
        tails = [find_tail(graph, index)[1] for graph in stages]
        return replace(self, whole=max(tails, key=lambda tail: len(tail.removed)))

    def notes(self) -> tuple[str, ...]:
        return (self.tail.kept,) if self.tail and self.tail.kept else ()

    def of_torch(self, returned: Tensor, reduced: Sequence[Tensor]) -> Prediction:
        tail = self._whole()
        if "ArgMax" not in tail.removed:
            return _predict(returned, tail, ())
        labels = returned.reshape(tail.size).numpy().astype(np.uint8)
        for scores in reversed(reduced):
            with suppress(ExportError):
                prediction = _predict(scores, tail, ())
                if np.array_equal(prediction.result, labels):
                    return prediction
        raise ExportError(
            "fuseg cannot see the scores that the network makes its labels from, so it "
            "cannot verify them: return the scores instead of labels."
        )

    def reader(self, model: onnx.ModelProto, index: int) -> Reader:
        """What the graph lacks of the whole tail is done in torch."""
        tail = self._whole()
        nodes, own = find_tail(model, index)
        lacking = [op for op in tail.removed if op not in own.removed]
        given = model.graph.output[index].name
        scores = given
        if "ArgMax" in own.removed:
            value = nodes[own.removed.index("ArgMax")].inputs[0]
            assert value is not None, "an ArgMax has an input"
            scores = value.name or ""

        def read(arrays: Mapping[str, NDArray[Any]]) -> Prediction:
            prediction = _predict(torch.from_numpy(arrays[scores]), tail, lacking)
            if scores == given:
                return prediction
            labels = arrays[given].reshape(tail.size).astype(np.uint8)
            return Prediction(prediction.tensor, labels)

        return Reader((given, scores), read)

    def at_camera(
        self,
        prediction: Prediction,
        camera: Size,  # noqa: ARG002 - the runtime is asked for this size
        size: Size,  # noqa: ARG002
    ) -> Prediction:
        return prediction

    @property
    def members(self) -> Mapping[str, bytes]:
        return {}

    def require_usable(self, prediction: Prediction) -> None:
        scores = prediction.tensor
        if not np.isfinite(scores).all():
            raise ExportError(
                "the network gives scores that are NaN or infinite on a frame: look at "
                "its weights and at the inputs' scale, mean and std."
            )
        single = len(scores) == 1 and prediction.threshold == 0
        if single and scores.min() >= 0 and scores.max() <= 1:
            raise ExportError(
                "the network gives its one class scores from 0 to 1 only, as "
                "probabilities are, but fuseg labels what is above 0: return the "
                "logits."
            )

    def differences(self) -> LabelDifferences:
        classes = [entry.name for entry in self.record.classes]
        return LabelDifferences(self.name, classes, self.record.ignore)

    def task(self, *, mapped: bool) -> LabelTask:
        return LabelTask.of(self.record, mapped=mapped)

    def _whole(self) -> CutTail:
        assert self.whole is not None, "its tail is cut first"
        return self.whole


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


def _predict(scores: Tensor, tail: CutTail, lacking: Sequence[str]) -> Prediction:
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
    return Prediction(plain, reference.labels(plain, threshold=threshold), threshold)


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Softmax": lambda scores: scores.softmax(1),
    "LogSoftmax": lambda scores: scores.log_softmax(1),
    "Sigmoid": torch.sigmoid,
}


def _classes(named: Sequence[m.Class] | None, channels: int) -> tuple[m.Class, ...]:
    count = 2 if channels == 1 else channels
    classes = tuple(named or default_classes(count))
    if len(classes) != count:
        raise ArgumentError(
            f"--classes must name the {count} classes that the network tells apart, "
            f"got {len(classes)}."
        )
    return classes
