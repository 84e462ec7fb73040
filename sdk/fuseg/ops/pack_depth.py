from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _kernels
from .._check import (
    require_choice,
    require_dtype,
    require_number,
    require_size,
    require_whole,
)
from ..cuda.array_view import on_cpu, on_gpu
from ..cuda.launch import launch
from ..errors import ArgumentError
from .array_checks import require_out, require_rows
from .finite import readings_between
from .layouts import OutPlanes
from .placement import LONGEST_FRAME, place

__all__ = ["PackDepth", "pack_depth"]

_FILTERS = {"nearest": 0, "nearest-exact": 1, "bilinear": 2}  # common/resample.h
_FRAMES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
_PLANES = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int8))
_MOST_INVALID = 16
_MOST_THREADS = 64  # common/threads.h
_BOUNDLESS = (LONGEST_FRAME, LONGEST_FRAME)


def pack_depth(
    frame: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32],
    *,
    size: tuple[int, int],
    scale: float = 1.0,
    mean: float = 0.0,
    std: float = 1.0,
    invalid: Sequence[float] = (0,),
    fill: float = 0.0,
    filter: str = "nearest",
    crop: tuple[int, int, int, int] | None = None,
    rotate: int = 0,
    fit: str = "stretch",
    dtype: DTypeLike = np.float32,
    out_scale: float = 1.0,
    layout: str = "linear",
    channel: int = 0,
    out: NDArray[Any] | None = None,
    valid: NDArray[np.uint8] | None = None,
    threads: int = 1,
    stream: Any = None,
) -> tuple[NDArray[Any], int]:
    """Crop, turn and resize a depth frame, normalise it, and fill in where there is no
    reading.

    Any one-channel frame will do: depth, disparity, thermal, height.

    Args:
        frame: Raw readings, shape ``(H, W)``, uint8, uint16 or float32, in any
            unit. The pixels of a row lie side by side; the rows may lie anywhere,
            so a crop or a flip of a larger image is read where it is. On the CPU they
            may begin at any address.
        size: ``(h, w)`` of the result, in pixels. Larger, equal or smaller.
        scale: Factor on the readings, before ``mean`` and ``std``: 0.001 turns
            millimetres into metres.
        mean: Subtracted.
        std: Divided by. Not 0.
        invalid: Raw values that mean "no reading", compared before scaling, in
            float32; at most 16. NaN and the infinities always mean it, as ROS REP
            117 sends them, and so do readings of a float32 frame whose result would
            not be finite: some drivers send the largest float for "no return".
        fill: Written as it is where there is no reading, and beside a letterboxed
            picture. It may be infinite, and NaN unless ``dtype`` is int8.
        filter: ``"nearest"``, pixel ``floor(i * H / h)``; ``"nearest-exact"``, pixel
            ``floor((i + 1/2) * H / h)``; or ``"bilinear"``, with half-pixel centres
            and without antialiasing. The first two never blend: half-way between two
            surfaces there is no surface. Bilinear takes the weighted mean of those
            of the four pixels around that are readings; the others, and pixels of
            weight 0, do not count. Only where none is left there is no reading.
        crop: ``(top, left, height, width)`` of the part of the frame to read, in its
            pixels; all of it if omitted. Nothing outside counts.
        rotate: Turn the crop clockwise by 0, 90, 180 or 270 degrees.
        fit: ``"stretch"`` fills the result. ``"letterbox"`` keeps the aspect, centres
            the picture and fills the rest with ``fill``.
        dtype: Of the result: float32, float16 or int8.
        out_scale: What one step of int8 is worth; above 0, and 1 for the others.
        layout: ``"linear"``, or for float16 and int8 ``"chw4"``, as TensorRT likes its
            inputs: ``out`` is ``(G, h, w, 4)``, channel ``c`` is
            ``out[c // 4, ..., c % 4]``. The result is one channel; the others are left
            as they are.
        channel: For ``"chw4"``: which channel of ``out`` the result is.
        out: Buffer for the result, shape ``(h, w)``, of ``dtype``, C-contiguous, not
            sharing memory with ``frame``. For ``"chw4"`` the larger tensor, with
            ``4 * G`` above ``channel``. A new one is made if omitted, with 0 in the
            other channels.
        valid: Buffer for the validity, shape ``(h, w)``, uint8, C-contiguous, not
            sharing memory with the others: 1 where there is a reading, else 0. It
            is not computed if omitted.
        threads: How many threads share the work, 1 to 64. The result is the same.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`. Nobody
            waits for the count of readings there: it is -1.

    Returns:
        ``(raw * scale - mean) / std`` or ``fill``, shape ``(h, w)`` or ``(G, h, w, 4)``
        (this is ``out`` itself if ``out`` was given), and how many of its pixels are
        readings. int8 is that divided by ``out_scale``, rounded to the nearest, ties
        to even, and saturated to -128 and 127; so is ``fill``.

        The formula is computed as ``raw * a + b`` with ``a = scale / std`` and
        ``b = -mean / std`` (int8: both divided by ``out_scale``) rounded to float32,
        which errs by less than
        ``2**-22 * (abs(raw * scale) + abs(mean)) / abs(std)``; float16 and int8 are
        rounded from that. Bilinear ``raw`` errs by less than ``2**-20`` of the largest
        of its pixels; those beyond ``2**126`` are no readings to it.

        Scratch memory and tables are made by every call; a frame loop makes them
        once, with `PackDepth`.

    Raises:
        ShapeError: ``frame`` is not ``(H, W)`` or is empty, or ``out`` or ``valid`` is
            not ``(h, w)``, or ``out`` not ``(G, h, w, 4)``.
        LayoutError: The pixels of a row of ``frame`` are not side by side, or ``out``
            or ``valid`` is a strided view.
        DTypeError: ``frame`` is a masked array or none of the three types, ``dtype`` is
            none of its three, ``out`` is not of ``dtype``, or ``valid`` is not uint8.
        ArgumentError: A number is not finite or out of its range, the largest integer
            leaves float32 when scaled, a value of
            ``invalid`` cannot occur in ``frame``, ``crop`` does not lie in ``frame``, a
            word is not one of those above, ``layout`` is given for a result that is
            not int8, ``channel`` for one that is linear, or ``out`` or ``valid`` is
            read-only or shares memory.

    Example:
        >>> frame = np.array([[1500, 0], [2000, 65535]], dtype=np.uint16)
        >>> pack_depth(frame, size=(2, 2), mean=1000, invalid=(0, 65535), fill=-1.0)
        (array([[ 500.,   -1.],
               [1000.,   -1.]], dtype=float32), 2)

    Source:
        Definition: ``frame[ys][:, xs]`` in NumPy, with ``ys = range(h) * H // h``
        and ``xs`` alike, then the formula above. Bilinear where all are readings:
        ``torch.nn.functional.interpolate(..., mode="bilinear")``. No reading: `REP 117
        <https://www.ros.org/reps/rep-0117.html>`_.
    """
    frame = require_rows("frame", frame, _FRAMES, ("H", "W"))
    pack = PackDepth(
        frame.dtype,
        size=size,
        scale=scale,
        mean=mean,
        std=std,
        invalid=invalid,
        fill=fill,
        filter=filter,
        crop=crop,
        rotate=rotate,
        fit=fit,
        dtype=dtype,
        out_scale=out_scale,
        layout=layout,
        channel=channel,
        threads=threads,
    )
    on_gpu(out, stream, frame=frame)
    if out is None:
        out = pack._planes.make()
    return out, pack(frame, out, valid, stream=stream)


