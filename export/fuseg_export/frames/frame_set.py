"""A frame of each input, taken together: what an export verifies and calibrates on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..inputs import ExportedInput

__all__ = [
    "SEQUENCE",
    "STAGE_FRAMES",
    "Dataset",
    "FrameSet",
    "WithExamples",
    "first",
    "with_examples",
]

STAGE_FRAMES = 16  # frame sets that every stage of an export is compared on
SEQUENCE = 20  # in a row: wrong ranges of a state show after about ten


@dataclass(frozen=True, eq=False)
class FrameSet:
    """One frame of each input.

    Attributes:
        arrays: Pictures, by input name, as the manifest declares each input.
        truth: Labels at the first input's size, uint8; None if unknown.
        others: What is given to inputs that are no pictures, by name.
        tensors: The network's tensors of those.
    """

    arrays: dict[str, NDArray[Any]]
    truth: NDArray[np.uint8] | None = None
    others: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, Any]:
        """All that a call of the runtime is given, by input name."""
        return {**self.arrays, **self.others}


class Dataset(Protocol):
    """Frame sets that are read or rendered when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> FrameSet: ...


def first(dataset: Dataset, count: int) -> list[FrameSet]:
    """The first frame sets of a dataset, as many as there are."""
    return [dataset[i] for i in range(min(len(dataset), count))]


def with_examples(
    frame: FrameSet, number: int, inputs: Sequence[ExportedInput]
) -> FrameSet:
    """A frame set with what frame ``number`` gives to inputs that are no pictures.

    What the frame set has of its own stays.
    """
    others = {
        name: frame.others[name] if name in frame.others else entry.example(number)
        for name, entry in ((entry.record.name, entry) for entry in inputs)
    }
    tensors = {
        entry.record.tensor: entry.tensor(others[entry.record.name]) for entry in inputs
    }
    return replace(frame, others=others, tensors=tensors)


class WithExamples:
    """A dataset with examples of what is no picture."""

    def __init__(self, dataset: Dataset, inputs: Sequence[ExportedInput]) -> None:
        self._dataset, self._inputs = dataset, inputs

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, number: int) -> FrameSet:
        return with_examples(self._dataset[number], number, self._inputs)
