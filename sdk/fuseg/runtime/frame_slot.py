"""One frame's place on a GPU: a stream, the backend's context, buffers, graphs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends import GpuBackend
from ..backends.program_gpu import GpuProgramBackend
from ..backends.tensors import GpuTensor, require_integers
from ..cuda import Pinned
from ..cuda.array_view import CudaArrayView, as_view
from ..cuda.buffers import Buffers
from ..cuda.launch import nvtx_range, ordered_on
from ..errors import BackendError, DeviceError
from ..manifest import BaseImageInput, Manifest
from .cuda_graphs import CudaGraphs
from .executor import shapes
from .frame_job import FrameJob
from .inputs.cuda_texts import CudaTexts
from .outputs import adapters
from .outputs.cuda import CudaContext, cuda_output
from .preprocess import Preprocessor
from .program_steps import GpuProgramSteps
from .staging import Staging


class FrameSlot:
    """Runs one frame at a time, and begins none before the last was waited for.

    Attributes:
        inputs: The network's input tensors, of the last frame's sizes.
        stream: Where all its work is put.
        steps: Of a program of several graphs; else None.
    """

    def __init__(
        self, backend: GpuBackend, manifest: Manifest, preprocessor: Preprocessor
    ) -> None:
        self._backend, self._device = backend, backend.device
        self._manifest = manifest
        self._manifest_inputs = {i.name: i for i in manifest.sensors}
        self._readers: set[int] = set()  # streams that copy planes out of this slot
        self._waited = True
        with self._device.active():
            self._buffers = Buffers(self._device, backend)
            self.stream = self._buffers.stream()
            self.graphs = CudaGraphs(self._device, self.stream)
            backend.bind(*shapes(manifest, "max"), self._buffers, self.stream)
            pixel = self._buffers.memory(1)
            require_integers(manifest.tensors, {**backend.inputs, **backend.outputs})
            self._texts = CudaTexts(
                manifest, backend.inputs, self._device, self._buffers, self.stream
            )
        self.steps = None
        if isinstance(backend, GpuProgramBackend):
            self.steps = GpuProgramSteps(backend, manifest)
        self._staging = staging = Staging(
            self._device, self._buffers, self.stream, self.graphs.forget
        )
        # Of inputs with a dimension; None while nobody knows.
        self._shapes: dict[str, tuple[int, ...]] | None = None
        context = CudaContext(
            self._device, self._buffers, staging, self.stream, backend.name
        )
        with self._device.active():
            self._outputs = {
                adapter.output.name: cuda_output(
                    adapter, backend.outputs, preprocessor, context
                )
                for adapter in adapters(manifest, preprocessor, backend.name)
            }
        self._cuda_inputs = {
            i.name: preprocessor.adapter(i.name).on_gpu(
                self.inputs[i.tensor], self._device, pixel
            )
            for i in manifest.sensors
        }
        for tensor in self.inputs.values():
            self.write(tensor, np.zeros(tensor.stored, tensor.dtype))

    @property
    def inputs(self) -> Mapping[str, GpuTensor]:
        return self._backend.inputs

    def can_copy(self, name: str) -> bool:
        """Whether an input's planes can come from another slot: they lie together."""
        entry = self._manifest_inputs[name]
        tensor = self.inputs[entry.tensor]
        if tensor.layout == "linear" or not isinstance(entry, BaseImageInput):
            return True
        return entry.planes == tensor.shape[1]

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
            self._resize(self._texts.shapes(job.texts))
            for output in self._outputs.values():
                output.reserve(job)
            self._wait_for_others(held)
            texts = self._texts.begin(job.texts)
            if texts and self.steps is not None:
                self.steps.backend.renew(self._texts.names(texts))
            if self.steps is not None:
                kind = kind, self.steps.plan(job.plan)

            def enqueue() -> None:
                self._enqueue(job, frames, held)

            try:
                self._waited = False
                self._texts.write(texts)
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
            self._texts.taken(texts)

    def wait(self) -> None:
        """Wait for the frame that was started."""
        with nvtx_range("fuseg wait"):
            self.settle()

    def settle(self) -> None:
        """As `wait`, unseen by a profiler."""
        with self._device.active():
            self._synchronize()
        self._waited = True

    def fetch(self, job: FrameJob) -> dict[str, Any]:
        """Bring what was computed to where the job wants it.

        Returns:
            By output name, what `CudaOutput.fetch` returns.

        Raises:
            BackendError: a tensor's values make no result.
        """
        return {name: output.fetch(job) for name, output in self._outputs.items()}

    def read(self, tensor: GpuTensor) -> NDArray[Any]:
        """A copy of a tensor as it lies in memory."""
        with self._device.active():
            pinned = self._buffers.pinned(tensor.nbytes)
            try:
                self._device.download(pinned.array, tensor.address, self.stream)
                self._synchronize()
                stored: NDArray[Any] = pinned.array.view(tensor.dtype).copy()
            finally:
                self._drop(pinned)
        return stored.reshape(tensor.stored)

    def write(self, tensor: GpuTensor, stored: NDArray[Any]) -> None:
        """Replace a tensor as it lies in memory."""
        with self._device.active():
            pinned = self._buffers.pinned(tensor.nbytes)
            try:
                pinned.array[:] = stored.reshape(-1).view(np.uint8)
                self._device.upload(tensor.address, pinned.array, self.stream)
                self._synchronize()
            finally:
                self._drop(pinned)

    def _resize(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Go on with these shapes of inputs with a dimension, and what follows."""
        if not shapes or shapes == self._shapes:
            return
        self._shapes = None
        self.graphs.forget()  # TensorRT's context may not change while they are used
        self._backend.resize(self._manifest.shapes_that_follow(shapes))
        for output in self._outputs.values():
            output.connect(self._backend.outputs)
        self._shapes = shapes

    def _synchronize(self) -> None:
        try:
            self._device.synchronize(self.stream)
        except DeviceError:
            self._texts.forget()
            if self.steps is not None:
                self.steps.lost()
            raise

    def _drop(self, pinned: Pinned) -> None:
        """Give it back, once no copy uses it; it goes with the slot if that fails."""
        with suppress(DeviceError):
            self._device.synchronize(self.stream)
            self._buffers.drop(pinned)

    def _stage(self, job: FrameJob) -> dict[str, NDArray[Any] | CudaArrayView]:
        """Fresh frames: copied to pinned memory, or where they are on the GPU."""
        frames: dict[str, NDArray[Any] | CudaArrayView] = {}
        for name, decision in job.plan.decisions.items():
            cuda_input, array = self._cuda_inputs[name], None
            if decision.state == "fresh":
                array = cuda_input.staged(as_view(name, job.arrays[name]))
            elif decision.state == "substituted":
                array = cuda_input.stand_in()
            if array is None:
                continue
            if isinstance(array, CudaArrayView):
                frames[name] = ordered_on(array, self.stream, self._device.stream_wait)
                continue
            self._staging.reserve(name, array.nbytes)
            staged = self._staging.on_cpu(name, array.shape, array.dtype)
            frames[name] = staged
            np.copyto(staged, array)
        return frames

    def _kind(
        self,
        job: FrameJob,
        frames: Mapping[str, NDArray[Any] | CudaArrayView],
        held: Mapping[str, FrameSlot],
    ) -> Hashable:
        """What the addresses and sizes of the work of `_enqueue` depend on."""
        parts: list[Hashable] = [job.size, job.camera]
        parts += [found.confidence is None for found in job.label_maps.values()]
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
        for output in self._outputs.values():
            output.enqueue(job)

    def _uploaded(self, name: str, frame: NDArray[Any]) -> CudaArrayView:
        self._staging.upload(name, frame.nbytes)
        return self._staging.on_gpu(name, frame.shape, frame.dtype)

    def _copy_planes(self, name: str, other: FrameSlot) -> None:
        entry = self._manifest_inputs[name]
        here, there = self.inputs[entry.tensor], other.inputs[entry.tensor]
        first, size = 0, here.nbytes  # all of it, with what pads its channels
        if isinstance(entry, BaseImageInput) and entry.planes != here.shape[1]:
            plane = here.nbytes // here.shape[1]
            first, size = entry.channel * plane, entry.planes * plane
        self._device.copy(
            here.address + first, there.address + first, size, self.stream
        )
