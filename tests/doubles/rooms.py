"""The rooms of ``fuseg._kernels_cuda`` by fuseg's CPU kernels, on a `machine.Machine`.

Settings that are arrays (palettes, weights) are copied by the call, as the arguments of
a kernel are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuseg import _kernels

from .machine import Machine, OutOfMemory, Refused
from .memory import Misuse, span, view

_FLOATS = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int8))
_FRAMES = (np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.float32))
_BYTE = np.dtype(np.uint8)
_FLOAT = np.dtype(np.float32)


@contextmanager
def said(what: str) -> Iterator[None]:
    """As the module words what the GPU refuses."""
    try:
        yield
    except OutOfMemory as err:
        raise MemoryError(f"{what}: {err}") from err
    except Refused as err:
        raise RuntimeError(f"{what}: {err}") from err


def rooms(machine: Machine) -> list[Callable[..., Any]]:
    def run(
        room: str,
        stream: int,
        thunk: Callable[[], Any],
        reads: Sequence[Any],
        writes: Sequence[Any],
    ) -> None:
        with said(f"{room.removesuffix('_cuda')} could not be launched"):
            machine.kernel(room, stream, thunk, _ranges(reads), _ranges(writes))

    def confusion_matrix_cuda(
        truth, prediction, label_bytes, pixels, classes, ignore, counts, stream
    ):
        dtype = np.dtype(f"u{label_bytes}")
        inputs = [_Array(a, (pixels,), dtype) for a in (truth, prediction)]
        table = _Array(counts, (classes, classes), np.dtype(np.int64))

        def thunk():
            labels, guesses = (a.view() for a in inputs)
            known = (labels < classes) & (guesses < classes) & (labels != ignore)
            np.add.at(table.view(), (labels[known], guesses[known]), 1)

        writes = [table]
        run("confusion_matrix_cuda", stream, thunk, [*inputs, table], writes)

    def fuse_argmax_cuda(
        scores,
        half,
        valid,
        grids,
        weights,
        how,
        align_corners,
        ignore,
        labels,
        confidence,
        source,
        out_height,
        out_width,
        stream,
    ):
        weights = _setting("weights", weights, np.float32)
        classes, size = weights.shape[1], (out_height, out_width)
        plan = _kernels.FuseArgmaxPlan(
            classes, grids, size, how, align_corners, weights, ignore, 1
        )
        maps = [
            _Array(a, (classes, *grid), _FLOATS[bool(h)])
            for a, h, grid in zip(scores, half, grids, strict=True)
        ]
        planes = [
            _Array(a, tuple(g), _BYTE, optional=True)
            for a, g in zip(valid, grids, strict=True)
        ]
        outs = [
            _Array(labels, size, np.dtype("u1" if classes <= 255 else "u2")),
            _Array(confidence, size, _FLOAT, optional=True),
            _Array(source, size, _BYTE, optional=True),
        ]

        def thunk():
            plan.run(
                [m.view() for m in maps],
                [p.view() for p in planes],
                *(o.view() for o in outs),
            )

        run("fuse_argmax_cuda", stream, thunk, [*maps, *planes], outs)

    def overlay_cuda(
        labels, height, width, palette, frame, row_bytes, alpha, ignore, out, stream
    ):
        palette = _setting("palette", palette, np.uint8)
        marks = _Array(labels, (height, width), _BYTE)
        shape = (height, width, 3)
        picture = _Array(frame, shape, _BYTE, (row_bytes, 3, 1), optional=True)
        painted = _Array(out, shape, _BYTE)

        def thunk():
            given = marks.view()
            colours, under = palette, picture.view()
            bare = given >= len(palette)  # the CPU's kernel refuses what has no colour
            if bare.any():
                more = np.zeros((256 - len(palette), 3), np.uint8)
                colours = np.concatenate([palette, more])
            _kernels.overlay_cpu(
                given, colours, under, alpha, ignore, 1, painted.view()
            )
            painted.view()[bare] = 0 if under is None else under[bare]

        run("overlay_cuda", stream, thunk, [marks, picture], [painted])

    def pack_color_cuda(
        frame,
        row_bytes,
        placement,
        pixel_bytes,
        channel,
        filter,
        multiply,
        add,
        fill,
        element,
        out,
        chw4_channel,
        stream,
    ):
        dtype = _FLOATS[element]
        pixels, part = _crop(frame, _BYTE, placement, row_bytes, pixel_bytes)
        plan = _kernels.ColorPlan(
            *(*part[2:4], part, pixel_bytes, channel, filter, multiply, add, fill),
            *(element, dtype, 1, chw4_channel),
        )
        planes = _Array(out, _stored((3, *part[5:7]), chw4_channel), dtype)

        def thunk():
            assert plan.pack(pixels.view(), planes.view())

        run("pack_color_cuda", stream, thunk, [pixels], [planes])

    def pack_depth_cuda(
        frame,
        in_,
        row_bytes,
        placement,
        filter,
        invalid,
        below,
        above,
        multiply,
        add,
        fill,
        out,
        out_type,
        valid,
        chw4_channel,
        stream,
    ):
        dtype = _FLOATS[out_type]
        plane, part = _crop(frame, _FRAMES[in_], placement, row_bytes)
        plan = _kernels.DepthPlan(
            *(plane.dtype, *part[2:4], part, filter, invalid, below, above),
            *(multiply, add, fill, dtype, 1, chw4_channel),
        )
        size = part[5:7]
        outs = [
            _Array(out, _stored(size, chw4_channel), dtype),
            _Array(valid, size, _BYTE, optional=True),
        ]

        def thunk():
            assert plan.pack(plane.view(), *(o.view() for o in outs)) >= 0

        run("pack_depth_cuda", stream, thunk, [plane], outs)

    def upsample_argmax_cuda(
        scores,
        half,
        shape,
        labels,
        confidence,
        nan_samples,
        out_height,
        out_width,
        rows,
        columns,
        pitch,
        stream,
    ):
        dtype = _FLOATS[bool(half)]
        size = (out_height, out_width)
        images, classes, height, width = shape
        label = np.dtype("u1" if max(2, classes) <= 255 else "u2")
        given, results = _Array(scores, shape, dtype), (images, *size)
        if pitch:
            shape, results = (classes, height, width), size
            given = _Array(scores, (height, width, pitch), dtype, align=16)
        settings = (tuple(shape), dtype, size, rows, columns, 1, pitch)
        plan = _kernels.UpsampleArgmaxPlan(*settings)
        outs = [
            _Array(labels, results, label),
            _Array(confidence, results, _FLOAT, optional=True),
            _Array(nan_samples, (1,), np.dtype(np.int32), optional=True),
        ]

        def thunk():
            assert plan.run(given.view(), *(o.view() for o in outs))

        run("upsample_argmax_cuda", stream, thunk, [given], outs)

    return [v for k, v in locals().items() if k not in ("machine", "run")]


def _stored(planes: tuple[int, ...], chw4_channel: int) -> tuple[int, ...]:
    """The shape of the result: that of the planes, or of the groups that have them."""
    if chw4_channel < 0:
        return planes
    last = chw4_channel + (planes[0] if len(planes) == 3 else 1)
    return (-(-last // 4), *planes[-2:], 4)


@dataclass(frozen=True)
class _Array:
    """An array on the GPU. An optional one is absent at address 0."""

    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...] | None = None
    optional: bool = False
    align: int = 1

    @property
    def absent(self) -> bool:
        return self.optional and self.address == 0

    def range(self) -> tuple[int, int, int]:
        step = self.dtype.itemsize
        if any(s % step for s in self.strides or ()):
            raise Misuse(
                f"rows {self.strides} apart split the elements of {self.dtype}"
            )
        low, end = span(self.address, self.shape, step, self.strides)
        return low, end - low, max(step, self.align)

    def view(self) -> np.ndarray | None:
        if self.absent:
            return None
        return view(self.address, self.shape, self.dtype, self.strides)


def _ranges(arrays: Sequence[_Array]) -> list[tuple[int, int, int]]:
    return [a.range() for a in arrays if not a.absent]


def _crop(
    frame: int,
    dtype: np.dtype[Any],
    placement: Sequence[int],
    row_bytes: int,
    channels: int | None = None,
) -> tuple[_Array, tuple[int, ...]]:
    """The part of a frame that is read, and its placement if it were the frame."""
    top, left, height, width, *rest = placement
    pixel = dtype.itemsize * (channels or 1)
    first = frame + top * row_bytes + left * pixel if frame else 0
    shape, steps = (height, width), (row_bytes, pixel)
    if channels:
        shape, steps = (*shape, channels), (*steps, dtype.itemsize)
    return _Array(first, shape, dtype, steps), (0, 0, height, width, *rest)


def _setting(name: str, array: Any, dtype: Any) -> np.ndarray:
    """A copy of what is bound with ``.noconvert()``."""
    if not isinstance(array, np.ndarray) or array.dtype != dtype:
        raise TypeError(f"{name} must be a NumPy array of {np.dtype(dtype)}")
    if not array.flags.c_contiguous:
        raise TypeError(f"{name} must be C-contiguous")
    return array.copy()
