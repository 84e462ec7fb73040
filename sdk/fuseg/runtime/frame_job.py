"""One frame set on its way through an executor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import BackendError
from .inputs.text import Texts
from .preprocess import FramePlan

__all__ = ["FrameJob", "InFlight", "LabelMap"]


class LabelMap(NamedTuple):
    """Where the labels of one output go.

    Attributes:
        labels: (H, W) uint8.
        confidence: (H, W) float32, or None.
    """

    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None


class FrameJob(NamedTuple):
    """One frame set: what its tensors are made from, and where its labels go.

    Attributes:
        plan: The decisions about each input; its camera is that of the results.
        arrays: The frames, by input name.
        size: (H, W) of the results.
        label_maps: By output name; written by `Executor.finish` at the latest.
        texts: By input name, what is in force.
    """

    plan: FramePlan
    arrays: Mapping[str, Any]
    size: tuple[int, int]
    label_maps: Mapping[str, LabelMap]
    texts: Mapping[str, Texts]

    @property
    def camera(self) -> tuple[int, int] | None:
        """(H, W) of the camera that the results lie over."""
        return self.plan.sync_state.camera


@dataclass(eq=False)
class InFlight:
    """A `FrameJob` that was started; times are ``time.perf_counter_ns()``.

    Attributes:
        results: By output name, what its adapter made of its tensor.
    """

    job: FrameJob
    packed_ns: int
    scored_ns: int = 0
    labelled_ns: int = 0
    results: dict[str, Any] = field(default_factory=dict)
    slot: Any = None
    done: bool = False  # its slot, if it has one, is free
    failure: BackendError | None = None  # met before `finish`, which tells it