class PackDepth:
    """`pack_depth` for a frame loop: settings are checked once, and tables and scratch
    are made when the frame's shape changes. One packer serves one thread at a time.

    Args:
        frame_dtype: Element type of the frames.
        valid_range: ``(lowest, highest)`` raw value that is a reading, of float32
            frames; as far as it goes if omitted.
        size, scale, mean, std, invalid, fill, filter, crop, rotate, fit, dtype,
        out_scale, layout, channel, threads: See `pack_depth`.

    Attributes:
        invalid: The raw values that mean "no reading".

    Raises:
        DTypeError, ArgumentError: As `pack_depth`.

    Example:
        >>> pack = PackDepth(np.uint16, size=(1, 2), scale=0.5, fill=-1.0)
        >>> plane = np.empty(pack.size, pack.dtype)
        >>> pack(np.array([[1500, 7, 0, 7]], dtype=np.uint16), plane)
        1
        >>> plane
        array([[750.,  -1.]], dtype=float32)
    """

    def __init__(
        self,
        frame_dtype: DTypeLike,
        /,
        *,
        size: tuple[int, int],
        scale: float = 1.0,
        mean: float = 0.0,
        std: float = 1.0,
        invalid: Sequence[float] = (0,),
        fill: float = 0.0,
        filter: str = "nearest",
        crop: tuple[int, int, int, int] | None = None,
        rotate: int = 0,
        fit: str = "stretch",
        dtype: DTypeLike = np.float32,
        out_scale: float = 1.0,
        layout: str = "linear",
        channel: int = 0,
        threads: int = 1,
        valid_range: tuple[float, float] | None = None,
    ) -> None:
        self._frame_dtype = require_dtype("frame_dtype", frame_dtype, _FRAMES)
        self.size = require_size("size", size)
        self.dtype = require_dtype("dtype", dtype, _PLANES)
        require_choice("filter", filter, tuple(_FILTERS))
        self._crop, self._rotate, self._fit = crop, rotate, fit
        place(_BOUNDLESS, self.size, crop=crop, rotate=rotate, fit=fit)
        self.invalid = _invalid_in(self._frame_dtype, invalid)
        multiply, add, fill = _numbers(self.dtype, scale, mean, std, fill, out_scale)
        between = readings_between(
            self._frame_dtype,
            self.dtype,
            multiply,
            add,
            blends=filter == "bilinear",
            valid_range=valid_range,
        )
        threads = require_whole("threads", threads, 1, _MOST_THREADS)
        self._planes = OutPlanes(layout, channel, shape=self.size, dtype=self.dtype)
        self._settings: dict[str, Any] = {
            "frame_dtype": self._frame_dtype,
            "filter": _FILTERS[filter],
            "invalid": self.invalid,
            "below": between[0],
            "above": between[1],
            "multiply": multiply,
            "add": add,
            "fill": fill,
            "out_dtype": self.dtype,
            "chw4_channel": self._planes.chw4_channel,
            "threads": threads,
        }
        self._kernel: _kernels.PackDepth | None = None
        self._frame_size = (0, 0)  # that it is for

    def __call__(
        self,
        frame: NDArray[Any],
        out: NDArray[Any],
        valid: NDArray[np.uint8] | None = None,
        *,
        stream: Any = None,
    ) -> int:
        """Fill ``out``, and ``valid`` if given; return how many are readings.

        Raises:
            ShapeError, LayoutError, DTypeError, ArgumentError: As `pack_depth`.
        """
        readings: int | None = None
        if self._kernel is not None and stream is None:
            readings = self._kernel.run(frame, out, valid)
        if readings is not None:
            return readings
        frame = require_rows("frame", frame, (self._frame_dtype,), ("H", "W"))
        gpu = on_gpu(out, stream, frame=frame, valid=valid)
        target = self._planes.require(out, frame=frame)
        if valid is not None:
            inputs = {"frame": frame, "out": target}
            valid = require_out("valid", valid, np.uint8, self.size, **inputs)
        kernel = self._kernel_for(frame)
        if gpu:
            launch(kernel, frame, target, valid, stream=stream)
            return -1
        readings = kernel.run(frame, target, valid)
        assert readings is not None, "the kernel refuses what the checks let pass"
        return readings

    def has_reading(self, frame: NDArray[Any]) -> bool:
        """Whether a call would find a reading at all; nothing is written.

        Raises:
            ShapeError, LayoutError, DTypeError, ArgumentError: As `pack_depth`.
        """
        found = None
        if self._kernel is not None:
            found = self._kernel.has_reading(frame)
        if found is None:
            frame = require_rows("frame", frame, (self._frame_dtype,), ("H", "W"))
            found = self._kernel_for(on_cpu("frame", frame)).has_reading(frame)
        return bool(found)

    def _kernel_for(self, frame: Any) -> _kernels.PackDepth:
        height, width = frame.shape
        if self._kernel is None or self._frame_size != (height, width):
            placement = place(
                (height, width),
                self.size,
                crop=self._crop,
                rotate=self._rotate,
                fit=self._fit,
            )
            self._frame_size = (0, 0)  # until all is there, whatever interrupts
            self._kernel = _kernels.PackDepth(
                height=height, width=width, placement=placement, **self._settings
            )
            self._frame_size = (height, width)
        return self._kernel


