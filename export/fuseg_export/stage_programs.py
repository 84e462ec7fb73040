"""The forms of a network that an export compares, as functions of its tensors.

They give scores and labels at the network's own output size, as the network itself
does. A graph whose tail was cut gets it back here, in plain torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fuseg.errors import ExportError

from . import reference
from .frames.packing import Tensors
from .ort_session import open_cpu_session
from .passes.cut_tail import CutTail, find_tail

__all__ = ["Prediction", "Program", "onnx_program", "torch_program"]


@dataclass(frozen=True)
class Prediction:
    """What one program makes of one frame set, at the network's own output size.

    Attributes:
        scores: Shape (C, H, W), float32.
        labels: Shape (H, W), uint8.
        threshold: If C is 1: above it a pixel is of the class.
    """

    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]
    threshold: float = 0.0


Program = Callable[[Tensors], Prediction]


def torch_program(network: nn.Module, names: Sequence[str], tail: CutTail) -> Program:
    """A torch network; ``tail`` is that of its graph, before it is cut."""

    def program(tensors: Tensors) -> Prediction:
        given = [torch.from_numpy(tensors[name].copy()) for name in names]
        with torch.inference_mode():
            if "ArgMax" not in tail.removed:
                return _predict(network(*given), tail, ())
            with _ArgMaxTap() as tap:
                labels = network(*given).reshape(tail.size).numpy().astype(np.uint8)
            for scores in reversed(tap.seen):
                with suppress(ExportError):
                    prediction = _predict(scores, tail, ())
                    if np.array_equal(prediction.labels, labels):
                        return prediction
        raise ExportError(
            "fuseg cannot see the scores that the network makes its labels from, so it "
            "cannot verify them: return the scores instead of labels."
        )

    return program


def onnx_program(model: onnx.ModelProto, tail: CutTail) -> Program:
    """An ONNX graph. What it lacks of ``tail``, the whole one, is done in torch."""
    nodes, own = find_tail(model)
    lacking = [op for op in tail.removed if op not in own.removed]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    if "ArgMax" in own.removed:
        scores = nodes[own.removed.index("ArgMax")].inputs[0]
        assert scores is not None, "an ArgMax has an input"
        shown.graph.output.append(onnx.ValueInfoProto(name=scores.name))
    session = open_cpu_session(shown)

    def program(tensors: Tensors) -> Prediction:
        *labels, scores = session.run(None, dict(tensors))
        prediction = _predict(torch.from_numpy(scores), tail, lacking)
        if labels:
            own_labels = labels[0].reshape(tail.size).astype(np.uint8)
            return Prediction(prediction.scores, own_labels)
        return prediction

    return program


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
