"""Inputs whose frames are pictures: what their kinds share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ...cuda import Device
from ...cuda.array_view import CudaArrayView, as_view
from ...cuda.launch import EVERYWHERE, NOWHERE, device_of
from ...errors import DTypeError, Fault, FusegError
from ...manifest import ColorInput, DepthInput, PlaneInput, Statistics
from ..frame_advice import KindAdvice, refuse, refuse_mask
from .adapter import InputAdapter, Tensors

__all__ = ["FrameAdapter"]


class FrameAdapter(InputAdapter):
    """See `InputAdapter`; packed by kernels, on a CPU and on a GPU."""

    input: ColorInput | DepthInput | PlaneInput

    def take(
        self, given: Any, *, device: Device | None = None
    ) -> NDArray[Any] | CudaArrayView:
        """The frame, its masked pixels no reading; see `InputAdapter.take`."""
        array = given
        try:
            if type(array) is not np.ndarray:
                array = self._plain(array)
            if isinstance(array, CudaArrayView):
                self._require_device(array, device)
                self._check_on_gpu(array)
        except FusegError as err:
            if err.fault is None:
                self._refuse(array)
            raise
        return array  # type: ignore[no-any-return]

    def substitute(self, tensors: Tensors) -> None:
        self._planes(tensors).fill(self.input.fill)

    @abstractmethod
    def strange(
        self, frame: NDArray[Any], known: Statistics
    ) -> tuple[bool, str | None]:
        """What of a frame is far from those the bundle was made with, if anything, and
        whether the sensor sees nothing."""

    @abstractmethod
    def _check_on_gpu(self, frame: CudaArrayView) -> None:
        """Refuse a frame on the GPU that the kernels cannot read."""

    @abstractmethod
    def _unmasked(self, masked: Any) -> NDArray[Any]:
        """A plain array of a masked one that hides pixels."""

    @abstractmethod
    def _advice(self) -> KindAdvice:
        """What to say of frames that are refused."""

    @property
    def _size(self) -> tuple[int, int]:
        return self.input.resize.height, self.input.resize.width

    def _planes(self, tensors: Tensors) -> NDArray[Any]:
        first = self.input.channel
        return tensors[self.input.tensor][0, first : first + self.input.planes]

    def _plain(self, array: Any) -> Any:
        """NumPy's own or what lies on the GPU; what a mask hides is no reading."""
        if not hasattr(array, "mask") or not isinstance(array, np.ndarray):
            return as_view(self.input.name, array)
        masked: Any = array
        if not np.any(masked.mask):
            return np.asarray(masked.data)
        return self._unmasked(masked)

    def _require_device(self, frame: CudaArrayView, device: Device | None) -> None:
        name = self.input.name
        if device is None:
            problem = (
                "must be in the memory of the CPU, where the backend runs, got an "
                "array on the GPU."
            )
            raise DTypeError.of(
                Fault("frame", name, problem, "Copy it to a NumPy array.")
            )
        with device.active():
            gpu = device_of(frame.pointer)
        if gpu not in (device.ordinal, EVERYWHERE):
            problem = (
                f"must be in the memory of GPU {device.ordinal}, where the backend "
                f"runs, got an array on GPU {gpu}."
            )
            if gpu == NOWHERE:
                problem = (
                    f"must be in the primary CUDA context of GPU {device.ordinal}, got "
                    f"address {frame.pointer:#x}, which is not there."
                )
            raise DTypeError.of(
                Fault("frame", name, problem, "Copy it there, or to a NumPy array.")
            )

    def _refuse(self, array: Any) -> NoReturn:
        refuse(self._advice(), array)

    def _refuse_mask(self) -> NoReturn:
        refuse_mask(self._advice())