def _numbers(
    dtype: np.dtype[Any],
    scale: float,
    mean: float,
    std: float,
    fill: float,
    out_scale: float,
) -> tuple[float, float, float]:
    """What a raw value is multiplied by, what is added to it, and what fills."""
    scale = require_number("scale", scale)
    mean = require_number("mean", mean)
    std = require_number("std", std)
    step = require_number("out_scale", out_scale)
    whole = dtype == np.int8
    if std == 0:
        raise ArgumentError("std must not be 0.")
    if step <= 0 or (step != 1 and not whole):
        raise ArgumentError(
            "out_scale must be above 0, and 1 unless dtype is int8, got "
            f"{out_scale!r} for {dtype}."
        )
    if not isinstance(fill, (float, np.floating)) or math.isfinite(fill):
        fill = require_number("fill", fill)
    if whole and math.isnan(fill):
        raise ArgumentError("fill must be a number if dtype is int8, got nan.")
    multiply = require_number("scale / std", scale / std / step)
    add = require_number("mean / std", -mean / std / step)
    return multiply, add, min(max(float(fill) / step, -1e38), 1e38) if whole else fill


def _invalid_in(dtype: np.dtype[Any], invalid: Sequence[float]) -> list[float]:
    try:
        values = list(invalid)
    except TypeError:
        raise ArgumentError(
            f"invalid must be a sequence of numbers, got {invalid!r}."
        ) from None
    if len(values) > _MOST_INVALID:
        raise ArgumentError(
            f"invalid must be at most {_MOST_INVALID} values, got {len(values)}."
        )
    return [_possible(dtype, value) for value in values]


def _possible(dtype: np.dtype[Any], value: Any) -> float:
    if dtype.kind != "f":
        if not (isinstance(value, Real) and value in range(np.iinfo(dtype).max + 1)):
            raise ArgumentError(
                f"invalid must hold values that a {dtype} frame can hold, got {value}."
            )
        return float(value)
    if isinstance(value, (float, np.floating)) and not math.isfinite(value):
        return float(value)
    return require_number("every number of invalid", value)
