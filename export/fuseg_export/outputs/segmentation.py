"""Class scores of every pixel: their tail is cut, their labels are compared.

Stages give scores and labels at the network's own output size, as the network itself
does. A graph whose tail was cut gets it back here, in plain torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fuseg import manifest as m
from fuseg.errors import ArgumentError, ExportError, ManifestError

from .. import reference
from ..network.outputs import Shapes, require_planes
from ..network.spec import default_classes, make_classes
from ..passes.cut_tail import CutTail, cut_tail, find_tail
from .base import OutputRequest, Prediction, Reader, Size
from .label_differences import LabelDifferences
from .label_task import LabelTask

__all__ = ["Segmentation"]


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
        usual = "logits" if self.name == "labels" else f"{self.name}_logits"
        made, tail = cut_tail(model, index, self.request.tensor or usual)
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
        given = model.graph.output[index].name
        lacking = [op for op in tail.removed if op not in own.removed]
        if given != self.record.tensor and "ArgMax" not in own.removed:
            lacking = []  # it is whole, even where its sizes are not known
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
