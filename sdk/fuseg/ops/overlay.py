from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _kernels
from .._check import require_number, require_whole
from ..cuda.array_view import on_cpu, on_gpu
from ..cuda.launch import launch
from ..errors import ArgumentError, ShapeError
from .array_checks import require_array, require_out, require_rows

__all__ = ["Overlay", "overlay"]


def overlay(
    labels: NDArray[np.uint8],
    *,
    palette: NDArray[np.uint8],
    frame: NDArray[np.uint8] | None = None,
    alpha: float = 0.5,
    ignore: int | None = None,
    threads: int = 1,
    out: NDArray[np.uint8] | None = None,
    stream: Any = None,
) -> NDArray[np.uint8]:
    """Paint labels in their colours, over a frame or on their own.

    Args:
        labels: One label per pixel, shape ``(H, W)``, uint8, C-contiguous.
        palette: The colour of every label, shape ``(K, 3)``, uint8, C-contiguous,
            ``1 <= K <= 256``, in the channel order of ``frame``.
        frame: What to paint over, shape ``(H, W, 3)``, uint8. The pixels of a row
            lie side by side; the rows may lie anywhere, so a crop or a flip of a
            larger image is read where it is. Without it the colours stand alone,
            and ``alpha`` does not count.
        alpha: Share of the colour, from 0 to 1, in steps of 1/256.
        ignore: Label of pixels to leave alone: the frame shows unchanged, black
            without a frame. It needs no colour.
        threads: How many threads paint, 1 to 64. The picture does not depend on it.
        out: Buffer for the picture, shape ``(H, W, 3)``, uint8, C-contiguous, not
            sharing memory with an input. Nothing is allocated if given. A new one
            is made if omitted.
        stream: CUDA stream of arrays that are on the GPU; see `fuseg.ops`.

    Returns:
        The picture, shape ``(H, W, 3)``, uint8. This is ``out`` itself if ``out``
        was given. With ``a = floor(alpha * 256 + 1/2)`` every byte is
        ``(frame * (256 - a) + colour * a + 128) // 256``, exactly.

    Raises:
        ShapeError: ``labels`` is not ``(H, W)`` or is empty, ``palette`` is not
            ``(K, 3)`` or is too long, or ``frame`` or ``out`` is not ``(H, W, 3)``.
        LayoutError: The pixels of a row of ``frame`` are not side by side, or
            another array is a strided view.
        DTypeError: An array is not uint8.
        ArgumentError: A label has no colour and is not ``ignore`` (``out`` is left
            as it was), ``alpha`` is not from 0 to 1, ``ignore`` is not a label,
            ``threads`` is not from 1 to 64, or ``out`` is read-only or shares memory
            with an input.

    Example:
        >>> palette = np.array([[0, 0, 0], [200, 100, 50]], dtype=np.uint8)
        >>> frame = np.full((1, 2, 3), 80, dtype=np.uint8)
        >>> labels = np.array([[0, 1]], dtype=np.uint8)
        >>> overlay(labels, palette=palette, frame=frame, ignore=0)
        array([[[ 80,  80,  80],
                [140,  90,  65]]], dtype=uint8)

    Source:
        Definition: the formula above, on ``palette[labels]``.
    """
    labels = require_array("labels", labels, np.uint8, ("H", "W"))
    paint = Overlay(palette, alpha=alpha, ignore=ignore, threads=threads)
    if isinstance(out, np.ndarray) and np.may_share_memory(out, palette):
        require_out("out", out, np.uint8, (*labels.shape, 3), palette=palette)
    return paint(labels, frame=frame, out=out, stream=stream)


class Overlay:
    """`overlay` for a frame loop: the settings are checked once.

    Args:
        palette: See `overlay`. It is copied.
        alpha, ignore, threads: See `overlay`.

    Raises:
        ShapeError, LayoutError, DTypeError, ArgumentError: As `overlay`.

    Example:
        >>> paint = Overlay(np.array([[0, 0, 0], [200, 100, 50]], dtype=np.uint8))
        >>> paint(np.array([[0, 1]], dtype=np.uint8)).tolist()
        [[[0, 0, 0], [200, 100, 50]]]
    """

    def __init__(
        self,
        palette: NDArray[np.uint8],
        *,
        alpha: float = 0.5,
        ignore: int | None = None,
        threads: int = 1,
    ) -> None:
        palette = on_cpu(
            "palette", require_array("palette", palette, np.uint8, ("K", 3))
        )
        if len(palette) > 256:
            raise ShapeError(f"palette must have 1 to 256 colours, got {len(palette)}.")
        alpha = require_number("alpha", alpha)
        if not 0 <= alpha <= 1:
            raise ArgumentError(f"alpha must be from 0 to 1, got {alpha}.")
        self._palette = palette.copy()
        self._alpha = int(alpha * 256 + 0.5)
        self._ignore = -1 if ignore is None else require_whole("ignore", ignore, 0, 255)
        self._threads = require_whole("threads", threads, 1, 64)
        self._kernel = self._kernel_for((1, 1))

    def __call__(
        self,
        labels: NDArray[np.uint8],
        *,
        frame: NDArray[np.uint8] | None = None,
        out: NDArray[np.uint8] | None = None,
        stream: Any = None,
    ) -> NDArray[np.uint8]:
        """Paint one frame; see `overlay`."""
        largest = None
        if stream is None:
            largest = self._kernel.run(labels, frame, out)
        if largest is None:
            return self._checked(labels, frame, out, stream)
        self._refuse(largest)
        return out  # type: ignore[return-value]  # the kernel takes no None

    def _checked(
        self, labels: Any, frame: Any, out: NDArray[np.uint8] | None, stream: Any
    ) -> NDArray[np.uint8]:
        labels = require_array("labels", labels, np.uint8, ("H", "W"))
        shape = (*labels.shape, 3)
        if frame is not None:
            frame = require_rows("frame", frame, (np.uint8,), shape)
        gpu = on_gpu(out, stream, labels=labels, frame=frame)
        if out is None:
            out = target = np.empty(shape, np.uint8)
        else:
            target = require_out(
                "out", out, np.uint8, shape, labels=labels, frame=frame
            )
        kernel = self._kernel = self._kernel_for(labels.shape)
        if gpu:
            launch(kernel, labels, frame, target, stream=stream)
        else:
            self._refuse(kernel.run(labels, frame, target))
        return out

    def _kernel_for(self, shape: tuple[int, int]) -> _kernels.Overlay:
        return _kernels.Overlay(
            height=shape[0],
            width=shape[1],
            palette=self._palette,
            alpha=self._alpha,
            ignore=self._ignore,
            threads=self._threads,
        )

    def _refuse(self, largest: int) -> None:
        """Raise if a label has no colour."""
        if largest >= len(self._palette):
            raise ArgumentError(
                f"labels must be below {len(self._palette)}, the number of colours in "
                f"palette, got {largest}. Add its colour, or pass ignore={largest}."
            )
