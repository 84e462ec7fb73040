"""From one frame set to labels: on the CPU's memory, or on a GPU's.

`executor_cpu` runs a backend that reads NumPy arrays; `executor_cuda` one that reads
addresses of a GPU, packing and labelling there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, GpuBackend, Shapes
from ..backends.base import is_on_gpu
from ..cuda import Device
from ..errors import BackendError
from ..manifest import Manifest
from .preprocess import FramePlan, Preprocessor

__all__ = [
    "MOST_IN_FLIGHT",
    "Executor",
    "FrameJob",
    "InFlight",
    "make",
    "require_numbers",
    "shapes",
]

MOST_IN_FLIGHT = 2  # frames: one computed while the next one is given


@dataclass(frozen=True, eq=False)
class FrameJob:
    """One frame set: what its tensors are made from, and where its labels go.

    Attributes:
        plan: The decisions about each input; its camera is that of the labels.
        arrays: The frames, by input name.
        labels: (H, W) uint8, written by `Executor.finish` at the latest.
        confidence: (H, W) float32, likewise, or None.
    """

    plan: FramePlan
    arrays: Mapping[str, Any]
    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.labels.shape
        return height, width


@dataclass(eq=False)
class InFlight:
    """A `FrameJob` that was started; times are ``time.perf_counter_ns()``."""

    job: FrameJob
    packed_ns: int
    scored_ns: int = 0
    labelled_ns: int = 0
    slot: Any = None
    done: bool = False  # its slot, if it has one, is free
    failure: BackendError | None = None  # met before `finish`, which tells it


class Executor(Protocol):
    """Runs one network. Calls come from one thread at a time.

    Attributes:
        name: The backend's.
        backend: The backend, bound. On a GPU that of the first slot.
        device: The GPU whose memory frames may be in; None on a CPU.
        cuda_graph_disabled_reason: On a GPU, why frames do not run as one CUDA graph;
            else None.
        survives_fork: Whether it works in a child process that fork makes while no
            thread is in a call.
    """

    name: str
    backend: Backend | GpuBackend
    device: Device | None
    survives_fork: bool
    cuda_graph_disabled_reason: str | None

    def start(self, job: FrameJob) -> InFlight:
        """Begin; at most `MOST_IN_FLIGHT` may have begun and not finished.

        What is returned keeps its place while somebody holds it. After an exception,
        tensors of inputs that are not held have any content.

        Raises:
            BackendError: the backend failed, at the latest in `finish`.
        """

    def finish(self, running: InFlight) -> None:
        """Wait until the labels are where the job wants them; again, if interrupted.

        Raises:
            BackendError: the backend failed.
        """

    def reset(self) -> None:
        """Start the bundle's states anew."""

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the network's input tensors as they are now, as float32."""

    def load_state(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """Begin with these input tensors, another executor's: what is held is there."""


def make(
    backend: Backend | GpuBackend, manifest: Manifest, preprocessor: Preprocessor
) -> Executor:
    """Bind a backend and lay its buffers.

    Raises:
        BundleError: the network's tensors are not the manifest's.
        BackendError: the backend refuses the buffers, or fails on its first run.
    """
    if is_on_gpu(backend):
        from .executor_cuda import CudaExecutor

        return CudaExecutor(backend, manifest, preprocessor)
    from .executor_cpu import CpuExecutor

    return CpuExecutor(cast(Backend, backend), manifest, preprocessor)


def require_numbers(backend: str, nan_samples: int, scores: tuple[int, ...]) -> None:
    """Refuse labels of scores that cannot be compared.

    Raises:
        BackendError: at some samples a score is NaN or infinite, or all are -infinity.
    """
    if nan_samples:
        height, width = scores[-2:]
        raise BackendError(
            f"{backend} gave scores that are not numbers (NaN or infinity) at "
            f"{nan_samples} of the network's {height} x {width} positions: there are "
            "no labels there. Look at what it was fed with, Segmenter.preprocess, and "
            "try another variant, such as fp32."
        )


def shapes(manifest: Manifest) -> tuple[Shapes, Shapes]:
    """The shapes of the tensors that inputs fill and outputs are made of, by name."""
    known = manifest.shapes("min")
    return (
        {entry.tensor: known[entry.tensor] for entry in manifest.inputs},
        {entry.tensor: known[entry.tensor] for entry in manifest.outputs},
    )
