"""A frame of each input, taken together: what an export verifies and calibrates on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["SEQUENCE", "STAGE_FRAMES", "Dataset", "FrameSet", "first"]

STAGE_FRAMES = 16  # frame sets that every stage of an export is compared on
SEQUENCE = 20  # in a row: wrong ranges of a state show after about ten


@dataclass(frozen=True, eq=False)
class FrameSet:
    """One frame of each input.

    Attributes:
        arrays: By input name, as the manifest declares each input.
        truth: Labels at the first input's size, uint8; None if unknown.
    """

    arrays: dict[str, NDArray[Any]]
    truth: NDArray[np.uint8] | None = None


class Dataset(Protocol):
    """Frame sets that are read or rendered when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int) -> FrameSet: ...


def first(dataset: Dataset, count: int) -> list[FrameSet]:
    """The first frame sets of a dataset, as many as there are."""
    return [dataset[i] for i in range(min(len(dataset), count))]
