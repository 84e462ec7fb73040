"""Maps of any numbers: (H, W), or (H, W, planes), packed plane by plane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends.tensors import GpuTensor
from ...cuda import Device
from ...cuda.array_view import CudaArrayView
from ...errors import FusegError
from ...manifest import PlaneInput, Statistics
from ...ops.array_checks import require_rows
from ...ops.pack_depth import PackDepth
from ..calibration_checks import about_planes
from ..frame_advice import PlaneAdvice, fits
from ..frame_format import DepthFormat
from .adapter import Tensors
from .cuda import CudaInput, CudaPlanes, planes_form
from .frames import FrameAdapter
from .transform import CudaTransformed, FrameTransform, refuse_on_gpu

__all__ = ["PlaneAdapter"]


class PlaneAdapter(FrameAdapter):
    """See `InputAdapter`.

    Where the numbers of a pixel lie side by side, one plane at a time is copied to a
    buffer that stays; planes that lie apart are read where they are. Those that are
    transformed are float32 in the tensor's units then.
    """

    input: PlaneInput

    def __init__(self, spec: PlaneInput) -> None:
        self.input = spec
        self._transforms: list[FrameTransform] = []
        if spec.is_transformed:
            delivered = DepthFormat(
                np.dtype(spec.dtype), "1", spec.scale, tuple(spec.invalid)
            )
            self._transforms = [FrameTransform(spec, delivered) for _ in spec.mean]
        self._packs = [self._pack(number) for number in range(spec.planes)]
        self._plane = np.empty((0, 0), spec.dtype)

    def has_reading(self, array: NDArray[Any] | CudaArrayView) -> bool:
        if isinstance(array, CudaArrayView):
            return True
        if array.dtype != self.input.dtype or not fits(array, self.input.frame_shape):
            self._refuse(array)
        try:
            planes = zip(self._packs, self._planes_of(array), strict=True)
            return any(pack.has_reading(plane) for pack, plane in planes)
        except FusegError:
            self._refuse(array)

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        targets = self._planes(tensors)
        planes = self._planes_of(array)
        for pack, plane, target in zip(self._packs, planes, targets, strict=True):
            pack(plane, target)

    def blank_frames(self) -> list[NDArray[Any]]:
        last = (self.input.planes,) if self.input.planes > 1 else ()
        return [np.zeros((*self._size, *last), self.input.dtype)]

    def strange(
        self, frame: NDArray[Any], known: Statistics
    ) -> tuple[bool, str | None]:
        planes = frame.reshape(-1, self.input.planes)
        return about_planes(planes, self.input.invalid, known)

    def on_gpu(self, tensor: GpuTensor, device: Device, pixel: int) -> CudaInput:  # noqa: ARG002
        planes: list[CudaInput] = []
        for number in range(self.input.planes):
            form, out = planes_form(tensor, self.input.channel + number, 1)
            pack = self._pack(number, **form)
            packs = {np.dtype(self._packed_dtype): pack}
            mean = -self.input.fill
            fill = PackDepth(
                np.uint8, size=self._size, scale=0.0, mean=mean, invalid=(), **form
            )
            planes.append(CudaInput(packs, fill, out, pixel))
        found = CudaPlanes(planes) if len(planes) > 1 else planes[0]
        return CudaTransformed(found, self._transformed) if self._transforms else found

    def _pack(self, number: int, **form: Any) -> PackDepth:
        """The kernel for one plane."""
        spec = self.input
        if self._transforms:
            form = {**form, "scale": 1.0, "invalid": ()}
        else:
            form = {**form, "scale": spec.scale, "invalid": spec.invalid}
        return PackDepth(
            self._packed_dtype,
            size=self._size,
            mean=spec.mean[number],
            std=spec.std[number],
            fill=spec.fill,
            filter=spec.resize.filter,
            fit=spec.resize.fit,
            **form,
        )

    @property
    def _packed_dtype(self) -> str:
        return "float32" if self._transforms else self.input.dtype

    def _transformed(self, frame: NDArray[Any]) -> NDArray[np.float32]:
        planes = list(self._planes_of(frame))
        return planes[0] if frame.ndim == 2 else np.stack(planes, -1)

    def _planes_of(self, frame: NDArray[Any]) -> Iterator[NDArray[Any]]:
        for number in range(self.input.planes):
            plane = frame if frame.ndim == 2 else frame[..., number]
            if self._transforms:
                plane = self._transforms[number](plane)
            elif plane.strides[1] != plane.itemsize:
                if self._plane.shape != plane.shape:
                    self._plane = np.empty(plane.shape, plane.dtype)
                np.copyto(self._plane, plane)
                plane = self._plane
            yield plane

    def _check_on_gpu(self, frame: CudaArrayView) -> None:
        if self._transforms:
            refuse_on_gpu(self.input.name)
        name, dtypes = self.input.name, (self.input.dtype,)
        if self.input.planes == 1:
            require_rows(name, frame, dtypes, ("H", "W"))
            return
        if frame.dtype != self.input.dtype or not fits(frame, self.input.frame_shape):
            self._refuse(frame)
        require_rows(name, frame.last_axis_first()[0], dtypes, ("H", "W"))

    def _unmasked(self, masked: Any) -> NDArray[Any]:
        if masked.dtype != self.input.dtype:
            self._refuse(masked.data)
        none: float = np.nan
        if masked.dtype.kind != "f":
            if not self.input.invalid:
                self._refuse_mask()
            none = self.input.invalid[0]
        return np.asarray(masked.filled(masked.dtype.type(none)))

    def _advice(self) -> PlaneAdvice:
        return PlaneAdvice(self.input)
