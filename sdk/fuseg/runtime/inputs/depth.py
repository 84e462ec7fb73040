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
from .transform import CudaTransformed, FrameTransform, refuse_on_gpu

__all__ = ["DepthAdapter"]

_FLOATS = np.dtype(np.float32)
_NOTHING = np.empty((0, 0), np.float32)


class DepthAdapter(FrameAdapter):
    """See `InputAdapter`.

    Kernels pack frames as they come, or the float32 frames that they are transformed
    to first.
    """

    input: DepthInput

    def __init__(self, spec: DepthInput) -> None:
        self.input = spec
        self._ready: tuple[NDArray[Any] | None, NDArray[np.float32]] = None, _NOTHING
        self._say(None)

    def set_unit(self, unit: str | Mapping[str, str]) -> None:
        self._say(unit)

    def has_reading(self, array: NDArray[Any] | CudaArrayView) -> bool:
        if isinstance(array, CudaArrayView):
            return True
        pack = self._packs[0].get(array.dtype)
        if pack is None:
            self._refuse(array)
        try:
            if not self._transforms:
                return bool(pack.has_reading(array))
            values = self._transforms[array.dtype](array)
            self._ready = array, values
            return bool(pack.has_reading(values))
        except FusegError:
            self._refuse(array)

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        planes, dtype = self._planes(tensors), array.dtype
        if self._transforms:
            array = self._transform(array)
        for number, packs in enumerate(self._packs):
            packs[dtype](array, planes[number])

    def blank_frames(self) -> list[NDArray[Any]]:
        return [np.zeros(self._size, dtype) for dtype in self._formats]

    def strange(
        self, frame: NDArray[Any], known: Statistics
    ) -> tuple[bool, str | None]:
        return about_values(frame, self.input, self._formats[frame.dtype], known)

    def on_gpu(self, tensor: GpuTensor, device: Device, pixel: int) -> CudaInput:  # noqa: ARG002
        planes: list[CudaInput] = []
        for number in range(self.input.planes):
            form, out = planes_form(tensor, self.input.channel + number, 1)
            packs, fill = self._make(number, **form), self._filler(**form)
            planes.append(CudaInput(packs, fill, out, pixel))
        found = CudaCopies(planes) if len(planes) > 1 else planes[0]
        return CudaTransformed(found, self._transform) if self._transforms else found

    def _say(self, unit: str | Mapping[str, str] | None) -> None:
        """Take what is true of its unit; None for the manifest's own."""
        spec = self.input
        self._formats = formats(spec, unit)  # that are taken, by element type
        self._transforms = {
            dtype: FrameTransform(spec, delivered)
            for dtype, delivered in self._formats.items()
            if spec.is_transformed
        }
        self._packs = [self._make(number) for number in range(spec.planes)]
        self._ready = None, _NOTHING

    def _transform(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        """Of the frame that `has_reading` let pass it is there already, once."""
        (known, values), self._ready = self._ready, (None, _NOTHING)
        return values if known is frame else self._transforms[frame.dtype](frame)

    def _make(self, number: int, **form: Any) -> dict[np.dtype[Any], PackDepth]:
        """The kernels that bring a frame into a plane, by its element type.

        Args:
            form: The plane's, if it is not float32.
        """
        spec = self.input
        settings = {
            "size": self._size,
            "mean": spec.mean[number],
            "std": spec.std[number],
            "fill": spec.fill,
            "filter": spec.resize.filter,
            "fit": spec.resize.fit,
            **form,
        }
        if self._transforms:
            pack = PackDepth(_FLOATS, invalid=(), **settings)
            return dict.fromkeys((*self._formats, _FLOATS), pack)
        return {
            dtype: PackDepth(
                dtype,
                scale=delivered.scale,
                invalid=delivered.invalid,
                valid_range=delivered.valid_range,
                **settings,
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
        if self._transforms:
            refuse_on_gpu(self.input.name)

    def _unmasked(self, masked: Any) -> NDArray[Any]:
        if masked.dtype.kind == "f":
            return np.asarray(masked.filled(np.nan))
        delivered = self._formats.get(masked.dtype)
        if delivered is None:
            self._refuse(masked.data)
        if not delivered.invalid:
            self._refuse_mask()
        return np.asarray(masked.filled(masked.dtype.type(delivered.invalid[0])))

    def _advice(self) -> DepthAdvice:
        units = {dtype: delivered.unit for dtype, delivered in self._formats.items()}
        return DepthAdvice(self.input, units)
