"""What an export does with one output of a network, whatever its kind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import Tensor

from fuseg import manifest as m

from .comparison import Tally

Size = tuple[int, int]  # (height, width)

__all__ = [
    "Differences",
    "ExportedOutput",
    "OutputRequest",
    "Prediction",
    "Reader",
    "Size",
    "StageResult",
    "Task",
    "places_of",
]


@dataclass(frozen=True)
class OutputRequest:
    """An output that the user asks for.

    Attributes:
        name: Of the result.
        kind: One of `outputs.KINDS`.
        path: Keys and indices into what forward returns, joined by dots; None: what
            `network.outputs.choose` takes.
        settings: Keys of the kind's record in a manifest; what is missing has a
            default, or is found in the graph.
        named: Whether the user named it, or there is but one.
        tensor: What the manifest calls its tensor; None: as the kind does.
        layout, masks: See `network.outputs.Source`; ``masks`` as ``path``.
    """

    name: str
    kind: str
    path: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    named: bool = True
    tensor: str | None = None
    layout: str = "nchw"
    masks: str | None = None


@dataclass(frozen=True)
class Prediction:
    """What one form of the network makes of one frame set, for one output.

    Attributes:
        tensor: What is compared value by value. Of a segmentation its scores,
            (C, H, W), at the network's own output size.
        result: What the kind makes of it. Of a segmentation the labels, (H, W).
        threshold: Of a segmentation with one class: above it a pixel is of the class.
    """

    tensor: NDArray[Any]
    result: NDArray[Any]
    threshold: float = 0.0


@dataclass(frozen=True)
class StageResult:
    """One output of one stage compared with another stage's.

    Attributes:
        output: Its name.
        label_agreement: Share of equal results: of pixels with the same label; for
            other kinds see `outputs`.
        max_abs_logit_diff: Largest difference of two values of the tensor.
        largest_gap: Between the best score and that of the label, where it is another.
        miou: Of this stage's labels, if the truth is known.
        ignored_share: Of the truth's pixels, that count nowhere.
        absent: Classes that never occur in the truth.
    """

    stage: str
    against: str
    output: str
    frames: int
    label_agreement: float
    max_abs_logit_diff: float
    largest_gap: float
    miou: float | None = None
    ignored_share: float | None = None
    absent: tuple[str, ...] = ()


class Differences(Protocol):
    """Sums up what differs between two stages, frame by frame."""

    def add(
        self, expected: Prediction, got: Prediction, truth: NDArray[np.uint8] | None
    ) -> None: ...

    def result(self, stage: str, against: str) -> StageResult:
        """What was found.

        Raises:
            ExportError: It is over the kind's limits, or no frame was compared.
        """


@dataclass(frozen=True)
class Reader:
    """How a stage's ONNX graph shows one output.

    Attributes:
        needs: The values that the graph must give.
        read: A prediction of these, by name.
    """

    needs: tuple[str, ...]
    read: Callable[[Mapping[str, NDArray[Any]]], Prediction]


class Task(Protocol):
    """How variants are judged by one output."""

    def tensor_of(self, found: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """What is compared value by value, of what the graph gives, by name."""

    def result(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """What the kind makes of that tensor."""

    def agreement(self, expected: NDArray[Any], found: NDArray[Any]) -> float:
        """How alike two results are, 0 to 1."""

    def tally(self, variants: Collection[str]) -> Tally:
        """Compares these variants with fp32."""


class ExportedOutput(Protocol):
    """One output, from what forward returns to the bundle.

    ``KINDS[kind](request, returned, inputs)`` makes it, or refuses a tensor that is
    none of the kind; ``inputs`` are the shapes of the pictures' tensors, by name.
    Tensors at `outputs.further_paths` follow, here and in the graph.
    """

    @property
    def name(self) -> str:
        """Of the result."""

    @property
    def exported_as(self) -> tuple[str, ...]:
        """What the graph calls its tensors until its tail is cut."""

    @property
    def record(self) -> m.Output:
        """The manifest's; known once its tail is cut."""

    @property
    def is_cut(self) -> bool:
        """Whether something was cut off."""

    def cut(
        self, model: onnx.ModelProto, index: int
    ) -> tuple[onnx.ModelProto, ExportedOutput]:
        """Cut off what the runtime does at the end of the graph's output ``index``,
        the first of its own."""

    def followed(self, stages: Sequence[onnx.ModelProto], index: int) -> ExportedOutput:
        """The same, knowing what each stage, in its order, has at its end."""

    def notes(self) -> tuple[str, ...]:
        """What the user should know of its tail, a sentence each."""

    def of_torch(
        self, returned: Tensor, reduced: Sequence[Tensor], *further: Tensor
    ) -> Prediction:
        """What torch gives; ``reduced`` is what it took the best of on the way."""

    def reader(self, model: onnx.ModelProto, index: int) -> Reader:
        """How a stage's graph shows it."""

    def at_camera(self, prediction: Prediction, camera: Size, size: Size) -> Prediction:
        """It with the result that the runtime makes of a camera's frame.

        Args:
            camera: The frame's size.
            size: That the runtime is asked for.
        """

    @property
    def members(self) -> Mapping[str, bytes]:
        """The bundle's members that its record names, beside the networks."""

    def require_usable(self, prediction: Prediction) -> None:
        """Refuse what the network gives if the kind can do nothing with it."""

    def differences(self) -> Differences: ...

    def task(self, *, mapped: bool) -> Task:
        """See `Task`; ``mapped`` as in `fuseg.dataset.scoring.score`."""


def places_of(outputs: Sequence[ExportedOutput]) -> list[int]:
    """Which of a graph's outputs is the first of each of these."""
    counts = (len(output.exported_as) for output in outputs)
    return list(itertools.accumulate(counts, initial=0))[:-1]
