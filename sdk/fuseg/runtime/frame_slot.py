"""One frame's place on a GPU: a stream, the engine's context, buffers, graphs."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..backends import GpuBackend
from ..cuda import Pinned, array_view
from ..cuda.array_view import Borrowed
from ..cuda.buffers import Buffers
from ..errors import DeviceError
from ..manifest import Manifest
from .cuda_graphs import Graphs
from .cuda_input import Packing
from .pipeline import Work, shapes
from .preprocess import Preprocessor

_MOST_VIEWS = 32


class _Room(NamedTuple):
    """Pinned memory, and where the GPU has its contents."""

    pinned: Pinned
    address: int


class Slot:
    """Runs one frame at a time, and begins none before the last was waited for.

    Attributes:
        inputs: The network's input tensors.
        stream: Where all its work is put.
    """

    def __init__(
        self, backend: GpuBackend, manifest: Manifest, preprocessor: Preprocessor
    ) -> None:
        self._backend, self._preprocessor = backend, preprocessor
        self._device = backend.device
        self._output = manifest.outputs[0]
        self._planes = {i.name: (i.tensor, i.planes) for i in manifest.inputs}
        self._rooms: dict[str, _Room] = {}
        self._views: dict[object, NDArray[Any]] = {}  # of the rooms' pinned memory
        self._labelers: dict[object, ops.UpsampleArgmax] = {}
        self._readers: set[int] = set()  # streams that copy planes out of this slot
        self._waited = True
        with self._device.active():
            self._buffers = Buffers(self._device, backend)
            self.stream = self._buffers.stream()
            self.graphs = Graphs(self.stream)
            backend.bind(*shapes(manifest), self._buffers, self.stream)
            pixel = self._buffers.memory(1)
        self.inputs = backend.inputs
        self._scores = backend.outputs[self._output.tensor.name]
        self._packing = {
            i.name: Packing(i, self.inputs[i.tensor.name], preprocessor, pixel)
            for i in manifest.inputs
        }
        for name, tensor in self.inputs.items():
            self.write(name, np.zeros(tensor.stored, tensor.dtype))

    def try_out(self) -> None:
        """Run the network once: it makes its own buffers now, or fails now."""
        with self._device.active():
            self._backend.enqueue()
            self._device.synchronize(self.stream)

    def start(self, work: Work, held: Mapping[str, Slot], *, graph: bool) -> None:
        """Put one frame on the stream and do not wait.

        Args:
            work: The frame; its arrays may be changed once this has returned, unless
                they are on the GPU.
            held: Inputs whose last good planes are in another slot.
            graph: Whether it may be captured.
        """
        with self._device.active(), array_view.named("fuseg frame"):
            if not self._waited:  # that failed: what is queued may use the buffers
                self._device.synchronize(self.stream)
            frames = self._stage(work)
            kind = self._kind(work, frames, held)
            self._prepare(work)
            self._wait_for_others(held)

            def enqueue() -> None:
                self._enqueue(work, frames, held)

            try:
                self._waited = False
                if graph:
                    self.graphs.run(kind, enqueue)
                else:
                    enqueue()
            except BaseException:
                self.graphs.settle()
                with suppress(DeviceError):  # the first error is the one to tell
                    self.settle()
                raise

    def wait(self) -> None:
        """Wait for the frame that was started."""
        with array_view.named("fuseg wait"):
            self.settle()

    def settle(self) -> None:
        """As `wait`, unseen by a profiler."""
        with self._device.active():
            self._device.synchronize(self.stream)
        self._waited = True

    def fetch(self, work: Work) -> int:
        """Bring what was computed to where the work wants it.

        Returns:
            At how many samples the scores were no numbers.
        """
        np.copyto(work.labels, self._view("labels", work.size, np.uint8))
        if work.confidence is not None:
            found = self._view("confidence", work.size, np.float32)
            np.copyto(work.confidence, found)
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

    def _stage(self, work: Work) -> dict[str, NDArray[Any] | Borrowed]:
        """Fresh frames: copied to pinned memory, or where they are on the GPU."""
        frames: dict[str, NDArray[Any] | Borrowed] = {}
        for name, decision in work.plan.decisions.items():
            if decision.state != "fresh":
                continue
            array = array_view.borrow(name, work.arrays[name])
            if isinstance(array, Borrowed):
                frames[name] = array_view.ordered_on(array, self.stream)
                continue
            self._make_room(name, array.nbytes)
            staged = frames[name] = self._view(name, array.shape, array.dtype)
            np.copyto(staged, array)
        return frames

    def _kind(
        self,
        work: Work,
        frames: Mapping[str, NDArray[Any] | Borrowed],
        held: Mapping[str, Slot],
    ) -> Hashable:
        """What the addresses and sizes of all work depend on."""
        parts: list[Hashable] = [work.size, work.confidence is None]
        parts.append(work.plan.sync_state.camera)
        for name, decision in work.plan.decisions.items():
            frame = frames.get(name)
            where: Hashable = held[name].stream if name in held else None
            if isinstance(frame, Borrowed):
                where = (frame.pointer, frame.strides)
            form = None if frame is None else (tuple(frame.shape), frame.dtype.str)
            parts.append((decision.state, form, where))
        return tuple(parts)

    def _prepare(self, work: Work) -> None:
        """Make what the results need, before anything is captured."""
        pixels = work.labels.size
        self._make_room("labels", pixels)
        if work.confidence is not None:
            self._make_room("confidence", 4 * pixels)
        self._make_room("nan_samples", 4)

    def _wait_for_others(self, held: Mapping[str, Slot]) -> None:
        for stream in self._readers:
            array_view.put_after(self.stream, stream)
        self._readers.clear()
        for other in {id(slot): slot for slot in held.values()}.values():
            array_view.put_after(self.stream, other.stream)
            other._readers.add(self.stream)

    def _enqueue(
        self,
        work: Work,
        frames: Mapping[str, NDArray[Any] | Borrowed],
        held: Mapping[str, Slot],
    ) -> None:
        for name, decision in work.plan.decisions.items():
            if name in frames:
                self._packing[name].pack(self._on_gpu(name, frames[name]), self.stream)
            elif decision.state == "substituted":
                self._packing[name].substitute(self.stream)
            elif name in held:
                self._copy_planes(name, held[name])
        self._backend.enqueue()
        labels = self._result("labels", work.size, np.uint8)
        likely = None
        if work.confidence is not None:
            likely = self._result("confidence", work.size, np.float32)
        scores = array_view.at(
            self._scores.address,
            self._scores.stored,
            self._scores.dtype,
        )
        nan_samples = self._result("nan_samples", (1,), np.int32)
        more: dict[str, Any] = {"confidence": likely, "nan_samples": nan_samples}
        label: Any = self._labeler_for(work)
        label(scores, out=labels, **more, stream=self.stream)
        for name, result in ({"labels": labels} | more).items():
            room = self._rooms.get(name)
            if result is not None and room is not None and not self._shared(room):
                view = room.pinned.array[: result.size * result.itemsize]
                self._device.download(view, room.address, self.stream)

    def _on_gpu(self, name: str, frame: NDArray[Any] | Borrowed) -> Borrowed:
        if isinstance(frame, Borrowed):
            return frame
        room = self._rooms[name]
        if not self._shared(room):
            self._device.upload(room.address, frame, self.stream)
        return array_view.at(room.address, frame.shape, frame.dtype)

    def _copy_planes(self, name: str, other: Slot) -> None:
        place, planes = self._planes[name]
        here, there = self.inputs[place.name], other.inputs[place.name]
        plane = here.nbytes // here.shape[1]
        self._device.copy(
            here.address + place.channel * plane,
            there.address + place.channel * plane,
            planes * plane,
            self.stream,
        )

    def _result(self, name: str, size: tuple[int, ...], dtype: Any) -> Borrowed:
        return array_view.at(self._rooms[name].address, size, dtype)

    def _make_room(self, name: str, size: int) -> None:
        """See that there are ``size`` bytes; graphs know the addresses of the old."""
        room = self._rooms.get(name)
        if room is not None and len(room.pinned.array) >= size:
            return
        if room is not None:
            self.graphs.forget()
            self._views.clear()
            del self._rooms[name]  # before it is given back: nobody finds it half gone
            self._buffers.drop(room.pinned)
            if not self._shared(room):
                self._buffers.drop(room.address)
        pinned = self._buffers.pinned(size)
        integrated = self._device.facts.integrated  # it reads the CPU's memory itself
        address = pinned.address if integrated else self._buffers.memory(size)
        self._rooms[name] = _Room(pinned, address)

    def _view(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        found = self._views.get((name, shape, dtype))
        if found is None:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            found = self._rooms[name].pinned.array[:size].view(dtype).reshape(shape)
            if len(self._views) == _MOST_VIEWS:
                self._views.clear()
            self._views[name, shape, dtype] = found
        return found

    @staticmethod
    def _shared(room: _Room) -> bool:
        return room.address == room.pinned.address

    def _labeler_for(self, work: Work) -> ops.UpsampleArgmax:
        """The plan of the last frame, or a new one if the sizes are new."""
        camera = work.plan.sync_state.camera
        labeler = self._labelers.get((work.size, camera))
        if labeler is None:
            more: dict[str, Any] = self._preprocessor.shown(camera)
            if self._scores.layout != "linear":
                more["layout"] = self._scores.layout
            labeler = ops.UpsampleArgmax(
                self._scores.shape[1:],
                self._scores.dtype,
                size=work.size,
                align_corners=self._output.upsample.align_corners,
                **more,
            )
            self._labelers = {(work.size, camera): labeler}
        return labeler
