from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _kernels
from .._check import require_choice, require_number, require_numbers, require_whole
from ..cuda.array_view import on_gpu
from ..cuda.launch import launch
from ..errors import ArgumentError
from .array_checks import require_rows
from .layouts import OutPlanes
from .placement import place

__all__ = ["PackColor", "pack_color"]

_FILTERS = ("nearest", "nearest-exact", "bilinear", "bilinear-antialias")  # resample.h
_DTYPES = ("float32", "float16", "int8")  # pack_color.h: Element
CHANNELS = {"RGB": 3, "BGR": 3, "RGBA": 4, "BGRA": 4, "GRAY": 1}  # bytes of a pixel
_PLANES = ("RGB", "BGR")
_ZEROS = (0.0, 0.0, 0.0)
_ONES = (1.0, 1.0, 1.0)


def pack_color(
    frame: NDArray[np.uint8],
    *,
    size: tuple[int, int],
    scale: float = 1 / 255,
    mean: Sequence[float] = _ZEROS,
    std: Sequence[float] = _ONES,
    channels: str = "RGB",
    planes: str = "RGB",
    filter: str = "bilinear",
    crop: tuple[int, int, int, int] | None = None,
    rotate: int = 0,
    fit: str = "stretch",
    fill: float = 0.0,
    dtype: DTypeLike = np.float32,
    out_scale: float = 1.0,
    layout: str = "linear",
    channel: int = 0,
    out: NDArray[Any] | None = None,
    threads: int = 1,
    stream: Any = None,
) -> NDArray[Any]:
    """Bring a colour frame into the planes a network reads, in one pass.

    In this order: crop, turn, resize, normalise, split into planes.

    Args:
        frame: Pixels, shape ``(H, W, 3)``, ``(H, W, 4)`` or, for ``"GRAY"``,
            ``(H, W)`` or ``(H, W, 1)``, uint8. The pixels of a row lie side by side;
            the rows may lie anywhere, so a crop or a flip of a larger image is read
            where it is.
        size: ``(h, w)`` of the planes, in pixels. Larger, equal or smaller.
        scale: Factor on the pixels, before ``mean`` and ``std``.
        mean: Subtracted, one number per plane of the result.
        std: Divided by, one number per plane of the result. Not 0.
        channels: Order of the channels in ``frame``: ``"RGB"``, ``"BGR"``,
            ``"RGBA"``, ``"BGRA"`` (alpha is ignored) or ``"GRAY"`` (all three planes
            are made from the one channel).
        planes: Order of the planes in the result, ``"RGB"`` or ``"BGR"``.
        filter: ``"bilinear"``, with half-pixel centres and without antialiasing;
            ``"nearest"``, pixel ``floor(i * H / h)``; ``"nearest-exact"``, pixel
            ``floor((i + 1/2) * H / h)``; or ``"bilinear-antialias"``, which is
            bilinear but for shrinking, where every pixel counts: the weights are a
            triangle that reaches one pixel of the result to both sides. Beyond the
            edge the edge is repeated.
        crop: ``(top, left, height, width)``, the part of the frame to take, in pixels.
            Nothing beyond its edge counts. All of it if omitted.
        rotate: Degrees to turn clockwise: 0, 90, 180 or 270.
        fit: ``"stretch"`` to ``size``, or ``"letterbox"``: keep the aspect, centre the
            picture, and fill the rest. See `fuseg.ops.placement.place`.
        fill: What letterbox padding holds: a value of the result, before ``out_scale``.
        dtype: Of the result: float32, float16 or int8.
        out_scale: For int8: what one step of the result stands for. Above 0.
        layout: ``"linear"``, or for float16 and int8 ``"chw4"``, as TensorRT likes its
            inputs: ``out`` is ``(G, h, w, 4)``, channel ``c`` is
            ``out[c // 4, ..., c % 4]``. The planes are three channels; the others are
            left as they are.
        channel: For ``"chw4"``: which channel of ``out`` the first plane is.
        out: Buffer for the planes, shape ``(3, h, w)``, ``dtype``, C-contiguous, not
            sharing memory with ``frame``; three channels of a larger tensor will do,
            ``out=tensor[0, 3:6]``. For ``"chw4"`` the larger tensor itself, with
            ``4 * G`` at least ``channel + 3``. A new one is made if omitted, with 0 in
            channels that are not the planes'.
        threads: How many threads share the work, 1 to 64; the result is the same.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`.

    Returns:
        ``x = (pixel * scale - mean) / std``, shape ``(3, h, w)`` or ``(G, h, w, 4)``,
        ``dtype``. This is ``out`` itself if ``out`` was given. int8 holds
        ``x / out_scale``, rounded to the nearest whole number, ties to even, and
        saturated.

        It is computed as ``pixel * a + b`` with ``a = scale / std`` and
        ``b = -mean / std`` (for int8 also divided by ``out_scale``) rounded to float32,
        which errs by less than ``2**-22 * (abs(pixel * scale) + abs(mean)) / abs(std)``
        unless the numbers leave float32's normal range. The pixel itself is exact for
        the nearest filters and wherever ``size`` is the frame's size, and within 1e-4
        of the exact blend otherwise. int8 differs from the exact result by 1 where
        these errors cross the middle between two steps.

    Raises:
        ShapeError: ``frame`` has not the shape that ``channels`` asks for or is empty,
            or ``out`` is not ``(3, h, w)``, or not ``(G, h, w, 4)``.
        LayoutError: The pixels of a row of ``frame`` are not side by side, or
            ``out`` is a strided view.
        DTypeError: ``frame`` is not uint8, or ``out`` is not ``dtype``.
        ArgumentError: A number is not finite, a ``std`` is 0, ``crop`` does not lie in
            the frame, a word or number is not one of those above, ``out_scale`` or
            ``layout`` is given for a result that is not int8, ``channel`` for one that
            is linear, or ``out`` is read-only or shares memory with ``frame``.

    Example:
        >>> frame = np.array([[[0, 50, 255], [100, 50, 255]]], dtype=np.uint8)
        >>> pack_color(frame, size=(1, 4), scale=1.0)[0]
        array([[  0.,  25.,  75., 100.]], dtype=float32)
        >>> pack_color(frame, size=(4, 4), scale=1.0, fit="letterbox", fill=-1)[0]
        array([[ -1.,  -1.,  -1.,  -1.],
               [  0.,  25.,  75., 100.],
               [  0.,  25.,  75., 100.],
               [ -1.,  -1.,  -1.,  -1.]], dtype=float32)

    Source:
        Definition: ``torch.nn.functional.interpolate(mode=filter)`` without
        ``align_corners``, in float64, then the formula above. torch finds its
        positions in floating point; these are exact fractions.
    """
    pack = PackColor(
        size=size,
        scale=scale,
        mean=mean,
        std=std,
        channels=channels,
        planes=planes,
        filter=filter,
        crop=crop,
        rotate=rotate,
        fit=fit,
        fill=fill,
        dtype=dtype,
        out_scale=out_scale,
        layout=layout,
        channel=channel,
        threads=threads,
    )
    return pack(frame, out, stream=stream)


