"""One of a bundle's inputs: its frames' checks, and its planes of a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._check import require_choice, require_rows
from ._device import Borrowed, borrow
from .errors import ArgumentError, DTypeError, FusegError, ShapeError
from .manifest import Input
from .manifest.units import unit_factor
from .ops.pack_color import CHANNELS, ColorPacker
from .ops.pack_depth import DepthPacker

Tensors = Mapping[str, NDArray[Any]]


class Sensor:
    """One input: its checks, and its planes of a tensor.

    Tensors are ``{tensor name: (1, C, h, w) float32}``. `write` takes frames that
    `usable` let pass.
    """

    def __init__(self, spec: Input) -> None:
        self.input = spec
        self._order: str = spec.channels or "RGB"  # of the planes, and unless told else
        self.channels: str = self._order  # of the camera
        self._unit = spec.unit
        self._scale = spec.scale
        self._pack = self.packer()

    def deliver_unit(self, unit: str) -> None:
        name, declared = self.input.name, self.input.unit
        if declared is None:
            raise ArgumentError(f"units must name depth-like inputs, got {name!r}.")
        try:
            factor = unit_factor(unit, declared)
        except ArgumentError as err:
            raise ArgumentError(f"units[{name!r}]: {err}") from None
        self._unit = unit
        self._scale = self.input.scale * factor
        self._pack = self.packer()

    def deliver_channels(self, order: str) -> None:
        if self.input.kind != "color":
            raise ArgumentError(
                f"channels must name colour inputs, got {self.input.name!r}."
            )
        require_choice(f"channels[{self.input.name!r}]", order, tuple(CHANNELS))
        self.channels = order
        self._pack = self.packer()

    def usable(self, array: Any, *, on_gpu: bool = False) -> bool:
        """Whether the frame has one valid pixel where it is sampled.

        Raises:
            DTypeError, ShapeError, LayoutError: the kernels cannot read it; the
                sentence names the input, and a way out.
        """
        try:
            if not isinstance(array, np.ndarray):
                array = borrow(self.input.name, array)
            if isinstance(array, Borrowed):
                self._check_on_gpu(array, on_gpu)
                return True
            if isinstance(self._pack, ColorPacker):
                self._pack.check(array)
                return True
            return self._pack.has_reading(array)
        except FusegError:
            self._refuse(array)
            raise

    def write(self, array: NDArray[Any], tensors: Tensors) -> None:
        """Bring a usable frame into its planes."""
        planes = self._planes(tensors)
        if isinstance(self._pack, ColorPacker):
            self._pack(array, planes)
        else:
            self._pack(array, planes[0])

    def substitute(self, tensors: Tensors) -> None:
        self._planes(tensors).fill(self.input.fill)

    def _check_on_gpu(self, frame: Borrowed, on_gpu: bool) -> None:
        name = self.input.name
        if not on_gpu:
            raise DTypeError(
                f"{name} must be in the memory of the CPU, as the engine that runs is "
                "there, got an array on the GPU. Copy it to a NumPy array."
            )
        if isinstance(self._pack, ColorPacker):
            self._pack.check(frame)  # type: ignore[arg-type]
        else:
            require_rows(name, frame, (self.input.dtype,), ("H", "W"))

    def packer(self, **form: Any) -> ColorPacker | DepthPacker:
        """The kernel that brings a frame into its planes; ``form`` is the planes'."""
        spec = self.input
        size = (spec.resize.height, spec.resize.width)
        if spec.kind == "color":
            return ColorPacker(
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
        return DepthPacker(
            np.dtype(spec.dtype),
            size=size,
            scale=self._scale,
            mean=spec.mean[0],
            std=spec.std[0],
            invalid=spec.invalid,
            fill=spec.fill,
            filter=spec.resize.filter,
            fit=spec.resize.fit,
            **form,
        )

    def filler(self, **form: Any) -> ColorPacker | DepthPacker:
        """As `packer`, for a (1, 1) uint8 frame: times 0, plus ``fill``."""
        spec = self.input
        size = (spec.resize.height, spec.resize.width)
        if spec.kind == "color":
            mean = (-spec.fill,) * 3
            return ColorPacker(size=size, scale=0.0, mean=mean, channels="GRAY", **form)
        return DepthPacker(
            np.uint8, size=size, scale=0.0, mean=-spec.fill, invalid=(), **form
        )

    def _planes(self, tensors: Tensors) -> NDArray[Any]:
        tensor = self.input.tensor
        first = tensor.channel
        return tensors[tensor.name][0, first : first + self.input.planes]

    def _refuse(self, array: Any) -> None:
        """Say what is wrong with a frame in the words of the manifest."""
        name, spec = self.input.name, self.input
        shape: tuple[str | int, ...] = ("H", "W")
        if spec.kind == "color":
            count = CHANNELS[self.channels]
            if count > 1 or getattr(array, "ndim", 2) == 3:
                shape = ("H", "W", count)
        try:
            require_rows(name, array, (spec.dtype,), shape)
        except DTypeError as err:
            raise DTypeError(f"{err} {self._how_to_convert(array)}") from None
        except ShapeError as err:
            raise ShapeError(f"{err}{self._how_to_reshape(array)}") from None

    def _how_to_convert(self, array: Any) -> str:
        name, wanted = self.input.name, self.input.dtype
        if isinstance(array, Borrowed):
            return "Convert it where it is."
        if not isinstance(array, np.ndarray):
            return f"Convert it: np.asarray({name})."
        if array.dtype.kind != "f" or wanted == "float32":
            return f"Convert it: {name}.astype(np.{wanted})."
        if self.input.kind == "color":
            return f"If it is 0 to 1: np.rint({name} * 255).astype(np.uint8)."
        if self._unit in (None, "1"):
            return f"If it is raw counts: {name}.astype(np.{wanted})."
        base = next(unit for unit in ("m", "K", "C") if self._unit.endswith(unit))
        steps = f"{name} * {unit_factor(base, self._unit):g}"
        return (
            f"Frames must be in {self._unit}; if these are in {base} with NaN for no "
            f"reading: np.nan_to_num(np.rint({steps}), posinf=0).astype(np.{wanted})."
        )

    def _how_to_reshape(self, array: NDArray[Any]) -> str:
        name = self.input.name
        if self.input.kind != "color":
            one = array.ndim == 3 and array.shape[2] == 1
            return f" Drop the last axis: {name}[..., 0]." if one else ""
        if array.ndim == 3 and array.shape[0] == 3:
            return f" Copy it: np.ascontiguousarray({name}.transpose(1, 2, 0))."
        found = (array.shape[2:] or (1,)) if array.ndim > 1 else ()
        for order, count in CHANNELS.items():
            if found == (count,):
                return f" Say so when loading: channels={{{name!r}: {order!r}}}."
        return ""
