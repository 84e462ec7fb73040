"""The network on NumPy arrays, with the CPU's kernels around it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, GpuBackend
from ..backends.program_cpu import ProgramBackend
from ..cuda import Device
from ..errors import BackendError
from ..manifest import Manifest
from .executor import shapes
from .frame_job import FrameJob, InFlight
from .outputs import adapters
from .preprocess import Preprocessor
from .program_steps import CpuProgramSteps, ProgramState


class CpuExecutor:
    """See `Executor`; all is done in `start`."""

    device: Device | None = None
    cuda_graph_disabled_reason: str | None = None

    def __init__(
        self, backend: Backend, manifest: Manifest, preprocessor: Preprocessor
    ) -> None:
        inputs, outputs = (
            {
                name: np.zeros(s, manifest.tensors[name].dtype)
                for name, s in known.items()
            }
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
        self._texts = {entry.name: entry.tensor for entry in manifest.texts}
        # By tensor, the ids that it holds.
        self._held: dict[str, NDArray[np.int64]] = {}
        self._adapters = adapters(manifest, preprocessor, backend.name)
        self._connect()

    def start(self, job: FrameJob) -> InFlight:
        """See `Executor.start`."""
        if self._texts:
            self._write_texts(job)
        self._preprocessor.fill(job.plan, job.arrays, self._backend.inputs)
        running = InFlight(job, time.perf_counter_ns())
        if self._steps is None:
            self._backend.run()
        else:
            self._steps.run(job.plan)
        running.scored_ns = time.perf_counter_ns()
        try:
            for adapter in self._adapters:
                tensor = self._backend.outputs[adapter.output.tensor]
                running.results[adapter.output.name] = adapter.read(tensor, job)
        except BackendError:
            if self._steps is not None:  # what it made of its states is no number
                self._steps.undo()
            raise
        running.labelled_ns = time.perf_counter_ns()
        return running

    def _write_texts(self, job: FrameJob) -> None:
        """Bring texts that are new into their tensors."""
        new = {
            tensor: ids
            for name, tensor in self._texts.items()
            if (ids := job.texts[name].ids) is not self._held.get(tensor)
        }
        if not new:
            return
        for tensor in new:  # until all is done nobody knows what it holds
            self._held.pop(tensor, None)
        backend = self._backend
        if isinstance(backend, ProgramBackend):
            backend.settle()
        sizes = {tensor: ids.shape for tensor, ids in new.items()}
        if any(backend.inputs[tensor].shape != size for tensor, size in sizes.items()):
            if not isinstance(backend, ProgramBackend):
                raise BackendError(
                    f"{self.name} must be made by fuseg.load for texts of another "
                    "number, got a backend object of one graph."
                )
            backend.resize(sizes)
        self._connect()  # also where an exception came before it, last time
        for tensor, ids in new.items():
            np.copyto(backend.inputs[tensor], ids)
        if isinstance(backend, ProgramBackend):
            backend.renew(new)
        self._held |= new

    def _connect(self) -> None:
        for adapter in self._adapters:
            adapter.connect(self._backend.outputs)

    def finish(self, running: InFlight) -> None:
        """See `Executor.finish`."""

    def reset(self) -> None:
        """See `Executor.reset`."""
        if self._steps is not None:
            self._steps.reset()

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """See `Executor.tensors`."""
        texts = self._texts.values()
        inputs = self._backend.inputs
        return {name: inputs[name].copy() for name in inputs if name not in texts}

    def program_state(self) -> ProgramState | None:
        """See `Executor.program_state`."""
        if self._steps is None:
            return None
        return self._steps.remembered(self._steps.backend.states())

    def load_state(
        self,
        tensors: Mapping[str, NDArray[np.float32]],
        program: ProgramState | None,
    ) -> None:
        """See `Executor.load_state`."""
        if self._steps is not None and program is not None:
            self._steps.backend.load_states(program.states)
            self._steps.resume(program)
        for name, tensor in tensors.items():
            np.copyto(self._backend.inputs[name], tensor)