class PackColor:
    """`pack_color` for a frame loop: settings are checked once, tables are kept.

    Tables and scratch memory are made for the first frame, and again whenever a frame
    has another shape. One thread at a time may use a packer.

    Args:
        size, scale, mean, std, channels, planes, filter, crop, rotate, fit, fill,
            dtype, out_scale, layout, channel, threads: See `pack_color`.

    Raises:
        ArgumentError: As `pack_color`; a ``crop`` is checked with each frame.

    Example:
        >>> pack = PackColor(size=(1, 2), scale=1.0, channels="GRAY")
        >>> out = np.empty((3, 1, 2), np.float32)
        >>> for gray in (10, 20):
        ...     frame = np.full((4, 4), gray, np.uint8)
        ...     print(pack(frame, out)[0])
        [[10. 10.]]
        [[20. 20.]]
    """

    def __init__(
        self,
        *,
        size: tuple[int, int],
        scale: float = 1 / 255,
        mean: Sequence[float] = _ZEROS,
        std: Sequence[float] = _ONES,
        channels: str = "RGB",
        planes: str = "RGB",
        filter: str = "bilinear",
        crop: tuple[int, int, int, int] | None = None,
        rotate: int = 0,
        fit: str = "stretch",
        fill: float = 0.0,
        dtype: DTypeLike = np.float32,
        out_scale: float = 1.0,
        layout: str = "linear",
        channel: int = 0,
        threads: int = 1,
    ) -> None:
        checked = place((1, 1), size, rotate=rotate, fit=fit)
        self.size = (checked.out_height, checked.out_width)
        self._crop, self._rotate, self._fit = crop, rotate, fit
        require_choice("channels", channels, tuple(CHANNELS))
        require_choice("planes", planes, _PLANES)
        require_choice("filter", filter, _FILTERS)
        self.dtype = _result_dtype(dtype)
        out_scale = _step(out_scale, self.dtype)
        fill = require_number(
            "fill / out_scale", require_number("fill", fill) / out_scale
        )
        multiply, add = _fold(scale, mean, std, out_scale)
        self._pixel_bytes = CHANNELS[channels]
        gray = channels == "GRAY"
        threads = require_whole("threads", threads, 1, 64)
        shape = (3, *self.size)
        self._planes = OutPlanes(layout, channel, shape=shape, dtype=self.dtype)
        self._settings: dict[str, Any] = {
            "pixel_bytes": self._pixel_bytes,
            "channel": [0] * 3 if gray else [channels.index(p) for p in planes],
            "filter": _FILTERS.index(filter),
            "multiply": multiply,
            "add": add,
            "fill": fill,
            "element": _DTYPES.index(self.dtype.name),
            "out_dtype": self.dtype,
            "chw4_channel": self._planes.chw4_channel,
            "threads": threads,
        }
        self._kernel: _kernels.PackColor | None = None
        self._frame_size = (0, 0)  # that it is for

    def __call__(
        self,
        frame: NDArray[np.uint8],
        out: NDArray[Any] | None = None,
        *,
        stream: Any = None,
    ) -> NDArray[Any]:
        """Pack one frame; see `pack_color` for the arrays and what is raised."""
        kernel = self._kernel
        if kernel is not None and stream is None and kernel.run(frame, out):
            return out  # type: ignore[return-value]  # the kernel takes no None
        frame = self._require(frame)
        gpu = on_gpu(out, stream, frame=frame)
        if out is None:
            out = self._planes.make()
        target = self._planes.require(out, frame=frame)
        kernel = self._kernel_for(frame)
        if gpu:
            launch(kernel, frame, target, stream=stream)
        else:
            ran = kernel.run(frame, target)
            assert ran, "the kernel refuses what the checks above let pass"
        return out

    def check(self, frame: NDArray[np.uint8]) -> None:
        """Refuse a frame that a call would refuse; nothing is written.

        Raises:
            ShapeError, LayoutError, DTypeError, ArgumentError: As `pack_color`.
        """
        if self._kernel is None or not self._kernel.takes(frame):
            self._kernel_for(self._require(frame))

    def _require(self, frame: Any) -> Any:
        pixel = () if self._pixel_bytes == 1 else (self._pixel_bytes,)
        if not pixel and getattr(frame, "ndim", 2) == 3:
            pixel = (1,)
        return require_rows("frame", frame, (np.uint8,), ("H", "W", *pixel))

    def _kernel_for(self, frame: Any) -> _kernels.PackColor:
        height, width = frame.shape[:2]
        if self._kernel is None or self._frame_size != (height, width):
            placement = place(
                (height, width),
                self.size,
                crop=self._crop,
                rotate=self._rotate,
                fit=self._fit,
            )
            self._frame_size = (0, 0)  # until all is there, whatever interrupts
            self._kernel = _kernels.PackColor(
                height=height, width=width, placement=placement, **self._settings
            )
            self._frame_size = (height, width)
        return self._kernel


