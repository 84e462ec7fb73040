"""One output of a network on a GPU, from its tensor there to a result on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from ...backends.tensors import GpuTensor, decode
from ...cuda.array_view import view_at
from ...manifest import Output, SegmentationOutput
from ...manifest.outputs import tensors_of
from ..frame_job import FrameJob, LabelMap
from ..preprocess import Preprocessor
from ..staging import Staging
from .adapter import OutputAdapter
from .segmentation import require_numbers
from .upsample_cache import UpsampleCache

__all__ = ["CudaOutput", "cuda_output"]


class CudaOutput(Protocol):
    """Three steps of one frame; see `FrameSlot`."""

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
        tensor: GpuTensor,
        preprocessor: Preprocessor,
        staging: Staging,
        stream: int,
        backend: str,
    ) -> None:
        self._name, self._tensor, self._stream = output.name, tensor, stream
        self._staging, self._backend = staging, backend
        self._labels, self._confidence, self._nan_samples = (
            f"{output.name}: {word}" for word in ("labels", "confidence", "nan samples")
        )
        form = {} if tensor.layout == "linear" else {"layout": tensor.layout}
        self._upsample = UpsampleCache(
            tensor.shape[1:], tensor.dtype, output, preprocessor, **form
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
        tensor = self._tensor
        made: list[tuple[str, tuple[int, ...], type[Any]]]
        made = [(self._labels, job.size, np.uint8), (self._nan_samples, (1,), np.int32)]
        if job.label_maps[self._name].confidence is not None:
            made.append((self._confidence, job.size, np.float32))
        found = {n: self._staging.on_gpu(n, size, t) for n, size, t in made}
        label: Any = self._upsample.of(job.size, job.camera)
        label(
            view_at(tensor.address, tensor.stored, tensor.dtype),
            out=found[self._labels],
            confidence=found.get(self._confidence),
            nan_samples=found[self._nan_samples],
            stream=self._stream,
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
        require_numbers(self._backend, nan_samples, self._tensor.shape)
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
        output = adapter.output
        self._tensors = {name: tensors[name] for name in tensors_of(output).values()}
        self._names = {name: f"{output.name}: tensor {name}" for name in self._tensors}

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
    output: Output,
    adapter: OutputAdapter,
    tensors: Mapping[str, GpuTensor],
    preprocessor: Preprocessor,
    staging: Staging,
    stream: int,
    backend: str,
) -> CudaOutput:
    """What makes this output's results, of its tensors on the GPU."""
    if isinstance(output, SegmentationOutput) and output.kind == "segmentation":
        tensor = tensors[output.tensor]
        return _Labels(output, tensor, preprocessor, staging, stream, backend)
    return _OnCpu(adapter, tensors, staging)
