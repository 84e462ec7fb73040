"""One frame's place on a GPU: a stream, the backend's context, buffers, graphs."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..backends import GpuBackend
from ..backends.program_gpu import GpuProgramBackend
from ..cuda import Pinned
from ..cuda.array_view import CudaArrayView, as_view, view_at
from ..cuda.buffers import Buffers
from ..cuda.launch import nvtx_range, ordered_on
from ..errors import BackendError, DeviceError
from ..manifest import Manifest
from .cuda_graphs import CudaGraphs
from .executor import FrameJob, shapes
from .preprocess import Preprocessor
from .program_steps import GpuProgramSteps
from .upsample_cache import UpsampleCache

_MOST_VIEWS = 32


class PinnedBuffer(NamedTuple):
    """Pinned memory, and where the GPU has its copy."""

    pinned: Pinned
    address: int


class FrameSlot:
    """Runs one frame at a time, and begins none before the last was waited for.

    Attributes:
        inputs: The network's input tensors.
        stream: Where all its work is put.
        steps: Of a program of several graphs; else None.
    """

    def __init__(
        self, backend: GpuBackend, manifest: Manifest, preprocessor: Preprocessor
    ) -> None:
        self._backend, self._device = backend, backend.device
        self._manifest_inputs = {i.name: i for i in manifest.inputs}
        self._pinned: dict[str, PinnedBuffer] = {}
        self._views: dict[object, NDArray[Any]] = {}  # of pinned memory
        self._readers: set[int] = set()  # streams that copy planes out of this slot
        self._waited = True
        with self._device.active():
            self._buffers = Buffers(self._device, backend)
            self.stream = self._buffers.stream()
            self.graphs = CudaGraphs(self._device, self.stream)
            backend.bind(*shapes(manifest), self._buffers, self.stream)
            pixel = self._buffers.memory(1)
        self.steps = None
        if isinstance(backend, GpuProgramBackend):
            self.steps = GpuProgramSteps(backend, manifest)
        self.inputs = backend.inputs
        output = manifest.outputs[0]
        self._scores = scores = backend.outputs[output.tensor]
        form = {} if scores.layout == "linear" else {"layout": scores.layout}
        self._upsample = UpsampleCache(
            scores.shape[1:], scores.dtype, output, preprocessor, **form
        )
        self._cuda_inputs = {
            i.name: preprocessor.adapter(i.name).on_gpu(self.inputs[i.tensor], pixel)
            for i in manifest.inputs
        }
        for name, tensor in self.inputs.items():
            self.write(name, np.zeros(tensor.stored, tensor.dtype))

    def can_copy(self, name: str) -> bool:
        """Whether an input's planes can come from another slot: they lie together."""
        entry = self._manifest_inputs[name]
        tensor = self.inputs[entry.tensor]
        return tensor.layout == "linear" or entry.planes == tensor.shape[1]

    def try_out(self, jobs: Iterable[FrameJob]) -> None:
        """Run these: the network makes its own buffers now, and what cannot run on this
        GPU fails now."""
        for job in jobs:
            self.start(job, {}, graph=False)
            self.wait()
        if self.steps is not None:
            with self._device.active():
                self.steps.rehearse()
            self.wait()

    def start(
        self, job: FrameJob, held: Mapping[str, FrameSlot], *, graph: bool
    ) -> None:
        """Put one frame on the stream and do not wait.

        Args:
            job: The frame; its arrays may be changed once this has returned, unless
                they are on the GPU.
            held: Inputs whose last good planes are in another slot.
            graph: Whether it may be captured.
        """
        with self._device.active(), nvtx_range("fuseg frame"):
            if not self._waited:  # that failed: what is queued may use the buffers
                self.settle()
            frames = self._stage(job)
            kind = self._kind(job, frames, held)
            self._prepare(job)
            self._wait_for_others(held)
            if self.steps is not None:
                kind = kind, self.steps.plan(job.plan)

            def enqueue() -> None:
                self._enqueue(job, frames, held)

            try:
                self._waited = False
                self._pack_in_place(frames)
                if graph:
                    self.graphs.run(kind, enqueue)
                else:
                    enqueue()
            except BaseException as err:
                self.graphs.settle()
                with suppress(DeviceError):  # the first error is the one to tell
                    self.settle()
                if self.steps is not None:
                    self.steps.refused(known=isinstance(err, BackendError))
                raise
            if self.steps is not None:
                self.steps.taken(job.plan)

    def wait(self) -> None:
        """Wait for the frame that was started."""
        with nvtx_range("fuseg wait"):
            self.settle()

    def settle(self) -> None:
        """As `wait`, unseen by a profiler."""
        try:
            with self._device.active():
                self._device.synchronize(self.stream)
        except DeviceError:
            if self.steps is not None:
                self.steps.lost()
            raise
        self._waited = True

    def fetch(self, job: FrameJob) -> int:
        """Bring what was computed to where the job wants it.

        Returns:
            At how many samples the scores were no numbers.
        """
        np.copyto(job.labels, self._view("labels", job.size, np.uint8))
        if job.confidence is not None:
            found = self._view("confidence", job.size, np.float32)
            np.copyto(job.confidence, found)
        return int(self._view("nan_samples", (1,), np.int32)[0])

    def read(self, name: str) -> NDArray[Any]:
        """A copy of an input tensor as it lies in memory."""
        tensor = self.inputs[name]
        with self._device.active():
            pinned = self._buffers.pinned(tensor.nbytes)
            try:
                self._device.download(pinned.array, tensor.address, self.stream)
                self._device.synchronize(self.stream)
                stored: NDArray[Any] = pinned.array.view(tensor.dtype).copy()
            finally:
                self._drop(pinned)
        return stored.reshape(tensor.stored)

    def write(self, name: str, stored: NDArray[Any]) -> None:
        """Replace an input tensor as it lies in memory."""
        tensor = self.inputs[name]
        with self._device.active():
            pinned = self._buffers.pinned(tensor.nbytes)
            try:
                pinned.array[:] = stored.reshape(-1).view(np.uint8)
                self._device.upload(tensor.address, pinned.array, self.stream)
                self._device.synchronize(self.stream)
            finally:
                self._drop(pinned)

    def _drop(self, pinned: Pinned) -> None:
        """Give it back, once no copy uses it; it goes with the slot if that fails."""
        with suppress(DeviceError):
            self._device.synchronize(self.stream)
            self._buffers.drop(pinned)

    def _stage(self, job: FrameJob) -> dict[str, NDArray[Any] | CudaArrayView]:
        """Fresh frames: copied to pinned memory, or where they are on the GPU."""
        frames: dict[str, NDArray[Any] | CudaArrayView] = {}
        for name, decision in job.plan.decisions.items():
            if decision.state != "fresh":
                continue
            array = self._cuda_inputs[name].staged(as_view(name, job.arrays[name]))
            if isinstance(array, CudaArrayView):
                frames[name] = ordered_on(array, self.stream, self._device.stream_wait)
                continue
            self._reserve(name, array.nbytes)
            staged = frames[name] = self._view(name, array.shape, array.dtype)
            np.copyto(staged, array)
        return frames

    def _kind(
        self,
        job: FrameJob,
        frames: Mapping[str, NDArray[Any] | CudaArrayView],
        held: Mapping[str, FrameSlot],
    ) -> Hashable:
        """What the addresses and sizes of the work of `_enqueue` depend on."""
        parts: list[Hashable] = [job.size, job.confidence is None]
        parts.append(job.plan.sync_state.camera)
        for name, decision in job.plan.decisions.items():
            frame = frames.get(name)
            where = held[name].stream if name in held else None
            form: Hashable = None
            if isinstance(frame, CudaArrayView):
                form = "in place"
            elif frame is not None:
                form = (frame.shape, frame.dtype.str)
            parts.append((decision.state, form, where))
        return tuple(parts)

    def _prepare(self, job: FrameJob) -> None:
        """Make what the results need, before anything is captured."""
        pixels = job.labels.size
        self._reserve("labels", pixels)
        if job.confidence is not None:
            self._reserve("confidence", 4 * pixels)
        self._reserve("nan_samples", 4)

    def _wait_for_others(self, held: Mapping[str, FrameSlot]) -> None:
        for stream in self._readers:
            self._device.stream_wait(self.stream, stream)
        self._readers.clear()
        for other in {id(slot): slot for slot in held.values()}.values():
            self._device.stream_wait(self.stream, other.stream)
            other._readers.add(self.stream)

    def _pack_in_place(
        self, frames: Mapping[str, NDArray[Any] | CudaArrayView]
    ) -> None:
        """Frames that are on the GPU: their addresses come and go, so no graph knows
        them."""
        for name, frame in frames.items():
            if isinstance(frame, CudaArrayView):
                self._cuda_inputs[name].pack(frame, self.stream)

    def _enqueue(
        self,
        job: FrameJob,
        frames: Mapping[str, NDArray[Any] | CudaArrayView],
        held: Mapping[str, FrameSlot],
    ) -> None:
        for name, decision in job.plan.decisions.items():
            frame = frames.get(name)
            if isinstance(frame, np.ndarray):
                uploaded = self._uploaded(name, frame)
                self._cuda_inputs[name].pack(uploaded, self.stream)
            elif decision.state == "substituted":
                self._cuda_inputs[name].substitute(self.stream)
            elif name in held:
                self._copy_planes(name, held[name])
        self._backend.enqueue()
        labels = self._result("labels", job.size, np.uint8)
        likely = None
        if job.confidence is not None:
            likely = self._result("confidence", job.size, np.float32)
        scores = view_at(self._scores.address, self._scores.stored, self._scores.dtype)
        nan_samples = self._result("nan_samples", (1,), np.int32)
        more: dict[str, Any] = {"confidence": likely, "nan_samples": nan_samples}
        label: Any = self._upsample.of(job.size, job.plan.sync_state.camera)
        label(scores, out=labels, **more, stream=self.stream)
        for name, result in ({"labels": labels} | more).items():
            buffer = self._pinned.get(name)
            if result is not None and buffer is not None and not self._shared(buffer):
                view = buffer.pinned.array[: result.size * result.itemsize]
                self._device.download(view, buffer.address, self.stream)

    def _uploaded(self, name: str, frame: NDArray[Any]) -> CudaArrayView:
        buffer = self._pinned[name]
        if not self._shared(buffer):
            self._device.upload(buffer.address, frame, self.stream)
        return view_at(buffer.address, frame.shape, frame.dtype)

    def _copy_planes(self, name: str, other: FrameSlot) -> None:
        entry = self._manifest_inputs[name]
        here, there = self.inputs[entry.tensor], other.inputs[entry.tensor]
        first, size = 0, here.nbytes  # all of it, with what pads its channels
        if entry.planes != here.shape[1]:
            plane = here.nbytes // here.shape[1]
            first, size = entry.channel * plane, entry.planes * plane
        self._device.copy(
            here.address + first, there.address + first, size, self.stream
        )

    def _result(self, name: str, size: tuple[int, ...], dtype: Any) -> CudaArrayView:
        return view_at(self._pinned[name].address, size, dtype)

    def _reserve(self, name: str, size: int) -> None:
        """See that there are ``size`` bytes; graphs know the addresses of the old."""
        buffer = self._pinned.get(name)
        if buffer is not None and len(buffer.pinned.array) >= size:
            return
        if buffer is not None:
            self.graphs.forget()
            self._views.clear()
            del self._pinned[name]  # before it is given back: nobody finds it half gone
            self._buffers.drop(buffer.pinned)
            if not self._shared(buffer):
                self._buffers.drop(buffer.address)
        pinned = self._buffers.pinned(size)
        if self._device.properties.integrated:  # it reads the CPU's memory itself
            address = pinned.address
        else:
            address = self._buffers.memory(size)
        self._pinned[name] = PinnedBuffer(pinned, address)

    def _view(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        found = self._views.get((name, shape, dtype))
        if found is None:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            found = self._pinned[name].pinned.array[:size].view(dtype).reshape(shape)
            if len(self._views) == _MOST_VIEWS:
                self._views.clear()
            self._views[name, shape, dtype] = found
        return found

    @staticmethod
    def _shared(buffer: PinnedBuffer) -> bool:
        return buffer.address == buffer.pinned.address