def _result_dtype(dtype: Any) -> np.dtype[Any]:
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError):
        found = np.dtype(object)
    if found.name not in _DTYPES or not found.isnative:
        raise ArgumentError(
            f"dtype must be one of {', '.join(_DTYPES)}, got {dtype!r}."
        )
    return found


def _step(out_scale: Any, dtype: np.dtype[Any]) -> float:
    step = require_number("out_scale", out_scale)
    if step <= 0:
        raise ArgumentError(f"out_scale must be above 0, got {out_scale!r}.")
    if step != 1 and dtype != np.int8:
        raise ArgumentError(
            f"out_scale must be 1 unless dtype is int8, got {out_scale!r} for "
            f"{dtype}. Put it into std."
        )
    return step


def _fold(
    scale: float, mean: Sequence[float], std: Sequence[float], out_scale: float
) -> tuple[list[float], list[float]]:
    """Turn ``(pixel * scale - mean) / std`` into ``pixel * multiply + add``."""
    scale = require_number("scale", scale)
    mean = require_numbers("mean", mean, 3)
    std = require_numbers("std", std, 3)
    if 0 in std:
        raise ArgumentError(f"std must not hold 0, got {std}.")
    multiply = [scale / s / out_scale for s in std]
    add = [-m / s / out_scale for m, s in zip(mean, std, strict=True)]
    require_numbers("scale / std", multiply, 3)
    require_numbers("mean / std", add, 3)
    return multiply, add
