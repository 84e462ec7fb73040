"""Inputs and outputs of a network on a GPU: element types and layouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cuda.buffers import Buffers
from ..errors import BundleError
from ..manifest import Tensor

_INTEGERS = (np.dtype(np.int64), np.dtype(np.int32))
GROUP = {"chw4": 4, "hwc8": 8}  # channels that lie side by side, padded to a multiple


class GpuTensor(NamedTuple):
    """Where a tensor lies on a GPU, and how.

    Attributes:
        address: Of its first byte.
        shape: The manifest's; of planes (1, C, h, w).
        dtype: float32, float16 or int8; int64 or int32 of words and tokens.
        layout: ``"linear"``: as its shape. Of planes ``"chw4"``: (ceil(C / 4), h, w,
            4); ``"hwc8"``: (h, w, P), P being C rounded up to a multiple of 8.
        scale: What one step of int8 stands for.
    """

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    layout: str = "linear"
    scale: float = 1.0

    @property
    def stored(self) -> tuple[int, ...]:
        """The shape of the memory."""
        return stored_shape(self.shape, self.layout)

    @property
    def nbytes(self) -> int:
        return math.prod(self.stored) * int(self.dtype.itemsize)


@dataclass
class Shared:
    """What graphs on one stream, which never run at the same time, have in common.

    Attributes:
        tensors: Those that have their place already, by name.
        scratch: Of each that needs memory to work in: how many bytes, and what to call
            with the address and size of it.
    """

    tensors: dict[str, GpuTensor] = field(default_factory=dict)
    scratch: list[tuple[int, Callable[[int, int], None]]] = field(default_factory=list)

    def give_scratch(self, buffers: Buffers) -> None:
        """Give all of them the same memory."""
        if self.scratch:
            size = max(1, *(needed for needed, _ in self.scratch))
            address = buffers.memory(size)
            for _, use in self.scratch:
                use(address, size)


def stored_shape(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """The memory's shape of a tensor in this layout; all but linear ones are of
    (1, C, h, w)."""
    if layout == "linear":
        return shape
    _, channels, height, width = shape
    groups = -(-channels // GROUP[layout])
    if layout == "chw4":
        return groups, height, width, GROUP[layout]
    return height, width, groups * GROUP[layout]


def resize(
    tensors: dict[str, GpuTensor], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Give those that are there other shapes, in the same place."""
    for name in tensors.keys() & shapes.keys():
        tensors[name] = tensors[name]._replace(shape=shapes[name])


def encode(values: NDArray[Any], tensor: GpuTensor) -> NDArray[Any]:
    """What lies in memory for these values, float32 or int64; padding is 0."""
    if tensor.dtype == np.int8:
        values = np.clip(np.rint(values / tensor.scale), -128, 127)
    values = values.astype(tensor.dtype)
    if tensor.layout == "linear":
        return np.ascontiguousarray(values)
    planes: NDArray[Any] = values[0]
    stored = np.zeros(tensor.stored, tensor.dtype)
    channels = len(planes)
    if tensor.layout == "chw4":
        for c in range(channels):
            stored[c // 4, :, :, c % 4] = planes[c]
    else:
        stored[..., :channels] = planes.transpose(1, 2, 0)
    return stored


def decode(stored: NDArray[Any], tensor: GpuTensor) -> NDArray[Any]:
    """A copy of the values, float32 or int64, of what lies in memory."""
    if tensor.dtype in _INTEGERS:
        integers: NDArray[np.int64] = stored.astype(np.int64)
        return integers
    planes = stored
    if tensor.layout == "chw4":
        _, channels, height, width = tensor.shape
        groups = stored.transpose(0, 3, 1, 2).reshape(1, -1, height, width)
        planes = groups[:, :channels]
    elif tensor.layout == "hwc8":
        planes = stored[None, ..., : tensor.shape[1]].transpose(0, 3, 1, 2)
    values: NDArray[np.float32] = planes.astype(np.float32)
    if tensor.dtype == np.int8:
        values *= np.float32(tensor.scale)
    return values


def require_integers(
    wanted: Mapping[str, Tensor], found: Mapping[str, GpuTensor]
) -> None:
    """Refuse a network that has integers where the manifest has none, or none where it
    has.

    Raises:
        BundleError: It does.
    """
    for name, tensor in found.items():
        dtype = wanted[name].dtype
        if (dtype == "int64") != (tensor.dtype in _INTEGERS):
            raise BundleError(
                f"the network's tensor {name} must be {dtype}, as the manifest says, "
                f"got {tensor.dtype}: export the bundle again."
            )
