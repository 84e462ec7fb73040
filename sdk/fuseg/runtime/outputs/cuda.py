"""One output of a network on a GPU, from its tensor there to a result on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ...backends.tensors import GpuTensor, decode
from ...cuda import Device
from ...cuda.array_view import view_at
from ...cuda.buffers import Buffers
from ...errors import BackendError
from ...manifest import SegmentationOutput
from ...manifest.outputs import tensors_of
from ..frame_job import FrameJob, LabelMap
from ..preprocess import Preprocessor
from ..staging import Staging
from .adapter import OutputAdapter
from .segmentation import require_numbers
from .upsample_cache import UpsampleCache

__all__ = ["CudaContext", "CudaOutput", "cuda_output"]


class CudaContext(NamedTuple):
    """What outputs of one slot work with.

    Attributes:
        backend: The name of what makes the tensors, for sentences.
    """

    device: Device
    buffers: Buffers
    staging: Staging
    stream: int
    backend: str


class CudaOutput(Protocol):
    """Three steps of one frame; see `FrameSlot`."""

    def connect(self, tensors: Mapping[str, GpuTensor]) -> None:
        """Read these from now on: of other sizes, in the same place."""

    def reserve(self, job: FrameJob) -> None:
        """Make what `enqueue` needs, before anything is captured."""

    def enqueue(self, job: FrameJob) -> None:
        """Put the work on the stream."""

    def fetch(self, job: FrameJob) -> Any:
        """The result, when the stream has done the work.

        Raises:
            BackendError: the tensor's values make no result.
        """


class _Labels:
    """Scores that the GPU makes labels of."""

    def __init__(
        self,
        output: SegmentationOutput,
        tensors: Mapping[str, GpuTensor],
        preprocessor: Preprocessor,
        context: CudaContext,
    ) -> None:
        self._output, self._preprocessor = output, preprocessor
        self._context, self._staging = context, context.staging
        self._name = output.name
        self._labels, self._confidence, self._nan_samples = (
            f"{output.name}: {word}" for word in ("labels", "confidence", "nan samples")
        )
        self._planes = 0  # where those are that have the background's in front
        if output.background is not None:
            tensor = tensors[output.tensor]
            if tensor.layout != "linear":
                raise BackendError(
                    f"tensor {output.tensor} must be linear, as the background's score "
                    f"is a plane in front of it, got {tensor.layout}: build the engine "
                    "again, `fuseg build --rebuild`."
                )
            plane = np.full(tensor.shape[2:], output.background.score, tensor.dtype)
            self._planes = context.buffers.copy_of(
                plane, context.stream, size=plane.nbytes + tensor.nbytes
            )
        self.connect(tensors)

    def connect(self, tensors: Mapping[str, GpuTensor]) -> None:
        """See `CudaOutput.connect`."""
        tensor = self._tensor = tensors[self._output.tensor]
        _, classes, height, width = tensor.shape
        shape = (classes + bool(self._planes), height, width)
        form = {} if tensor.layout == "linear" else {"layout": tensor.layout}
        where = self._planes or tensor.address
        stored = shape if tensor.layout == "linear" else tensor.stored
        self._scores = view_at(where, stored, tensor.dtype)
        self._upsample = UpsampleCache(
            shape, tensor.dtype, self._output, self._preprocessor, **form
        )

    def reserve(self, job: FrameJob) -> None:
        """See `CudaOutput.reserve`."""
        height, width = job.size
        self._staging.reserve(self._labels, height * width)
        if job.label_maps[self._name].confidence is not None:
            self._staging.reserve(self._confidence, 4 * height * width)
        self._staging.reserve(self._nan_samples, 4)

    def enqueue(self, job: FrameJob) -> None:
        """See `CudaOutput.enqueue`."""
        context, tensor = self._context, self._tensor
        if self._planes:
            _, _, height, width = tensor.shape
            behind = self._planes + height * width * int(tensor.dtype.itemsize)
            context.device.copy(behind, tensor.address, tensor.nbytes, context.stream)
        made: list[tuple[str, tuple[int, ...], type[Any]]]
        made = [(self._labels, job.size, np.uint8), (self._nan_samples, (1,), np.int32)]
        if job.label_maps[self._name].confidence is not None:
            made.append((self._confidence, job.size, np.float32))
        found = {n: self._staging.on_gpu(n, size, t) for n, size, t in made}
        label: Any = self._upsample.of(job.size, job.camera)
        label(
            self._scores,
            out=found[self._labels],
            confidence=found.get(self._confidence),
            nan_samples=found[self._nan_samples],
            stream=context.stream,
        )
        for name, result in found.items():
            self._staging.download(name, result.size * result.itemsize)

    def fetch(self, job: FrameJob) -> LabelMap:
        """See `CudaOutput.fetch`."""
        wanted = job.label_maps[self._name]
        staged = self._staging.on_cpu(self._labels, job.size, np.uint8)
        np.copyto(wanted.labels, staged)
        if wanted.confidence is not None:
            staged = self._staging.on_cpu(self._confidence, job.size, np.float32)
            np.copyto(wanted.confidence, staged)
        nan_samples = int(self._staging.on_cpu(self._nan_samples, (1,), np.int32)[0])
        require_numbers(self._context.backend, nan_samples, self._tensor.shape)
        return wanted


class _OnCpu:
    """Tensors that are brought to the CPU, and read there."""

    def __init__(
        self,
        adapter: OutputAdapter,
        tensors: Mapping[str, GpuTensor],
        staging: Staging,
    ) -> None:
        self._adapter, self._staging = adapter, staging
        self.connect(tensors)
        name = adapter.output.name
        self._names = {tensor: f"{name}: tensor {tensor}" for tensor in self._tensors}

    def connect(self, tensors: Mapping[str, GpuTensor]) -> None:
        """See `CudaOutput.connect`."""
        names = tensors_of(self._adapter.output).values()
        self._tensors = {name: tensors[name] for name in names}

    def reserve(self, job: FrameJob) -> None:
        """See `CudaOutput.reserve`."""
        for name, tensor in self._tensors.items():
            self._staging.reserve(self._names[name], tensor.nbytes)

    def enqueue(self, job: FrameJob) -> None:
        """See `CudaOutput.enqueue`."""
        for name, tensor in self._tensors.items():
            self._staging.download(self._names[name], tensor.nbytes, tensor.address)

    def fetch(self, job: FrameJob) -> Any:
        """See `CudaOutput.fetch`."""
        arrays = {}
        for name, tensor in self._tensors.items():
            stored = self._staging.on_cpu(
                self._names[name], tensor.stored, tensor.dtype
            )
            arrays[name] = decode(stored, tensor)
        self._adapter.connect(arrays)
        return self._adapter.read(arrays[self._adapter.output.tensor], job)


def cuda_output(
    adapter: OutputAdapter,
    tensors: Mapping[str, GpuTensor],
    preprocessor: Preprocessor,
    context: CudaContext,
) -> CudaOutput:
    """What makes an output's results, of its tensors on the GPU, at their largest."""
    output = adapter.output
    if isinstance(output, SegmentationOutput) and output.kind == "segmentation":
        return _Labels(output, tensors, preprocessor, context)
    return _OnCpu(adapter, tensors, context.staging)
