"""The network on NumPy arrays, with the CPU's kernels around it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, GpuBackend
from ..backends.program import ProgramBackend
from ..cuda import Device
from ..errors import BackendError
from ..manifest import Manifest
from .executor import FrameJob, InFlight, require_numbers, shapes
from .preprocess import Preprocessor
from .program_steps import CpuProgramSteps
from .upsample_cache import UpsampleCache


class CpuExecutor:
    """See `Executor`; all is done in `start`."""

    device: Device | None = None
    cuda_graph_disabled_reason: str | None = None

    def __init__(
        self, backend: Backend, manifest: Manifest, preprocessor: Preprocessor
    ) -> None:
        inputs, outputs = (
            {name: np.zeros(shape, np.float32) for name, shape in known.items()}
            for known in shapes(manifest)
        )
        backend.bind(inputs, outputs)
        self._steps = None
        if isinstance(backend, ProgramBackend):
            self._steps = CpuProgramSteps(backend, manifest)
        self.name = backend.name
        self.survives_fork: bool = getattr(backend, "survives_fork", True)
        self._backend, self._preprocessor = backend, preprocessor
        self.backend: Backend | GpuBackend = backend
        self._scores = backend.outputs[manifest.outputs[0].tensor][0]
        self._nan_samples = np.zeros(1, np.int32)
        self._upsample = UpsampleCache(
            self._scores.shape, self._scores.dtype, manifest.outputs[0], preprocessor
        )

    def start(self, job: FrameJob) -> InFlight:
        """See `Executor.start`."""
        self._preprocessor.fill(job.plan, job.arrays, self._backend.inputs)
        running = InFlight(job, time.perf_counter_ns())
        if self._steps is None:
            self._backend.run()
        else:
            self._steps.run(job.plan)
        running.scored_ns = time.perf_counter_ns()
        label = self._upsample.of(job.size, job.plan.sync_state.camera)
        label(
            self._scores,
            out=job.labels,
            confidence=job.confidence,
            nan_samples=self._nan_samples,
        )
        running.labelled_ns = time.perf_counter_ns()
        try:
            require_numbers(self.name, int(self._nan_samples[0]), self._scores.shape)
        except BackendError:
            if self._steps is not None:  # what it made of its states is no number
                self._steps.undo()
            raise
        return running

    def finish(self, running: InFlight) -> None:
        """See `Executor.finish`."""

    def reset(self) -> None:
        """See `Executor.reset`."""
        if self._steps is not None:
            self._steps.reset()

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """See `Executor.tensors`."""
        return {name: t.copy() for name, t in self._backend.inputs.items()}

    def load_state(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        """See `Executor.load_state`."""
        for name, tensor in tensors.items():
            np.copyto(self._backend.inputs[name], tensor)
