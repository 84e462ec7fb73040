"""Colour cameras: (H, W, 3) uint8, or what else the user says of the camera."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends.tensors import GpuTensor
from ...cuda import Device
from ...cuda.array_view import CudaArrayView
from ...errors import FusegError
from ...manifest import ColorInput, Statistics
from ...ops.pack_color import CHANNELS, PackColor
from ..calibration_checks import about_brightness
from ..frame_advice import ColorAdvice, refuse_channels
from .adapter import Tensors
from .cuda import CudaInput, planes_form
from .frames import FrameAdapter

__all__ = ["ColorAdapter"]

_BYTES = np.dtype(np.uint8)


class ColorAdapter(FrameAdapter):
    """See `InputAdapter`.

    Attributes:
        channels: Of the camera.
    """

    input: ColorInput

    def __init__(self, spec: ColorInput) -> None:
        self.input = spec
        self.channels: str = spec.channels  # by default as the planes
        self._packers = self._make()

    def set_channels(self, order: str) -> None:
        if not isinstance(order, str) or order not in CHANNELS:
            refuse_channels(self.input.name, order)
        self.channels = order
        self._packers = self._make()

    def has_reading(self, array: NDArray[Any] | CudaArrayView) -> bool:
        if isinstance(array, CudaArrayView):
            return True
        try:
            self._packers[_BYTES].check(array)
        except FusegError:
            self._refuse(array)
        return True

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        self._packers[_BYTES](array, self._planes(tensors))

    def blank_frames(self) -> list[NDArray[Any]]:
        channels = CHANNELS[self.channels]
        last = (channels,) if channels > 1 else ()
        return [np.zeros((*self._size, *last), np.uint8)]

    def strange(
        self, frame: NDArray[Any], known: Statistics
    ) -> tuple[bool, str | None]:
        return True, about_brightness(frame.reshape(*frame.shape[:2], -1), known)

    def on_gpu(self, tensor: GpuTensor, device: Device, pixel: int) -> CudaInput:  # noqa: ARG002
        form, out = planes_form(tensor, self.input.channel, self.input.planes)
        return CudaInput(self._make(**form), self._filler(**form), out, pixel)

    def _make(self, **form: Any) -> dict[np.dtype[Any], PackColor]:
        """The kernels that bring a frame into its planes, by its element type.

        Args:
            form: The planes', if they are not float32.
        """
        spec = self.input
        pack = PackColor(
            size=self._size,
            scale=spec.scale,
            mean=spec.mean,
            std=spec.std,
            channels=self.channels,
            planes=spec.channels,
            filter=spec.resize.filter,
            fit=spec.resize.fit,
            fill=spec.fill,
            **form,
        )
        return {_BYTES: pack}

    def _filler(self, **form: Any) -> PackColor:
        """As `_make`, for a (1, 1) uint8 frame: times 0, plus ``fill``."""
        mean = (-self.input.fill,) * 3
        return PackColor(size=self._size, scale=0.0, mean=mean, channels="GRAY", **form)

    def _check_on_gpu(self, frame: CudaArrayView) -> None:
        check: Any = self._packers[_BYTES].check
        check(frame)

    def _unmasked(self, masked: Any) -> NDArray[Any]:
        if masked.dtype not in self._packers:
            self._refuse(masked.data)
        self._refuse_mask()

    def _advice(self) -> ColorAdvice:
        return ColorAdvice(self.input.name, self.channels)
