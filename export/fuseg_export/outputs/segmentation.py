"""Class scores of every pixel: their tail is cut, their labels are compared.

Stages give scores and labels at the network's own output size, as the network itself
does. A graph whose tail was cut gets it back here, in plain torch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
from ..passes.cut_tail import RESIZE, TAIL, CutTail, cut_tail, find_tail
from .base import OutputRequest, Prediction, Reader, Size
from .label_differences import LabelDifferences
from .label_task import LabelTask, label_names

__all__ = ["Segmentation"]

_KEYS = ("classes", "ignore", "classes_from", "background")


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
            if key not in _KEYS:
                raise ArgumentError(
                    f"output {request.name}: {key!r} is unknown; known are "
                    f"{', '.join(_KEYS)}."
                )
        if "background" in settings:
            if not returned.is_floating_point():
                raise ExportError(
                    f"output {request.name} must be scores, which its background is "
                    f"compared with, got {returned.dtype}: return them instead."
                )
            said = settings["background"]
            if not isinstance(said, dict):
                raise ArgumentError(
                    f"output {request.name}: background must be an object, as in "
                    f'{{"score": 0}}, got {said!r}.'
                )
            try:
                settings["background"] = m.Background.from_json(said)
            except ManifestError as err:
                raise ArgumentError(f"output {request.name}: background.{err}") from err
        named = settings.get("classes")
        if named is not None and not isinstance(named, tuple):
            settings["classes"] = make_classes(f"output {request.name}: classes", named)
        return cls(replace(request, settings=settings))

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def exported_as(self) -> tuple[str, ...]:
        return ("output" if self.name == "labels" else f"{self.name}_output",)

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
        wanted = self.request.tensor or usual
        made, tail = cut_tail(model, index, wanted, self._operators)
        scores = made.graph.output[index]
        channels = scores.type.tensor_type.shape.dim[1]
        settings = self.request.settings
        background = settings.get("background")
        classes = settings.get("classes", ())
        if settings.get("classes_from") is None:
            if channels.dim_param:
                raise ArgumentError(
                    f"output {self.name} has as many classes as there are texts, so "
                    'say "classes_from" and "background" with --spec, and return its '
                    "scores."
                )
            count = channels.dim_value + (background is not None)
            classes = _classes(classes, count)
        try:
            record = m.SegmentationOutput(
                name=self.name,
                tensor=scores.name,
                upsample=m.Upsample(align_corners=tail.align_corners),
                ignore=settings.get("ignore", 255),
                classes=classes,
                tail=m.Tail(tail.removed, tail.size),
                classes_from=settings.get("classes_from"),
                background=background,
            )
        except ManifestError as err:
            raise ArgumentError(f"output {self.name}: {err}") from err
        return made, replace(self, made=record, tail=tail, whole=tail)

    def followed(self, stages: Sequence[onnx.ModelProto], index: int) -> Segmentation:
        tails = [find_tail(graph, index, self._operators)[1] for graph in stages]
        return replace(self, whole=max(tails, key=lambda tail: len(tail.removed)))

    def notes(self) -> tuple[str, ...]:
        return (self.tail.kept,) if self.tail and self.tail.kept else ()

    def of_torch(
        self,
        returned: Tensor,
        reduced: Sequence[Tensor],
        *further: Tensor,  # noqa: ARG002 - there are none
    ) -> Prediction:
        tail = self._whole()
        if "ArgMax" not in tail.removed:
            return self._predict(returned, ())
        labels = returned.reshape(tail.size).numpy().astype(np.uint8)
        for scores in reversed(reduced):
            with suppress(ExportError):
                prediction = self._predict(scores, ())
                if np.array_equal(prediction.result, labels):
                    return prediction
        raise ExportError(
            "fuseg cannot see the scores that the network makes its labels from, so it "
            "cannot verify them: return the scores instead of labels."
        )

    def reader(self, model: onnx.ModelProto, index: int) -> Reader:
        """What the graph lacks of the whole tail is done in torch."""
        tail = self._whole()
        nodes, own = find_tail(model, index, self._operators)
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
            prediction = self._predict(torch.from_numpy(arrays[scores]), lacking)
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
        return LabelDifferences(self.name, label_names(self.record), self.record.ignore)

    def task(self, *, mapped: bool) -> LabelTask:
        return LabelTask.of(self.record, mapped=mapped)

    @property
    def _operators(self) -> Collection[str]:
        """Those that may be cut: with a background scores must stay what they are."""
        return RESIZE if "background" in self.request.settings else TAIL

    def _predict(self, scores: Tensor, lacking: Sequence[str]) -> Prediction:
        tail = self._whole()
        plain = _with_tail(scores, tail, lacking)[0].numpy()
        if self.record.background is not None:
            plain = reference.with_background(plain, self.record.background.score)
        threshold = reference.threshold(tail.removed)
        found = reference.labels(plain, threshold=threshold)
        return Prediction(plain, found, threshold)

    def _whole(self) -> CutTail:
        assert self.whole is not None, "its tail is cut first"
        return self.whole


def _with_tail(scores: Tensor, tail: CutTail, lacking: Sequence[str]) -> Tensor:
    """Run the operators that a graph lacks of its tail.

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
    return scores


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
