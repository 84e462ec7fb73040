"""One of a bundle's inputs: its frames' checks, and its planes of a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..cuda import Device
from ..cuda.array_view import CudaArrayView, as_view
from ..cuda.launch import EVERYWHERE, NOWHERE, device_of
from ..errors import ArgumentError, DTypeError, Fault, FusegError
from ..manifest import Input
from ..ops.array_checks import require_rows
from ..ops.pack_color import CHANNELS, PackColor
from ..ops.pack_depth import PackDepth
from .frame_advice import refuse, refuse_channels, refuse_mask
from .frame_format import formats

Tensors = Mapping[str, NDArray[Any]]
Packer = PackColor | PackDepth
_BYTES = np.dtype(np.uint8)


class Sensor:
    """One input: its checks, and its planes of a tensor.

    Tensors are ``{tensor name: (1, C, h, w) float32}``. `write` takes frames that
    `take` returned and `has_reading` let pass.

    Attributes:
        input: What the manifest says.
        channels: Of the camera.
        formats: What frames of a depth-like sensor are taken, by element type.
    """

    def __init__(self, spec: Input) -> None:
        self.input = spec
        # Of the planes.
        self._order = spec.channels if spec.kind == "color" else "RGB"
        self.channels: str = self._order  # of the camera; the same by default
        self.formats = {} if spec.kind == "color" else formats(spec, None)
        self._packers = self.packers()

    def set_camera_unit(self, unit: str | Mapping[str, str]) -> None:
        if self.input.kind == "color":
            problem = f"must name depth-like inputs, got {self.input.name!r}."
            raise ArgumentError.of(Fault("units", None, problem))
        self.formats = formats(self.input, unit)
        self._packers = self.packers()

    def set_camera_channels(self, order: str) -> None:
        name = self.input.name
        if self.input.kind != "color":
            problem = f"must name colour inputs, got {name!r}."
            raise ArgumentError.of(Fault("channels", None, problem))
        if not isinstance(order, str) or order not in CHANNELS:
            refuse_channels(name, order)
        self.channels = order
        self._packers = self.packers()

    def take(
        self, array: Any, *, device: Device | None = None
    ) -> NDArray[Any] | CudaArrayView:
        """The frame as NumPy's, its masked pixels no reading, or as it lies on the GPU.

        Raises:
            DTypeError, ShapeError, LayoutError: the kernels cannot read it; the
                sentence names the input, and a way out.
        """
        try:
            if type(array) is not np.ndarray:
                array = self._plain(array)
            if isinstance(array, CudaArrayView):
                self._check_on_gpu(array, device)
        except FusegError as err:
            if err.fault is None:
                self._refuse(array)
            raise
        return array  # type: ignore[no-any-return]

    def has_reading(self, array: NDArray[Any] | CudaArrayView) -> bool:
        """Whether the frame has one valid pixel where it is sampled.

        Raises:
            DTypeError, ShapeError, LayoutError: as `take`.
        """
        if isinstance(array, CudaArrayView):
            return True
        pack = self._packers.get(array.dtype)
        if pack is None:
            self._refuse(array)
        try:
            if isinstance(pack, PackDepth):
                return pack.has_reading(array)
            pack.check(array)
        except FusegError:
            self._refuse(array)
        return True

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        """Bring a usable frame into its planes."""
        planes = self._planes(tensors)
        pack = self._packers[array.dtype]
        if isinstance(pack, PackColor):
            pack(array, planes)
        else:
            pack(array, planes[0])

    def substitute(self, tensors: Tensors) -> None:
        self._planes(tensors).fill(self.input.fill)

    def blank_frames(self) -> list[NDArray[Any]]:
        """Zeros as the sensor may deliver them, at the network's size: one frame of
        each element type."""
        resize, channels = self.input.resize, CHANNELS[self.channels]
        shape: tuple[int, ...] = (resize.height, resize.width)
        if self.input.kind == "color" and channels > 1:
            shape = (*shape, channels)
        return [np.zeros(shape, dtype) for dtype in self._packers]

    def packers(self, **form: Any) -> dict[np.dtype[Any], Packer]:
        """The kernels that bring a frame into its planes, by its element type.

        Args:
            form: The planes', if they are not float32.
        """
        spec = self.input
        size = (spec.resize.height, spec.resize.width)
        if spec.kind == "color":
            color = PackColor(
                size=size,
                scale=spec.scale,
                mean=spec.mean,
                std=spec.std,
                channels=self.channels,
                planes=self._order,
                filter=spec.resize.filter,
                fit=spec.resize.fit,
                fill=spec.fill,
                **form,
            )
            return {_BYTES: color}
        return {
            dtype: PackDepth(
                dtype,
                size=size,
                scale=delivered.scale,
                mean=spec.mean[0],
                std=spec.std[0],
                invalid=delivered.invalid,
                valid_range=delivered.valid_range,
                fill=spec.fill,
                filter=spec.resize.filter,
                fit=spec.resize.fit,
                **form,
            )
            for dtype, delivered in self.formats.items()
        }

    def filler(self, **form: Any) -> Packer:
        """As `packers`, for a (1, 1) uint8 frame: times 0, plus ``fill``."""
        spec = self.input
        size = (spec.resize.height, spec.resize.width)
        if spec.kind == "color":
            mean = (-spec.fill,) * 3
            return PackColor(size=size, scale=0.0, mean=mean, channels="GRAY", **form)
        return PackDepth(
            np.uint8, size=size, scale=0.0, mean=-spec.fill, invalid=(), **form
        )

    def _plain(self, array: Any) -> Any:
        """NumPy's own or what lies on the GPU; what a mask hides is no reading."""
        if not hasattr(array, "mask") or not isinstance(array, np.ndarray):
            return as_view(self.input.name, array)
        masked: Any = array
        if not np.any(masked.mask):
            return np.asarray(masked.data)
        if masked.dtype.kind == "f" and self.input.kind != "color":
            return np.asarray(masked.filled(np.nan))
        pack = self._packers.get(masked.dtype)
        none = pack.invalid if isinstance(pack, PackDepth) else ()
        if not none:
            if pack is None:
                self._refuse(masked.data)
            refuse_mask(self.input)
        return np.asarray(masked.filled(masked.dtype.type(none[0])))

    def _check_on_gpu(self, frame: CudaArrayView, device: Device | None) -> None:
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
        pack = self._packers.get(frame.dtype)
        if isinstance(pack, PackColor):
            pack.check(frame)  # type: ignore[arg-type]
        else:
            require_rows(name, frame, tuple(self._packers), ("H", "W"))

    def _planes(self, tensors: Tensors) -> NDArray[Any]:
        first = self.input.channel
        return tensors[self.input.tensor][0, first : first + self.input.planes]

    def _refuse(self, array: Any) -> NoReturn:
        units = {dtype: delivered.unit for dtype, delivered in self.formats.items()}
        refuse(self.input, array, channels=self.channels, units=units or {_BYTES: ""})
