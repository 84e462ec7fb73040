"""One sensor's frames into its channels of a tensor on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...backends.tensors import GpuTensor
from ...cuda.array_view import CudaArrayView, view_at
from ...manifest import FrameInput

__all__ = ["CudaInput", "planes_form"]


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

    def pack(self, frame: CudaArrayView, stream: int) -> None:
        """Bring a frame that lies on the GPU into the tensor."""
        self._packs[frame.dtype](frame, self._out, stream=stream)

    def substitute(self, stream: int) -> None:
        """Bring the manifest's ``fill`` into the tensor: a frame times 0, plus it."""
        self._fill(self._pixel, self._out, stream=stream)


def planes_form(
    entry: FrameInput, tensor: GpuTensor
) -> tuple[dict[str, Any], CudaArrayView]:
    """How an input's planes lie in a tensor, as pack kernels say it, and where."""
    form: dict[str, Any] = {"dtype": tensor.dtype, "out_scale": tensor.scale}
    if tensor.layout == "linear":
        _, _, height, width = tensor.shape
        plane = height * width * int(tensor.dtype.itemsize)
        shape = (entry.planes, height, width)
        return form, view_at(
            tensor.address + entry.channel * plane,
            shape if entry.planes > 1 else shape[1:],
            tensor.dtype,
        )
    form |= {"layout": tensor.layout, "channel": entry.channel}
    return form, view_at(tensor.address, tensor.stored, tensor.dtype)
