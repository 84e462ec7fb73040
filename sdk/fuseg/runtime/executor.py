"""From one frame set to labels: on the CPU's memory, or on a GPU's.

`executor_cpu` runs a backend that reads NumPy arrays; `executor_cuda` one that reads
addresses of a GPU, packing and labelling there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, GpuBackend, Shapes
from ..backends.base import is_on_gpu
from ..cuda import Device
from ..manifest import Manifest
from ..manifest.outputs import tensors_of
from .frame_job import FrameJob, InFlight
from .preprocess import Preprocessor
from .program_steps import ProgramState

__all__ = [
    "MOST_IN_FLIGHT",
    "Executor",
    "make",
    "shapes",
]

MOST_IN_FLIGHT = 2  # frames: one computed while the next one is given


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
        """Wait until the results are there, and the labels where the job wants them;
        again, if interrupted.

        Raises:
            BackendError: the backend failed.
        """

    def reset(self) -> None:
        """Start the bundle's states anew."""

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the tensors of sensors as they are now, as float32."""

    def program_state(self) -> ProgramState | None:
        """A copy of what a program remembers; None of one graph without a state."""

    def load_state(
        self,
        tensors: Mapping[str, NDArray[np.float32]],
        program: ProgramState | None,
    ) -> None:
        """Begin with another executor's `tensors`, where what is held is, and its
        `program_state`."""


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


def shapes(
    manifest: Manifest, size: Literal["min", "max"] = "min"
) -> tuple[Shapes, Shapes]:
    """The shapes of the tensors that inputs fill and outputs are made of, by name, at
    this size of the dimensions."""
    known = manifest.shapes(size)
    return (
        {entry.tensor: known[entry.tensor] for entry in manifest.inputs},
        {n: known[n] for entry in manifest.outputs for n in tensors_of(entry).values()},
    )
