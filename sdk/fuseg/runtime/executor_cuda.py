"""The network on a GPU's memory, with the CUDA kernels around it.

Frame to pinned memory, to the GPU, packed into the network's input, the network, its
scores to labels, labels to pinned memory: one stream, and from the third frame of a
kind on one CUDA graph; frames that are on the GPU are packed before it. A second slot,
with a stream and buffers of its own, is made for those who give the next frame before
they take the labels of the last one; but a program of several graphs has one, as its
frames begin with what the last one left.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends import Backend, GpuBackend
from ..backends.tensors import decode, encode
from ..cuda import Device
from ..errors import BackendError, DeviceError
from ..manifest import BaseImageInput, Manifest, image_inputs
from .executor import MOST_IN_FLIGHT
from .frame_job import FrameJob, InFlight, LabelMap
from .frame_slot import FrameSlot
from .preprocess import FramePlan, Preprocessor
from .program_steps import ProgramState
from .sensor_sync import SensorDecision, SyncState

_log = logging.getLogger("fuseg")


class CudaExecutor:
    """See `Executor`.

    Attributes:
        cuda_graph_disabled_reason: Why frames run without a CUDA graph; None while
            they do not.
    """

    survives_fork = False  # CUDA does not

    def __init__(
        self, backend: GpuBackend, manifest: Manifest, preprocessor: Preprocessor
    ) -> None:
        self.name = backend.name
        self.device: Device | None = backend.device
        self.cuda_graph_disabled_reason: str | None = None
        self._manifest, self._preprocessor = manifest, preprocessor
        self._backend = backend
        self.backend: Backend | GpuBackend = backend
        first = FrameSlot(backend, manifest, preprocessor)
        self._slots = [first]
        weakref.finalize(self, _wait_for_all, self._slots).atexit = False
        self._busy: list[weakref.ref[InFlight]] = []
        self._newest: dict[str, FrameSlot] = {}  # where a held input's good planes are
        self._most = min(MOST_IN_FLIGHT, backend.slots)
        if any(
            i.missing.policy == "hold" and not first.can_copy(i.name)
            for i in manifest.sensors
        ):
            self._most = 1
        if not backend.capturable:
            self.cuda_graph_disabled_reason = f"{self.name} cannot be captured"
        first.try_out(_trials(manifest, preprocessor))

    def start(self, job: FrameJob) -> InFlight:
        """See `Executor.start`."""
        slot = self._free_slot(job)
        running = InFlight(job, 0, slot=slot)
        held = self._held(job, slot)
        slot.start(job, held, graph=self.cuda_graph_disabled_reason is None)
        if slot.graphs.failed is not None and self.cuda_graph_disabled_reason is None:
            self.cuda_graph_disabled_reason = slot.graphs.failed
            _log.warning(
                "frames run without a CUDA graph: %s", self.cuda_graph_disabled_reason
            )
        for name, decision in job.plan.decisions.items():
            if decision.state != "substituted":
                self._newest[name] = slot
        self._busy = [*map(weakref.ref, self._running()), weakref.ref(running)]
        running.packed_ns = time.perf_counter_ns()
        return running

    def finish(self, running: InFlight) -> None:
        """See `Executor.finish`."""
        if running.done:  # `start` needed its slot
            if running.failure is not None:
                raise running.failure
            return
        try:
            running.slot.wait()
            running.scored_ns = time.perf_counter_ns()
            running.results = running.slot.fetch(running.job)
            running.labelled_ns = time.perf_counter_ns()
        except BackendError as err:
            if running.slot.steps is not None:
                running.slot.steps.undo()
            running.failure = err
            running.done = True
            raise
        running.done = True

    def reset(self) -> None:
        """See `Executor.reset`; a bundle with a state has one slot."""
        steps = self._slots[0].steps
        if steps is not None:
            steps.reset()

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """See `Executor.tensors`."""
        found: dict[str, NDArray[np.float32]] = {}
        for entry in self._manifest.sensors:
            slot, name = self._newest.get(entry.name, self._slots[0]), entry.tensor
            whole, planes = (
                decode(slot.read(slot.inputs[name]), slot.inputs[name]),
                slice(None),
            )
            if isinstance(entry, BaseImageInput):
                planes = slice(entry.channel, entry.channel + entry.planes)
            found.setdefault(name, np.zeros_like(whole))[:, planes] = whole[:, planes]
        return found

    def program_state(self) -> ProgramState | None:
        """See `Executor.program_state`; a program has one slot."""
        first = self._slots[0]
        return None if first.steps is None else first.steps.state(first.read)

    def load_state(
        self,
        tensors: Mapping[str, NDArray[np.float32]],
        program: ProgramState | None,
    ) -> None:
        """See `Executor.load_state`."""
        first = self._slots[0]
        if first.steps is not None and program is not None:
            first.steps.load(program, first.write)
        for name, values in tensors.items():
            first.write(first.inputs[name], encode(values, first.inputs[name]))
        self._newest = {entry.name: first for entry in self._manifest.sensors}

    def _running(self) -> list[InFlight]:
        """What has a slot. What nobody asks for any more, as after an exception in
        `start`, has none."""
        found = [running for ref in self._busy if (running := ref()) is not None]
        return [running for running in found if not running.done]

    def _free_slot(self, job: FrameJob) -> FrameSlot:
        busy = self._running()
        taken = [running.slot for running in busy]
        for slot in self._slots:
            if slot not in taken:
                return slot
        if len(self._slots) < self._most:
            self._slots.append(
                FrameSlot(self._backend.clone(), self._manifest, self._preprocessor)
            )
            return self._slots[-1]
        oldest = busy[0]
        try:
            self.finish(oldest)
        except DeviceError:  # of that frame, unless this one begins with its planes
            if any(d.state == "held" for d in job.plan.decisions.values()):
                raise
        except BackendError:
            pass
        slot = oldest.slot
        assert isinstance(slot, FrameSlot)
        return slot

    def _held(self, job: FrameJob, slot: FrameSlot) -> dict[str, FrameSlot]:
        """The held inputs whose good planes lie in another slot, and in which."""
        return {
            name: self._newest[name]
            for name, decision in job.plan.decisions.items()
            if decision.state == "held" and self._newest[name] is not slot
        }


def _trials(manifest: Manifest, preprocessor: Preprocessor) -> Iterator[FrameJob]:
    """Frame sets that need every kernel: frames of zeros in each type that the sensors
    deliver, then nothing but what is substituted."""
    blank = {
        i.name: preprocessor.adapter(i.name).blank_frames() for i in manifest.sensors
    }
    size, seen = manifest.own_size, SyncState()
    for first in image_inputs(manifest.sensors)[:1]:
        seen = SyncState(camera=(first.resize.height, first.resize.width))
    fresh = SensorDecision("fresh", None, None, None)

    def job(decision: SensorDecision, arrays: dict[str, NDArray[Any]]) -> FrameJob:
        maps = {
            output.name: LabelMap(np.empty(size, np.uint8), np.empty(size, np.float32))
            for output in manifest.label_outputs
        }
        plan = FramePlan(dict.fromkeys(blank, decision), {}, 0, seen)
        return FrameJob(plan, arrays, size, maps, {})

    for turn in range(max(map(len, blank.values()))):
        arrays = {name: given[turn % len(given)] for name, given in blank.items()}
        yield job(fresh, arrays)
    yield job(SensorDecision("substituted", None, "absent", None), {})


def _wait_for_all(slots: Sequence[FrameSlot]) -> None:
    """Before any of them goes: one may still read what another one holds."""
    for slot in slots:
        with suppress(DeviceError):  # of a GPU that is lost nothing is waited for
            slot.settle()
