"""Sensors of one value a pixel: (H, W), in the manifest's unit or the user's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends.tensors import GpuTensor
from ...cuda import Device
from ...cuda.array_view import CudaArrayView
from ...errors import FusegError
from ...manifest import DepthInput, Statistics
from ...ops.array_checks import require_rows
from ...ops.pack_depth import PackDepth
from ..calibration_checks import about_values
from ..frame_advice import DepthAdvice
from ..frame_format import formats
from .adapter import Tensors
from .cuda import CudaCopies, CudaInput, planes_form
from .frames import FrameAdapter

__all__ = ["DepthAdapter"]


class DepthAdapter(FrameAdapter):
    """See `InputAdapter`."""

    input: DepthInput

    def __init__(self, spec: DepthInput) -> None:
        self.input = spec
        self._formats = formats(spec, None)  # that are taken, by element type
        self._packs = self._make_all()

    def set_unit(self, unit: str | Mapping[str, str]) -> None:
        self._formats = formats(self.input, unit)
        self._packs = self._make_all()

    def has_reading(self, array: NDArray[Any] | CudaArrayView) -> bool:
        if isinstance(array, CudaArrayView):
            return True
        pack = self._packs[0].get(array.dtype)
        if pack is None:
            self._refuse(array)
        try:
            return bool(pack.has_reading(array))
        except FusegError:
            self._refuse(array)

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        planes = self._planes(tensors)
        for number, packs in enumerate(self._packs):
            packs[array.dtype](array, planes[number])

    def blank_frames(self) -> list[NDArray[Any]]:
        return [np.zeros(self._size, dtype) for dtype in self._formats]

    def strange(
        self, frame: NDArray[Any], known: Statistics
    ) -> tuple[bool, str | None]:
        return about_values(frame, self.input, self._formats[frame.dtype], known)

    def on_gpu(self, tensor: GpuTensor, device: Device, pixel: int) -> CudaInput:  # noqa: ARG002
        planes = []
        for number in range(self.input.planes):
            form, out = planes_form(tensor, self.input.channel + number, 1)
            packs, fill = self._make(number, **form), self._filler(**form)
            planes.append(CudaInput(packs, fill, out, pixel))
        return CudaCopies(planes) if len(planes) > 1 else planes[0]

    def _make_all(self) -> list[dict[np.dtype[Any], PackDepth]]:
        return [self._make(number) for number in range(self.input.planes)]

    def _make(self, number: int, **form: Any) -> dict[np.dtype[Any], PackDepth]:
        """The kernels that bring a frame into a plane, by its element type.

        Args:
            form: The plane's, if it is not float32.
        """
        spec = self.input
        return {
            dtype: PackDepth(
                dtype,
                size=self._size,
                scale=delivered.scale,
                mean=spec.mean[number],
                std=spec.std[number],
                invalid=delivered.invalid,
                valid_range=delivered.valid_range,
                fill=spec.fill,
                filter=spec.resize.filter,
                fit=spec.resize.fit,
                **form,
            )
            for dtype, delivered in self._formats.items()
        }

    def _filler(self, **form: Any) -> PackDepth:
        """As `_make`, for a (1, 1) uint8 frame: times 0, plus ``fill``."""
        mean = -self.input.fill
        return PackDepth(
            np.uint8, size=self._size, scale=0.0, mean=mean, invalid=(), **form
        )

    def _check_on_gpu(self, frame: CudaArrayView) -> None:
        require_rows(self.input.name, frame, tuple(self._formats), ("H", "W"))

    def _unmasked(self, masked: Any) -> NDArray[Any]:
        if masked.dtype.kind == "f":
            return np.asarray(masked.filled(np.nan))
        pack = self._packs[0].get(masked.dtype)
        if pack is None:
            self._refuse(masked.data)
        if not pack.invalid:
            self._refuse_mask()
        return np.asarray(masked.filled(masked.dtype.type(pack.invalid[0])))

    def _advice(self) -> DepthAdvice:
        units = {dtype: delivered.unit for dtype, delivered in self._formats.items()}
        return DepthAdvice(self.input, units)
