"""What the runtime asks of an input, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NoReturn

from numpy.typing import NDArray

from ...backends.tensors import GpuTensor
from ...cuda import Device
from ...cuda.array_view import CudaArrayView
from ...errors import ArgumentError, Fault
from ...manifest import SensorInput
from .cuda import CudaInput

__all__ = ["InputAdapter", "Tensors"]

Tensors = Mapping[str, NDArray[Any]]


class InputAdapter(ABC):
    """One input: its checks, and its part of a tensor.

    Tensors are ``{tensor name: array}``, as the manifest has them. `write` takes what
    `take` returned and `has_reading` let pass.

    Attributes:
        input: What the manifest says.
        nothing_valid: What a frame is that `has_reading` refuses.
    """

    input: SensorInput
    nothing_valid = "no valid pixel"

    def set_unit(self, unit: str | Mapping[str, str]) -> None:  # noqa: ARG002
        """Say in what the sensor delivers its values; refused by most kinds."""
        self._refuse_setting("units", "depth-like")

    def set_channels(self, order: str) -> None:  # noqa: ARG002
        """Say in what order a camera delivers its channels; refused by most kinds."""
        self._refuse_setting("channels", "colour")

    def set_rate(self, rate: int) -> None:  # noqa: ARG002
        """Say how many samples a second are delivered; refused by most kinds."""
        self._refuse_setting("rates", "audio")

    @abstractmethod
    def take(self, given: Any, *, device: Device | None = None) -> Any:
        """What was given as NumPy's, or as it lies on the GPU.

        Raises:
            DTypeError, ShapeError, LayoutError: it cannot be read; the sentence names
                the input, and a way out.
        """

    @abstractmethod
    def has_reading(self, array: NDArray[Any] | CudaArrayView) -> bool:
        """Whether there is one valid value where it is sampled.

        Raises:
            DTypeError, ShapeError, LayoutError: as `take`.
        """

    @abstractmethod
    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        """Bring what is usable into its part of the tensor."""

    @abstractmethod
    def substitute(self, tensors: Tensors) -> None:
        """Write what stands for a frame that is missing."""

    @abstractmethod
    def blank_frames(self) -> list[NDArray[Any]]:
        """Zeros as the sensor may deliver them, one frame of each element type."""

    @abstractmethod
    def on_gpu(self, tensor: GpuTensor, device: Device, pixel: int) -> CudaInput:
        """What brings frames into the tensor on a GPU.

        Args:
            pixel: Address of a byte on the GPU, of any value.
        """

    def _refuse_setting(self, argument: str, kind: str) -> NoReturn:
        problem = f"must name {kind} inputs, got {self.input.name!r}."
        raise ArgumentError.of(Fault(argument, None, problem))
