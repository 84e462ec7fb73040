"""One sensor's frames into its channels of a tensor on a GPU."""

from __future__ import annotations

from typing import Any

from ..backends.tensors import GpuTensor
from ..cuda.array_view import CudaArrayView, view_at
from ..manifest import Input
from .preprocess import Preprocessor


class CudaInput:
    """The pack kernel of one input, aimed at the input's channels of a tensor.

    Args:
        pixel: Address of a byte on the GPU, of any value.
    """

    def __init__(
        self, entry: Input, tensor: GpuTensor, preprocessor: Preprocessor, pixel: int
    ) -> None:
        form = {"dtype": tensor.dtype, "out_scale": tensor.scale}
        first = entry.channel
        if tensor.layout == "linear":
            _, _, height, width = tensor.shape
            plane = height * width * int(tensor.dtype.itemsize)
            shape = (entry.planes, height, width)
            out = view_at(
                tensor.address + first * plane,
                shape if entry.kind == "color" else shape[1:],
                tensor.dtype,
            )
        else:
            form |= {"layout": tensor.layout, "channel": first}
            out = view_at(tensor.address, tensor.stored, tensor.dtype)
        self._out: Any = out
        self._packs: Any = preprocessor.packers(entry.name, **form)
        self._fill: Any = preprocessor.filler(entry.name, **form)
        self._pixel = view_at(pixel, (1, 1), "uint8")

    def pack(self, frame: CudaArrayView, stream: int) -> None:
        """Bring a frame that lies on the GPU into the tensor."""
        self._packs[frame.dtype](frame, self._out, stream=stream)

    def substitute(self, stream: int) -> None:
        """Bring the manifest's ``fill`` into the tensor: a frame times 0, plus it."""
        self._fill(self._pixel, self._out, stream=stream)
