"""One sensor's frames into its channels of a tensor on a GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...backends.tensors import GpuTensor, encode
from ...cuda import Device
from ...cuda.array_view import CudaArrayView, view_at

if TYPE_CHECKING:
    from .adapter import InputAdapter

__all__ = ["CudaCopies", "CudaInput", "CudaPlanes", "HostInput", "planes_form"]


class CudaInput:
    """The pack kernels of one input, aimed at the input's channels of a tensor.

    Args:
        packs: The kernels for planes of this form, by the frames' element type.
        fill: That makes the input's ``fill`` of any (1, 1) uint8 frame.
        out: The planes, as the kernels take them.
        pixel: Address of a byte on the GPU, of any value.
    """

    def __init__(
        self,
        packs: Mapping[np.dtype[Any], Any],
        fill: Any,
        out: CudaArrayView,
        pixel: int,
    ) -> None:
        self._packs, self._fill, self._out = packs, fill, out
        self._pixel = view_at(pixel, (1, 1), "uint8")

    def staged(
        self, frame: NDArray[Any] | CudaArrayView
    ) -> NDArray[Any] | CudaArrayView:
        """A frame as `pack` wants it, on the CPU or on the GPU: the same memory."""
        return frame

    def stand_in(self) -> NDArray[Any] | None:
        """What to stage in place of a missing frame; None where `substitute` does it
        on the GPU."""
        return None

    def pack(self, frame: CudaArrayView, stream: int) -> None:
        """Bring a staged frame that lies on the GPU into the tensor."""
        self._packs[frame.dtype](frame, self._out, stream=stream)

    def substitute(self, stream: int) -> None:
        """Bring the manifest's ``fill`` into the tensor: a frame times 0, plus it."""
        self._fill(self._pixel, self._out, stream=stream)


class CudaPlanes(CudaInput):
    """As `CudaInput`, of an input whose planes are packed one by one."""

    def __init__(self, planes: Sequence[CudaInput]) -> None:
        self._each = planes

    def staged(
        self, frame: NDArray[Any] | CudaArrayView
    ) -> NDArray[Any] | CudaArrayView:
        if isinstance(frame, CudaArrayView):
            return frame.last_axis_first()
        return np.moveaxis(frame, -1, 0)

    def pack(self, frame: CudaArrayView, stream: int) -> None:
        for number, plane in enumerate(self._each):
            plane.pack(frame[number], stream)

    def substitute(self, stream: int) -> None:
        for plane in self._each:
            plane.substitute(stream)


class CudaCopies(CudaPlanes):
    """As `CudaPlanes`, where each plane is made from all of the frame."""

    def staged(
        self, frame: NDArray[Any] | CudaArrayView
    ) -> NDArray[Any] | CudaArrayView:
        return frame

    def pack(self, frame: CudaArrayView, stream: int) -> None:
        for plane in self._each:
            plane.pack(frame, stream)


class HostInput(CudaInput):
    """As `CudaInput`, of an input whose tensor is computed on the CPU and uploaded."""

    def __init__(
        self, adapter: InputAdapter, tensor: GpuTensor, device: Device
    ) -> None:
        self._adapter, self._tensor, self._device = adapter, tensor, device
        self._values = np.zeros(tensor.shape, np.float32)

    def staged(self, frame: NDArray[Any] | CudaArrayView) -> NDArray[Any]:
        assert isinstance(frame, np.ndarray), "take lets no other pass"
        self._adapter.write(frame, self._tensors)
        return encode(self._values, self._tensor)

    def stand_in(self) -> NDArray[Any]:
        self._adapter.substitute(self._tensors)
        return encode(self._values, self._tensor)

    def pack(self, frame: CudaArrayView, stream: int) -> None:
        tensor = self._tensor
        self._device.copy(tensor.address, frame.pointer, tensor.nbytes, stream)

    @property
    def _tensors(self) -> dict[str, NDArray[np.float32]]:
        return {self._adapter.input.tensor: self._values}


def planes_form(
    tensor: GpuTensor, channel: int, planes: int
) -> tuple[dict[str, Any], CudaArrayView]:
    """How some planes lie in a tensor, as pack kernels say it, and where."""
    form: dict[str, Any] = {"dtype": tensor.dtype, "out_scale": tensor.scale}
    if tensor.layout == "linear":
        _, _, height, width = tensor.shape
        plane = height * width * int(tensor.dtype.itemsize)
        shape = (planes, height, width)
        return form, view_at(
            tensor.address + channel * plane,
            shape if planes > 1 else shape[1:],
            tensor.dtype,
        )
    form |= {"layout": tensor.layout, "channel": channel}
    return form, view_at(tensor.address, tensor.stored, tensor.dtype)
