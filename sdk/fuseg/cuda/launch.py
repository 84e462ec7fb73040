"""Starting CUDA kernels on arrays of others, behind the work of their owners.

The kernels are fuseg's own: without ``fuseg._kernels_cuda`` there are none, whatever
gives memory and streams.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import operator
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType
from typing import Any

from ..errors import ArgumentError, BackendError, DeviceError
from .array_view import DEFAULT_STREAM, CudaArrayView

EVERYWHERE, NOWHERE = -1, -2  # besides a GPU's number: see `device_of`


def launch(kernel: Any, *views: Any, stream: Any = None) -> None:
    """Start a kernel of ``_kernels`` on a GPU and do not wait for it.

    Its arrays, in its own order, are `CudaArrayView` or None. The work is put on
    ``stream`` or, without one, where the arrays' owners say their own is.

    Raises:
        ArgumentError: The arrays are not in memory of one GPU.
        DeviceError: The GPU refuses.
    """
    arrays: list[CudaArrayView] = [view for view in views if view is not None]
    handle = stream_handle(stream)
    if handle is None:
        theirs = [a.stream for a in arrays if a.stream is not None]
        handle = theirs[0] if theirs else DEFAULT_STREAM
    with _on_gpu_of(kernel.name, arrays):
        for array in arrays:
            _wait_for_owner(array, handle, stream_wait)
        try:
            kernels().launch(kernel, views, handle)
        except RuntimeError as err:
            raise DeviceError(
                f"{kernel.name} could not be started on the GPU: {err}."
            ) from err


def device_of(address: int) -> int:
    """The GPU whose memory this is.

    `EVERYWHERE` means that every GPU sees it, as page-locked memory; `NOWHERE` that
    kernels of this thread cannot reach it: it is the CPU's own, another CUDA context's,
    or was given back.
    """
    try:
        return int(kernels().device_of(address))
    except RuntimeError as err:
        raise DeviceError(f"the GPU of an array is not known: {err}.") from err


def ordered_on(
    array: CudaArrayView, stream: int, wait: Callable[[int, int], None]
) -> CudaArrayView:
    """Let ``stream`` wait for the owner's unfinished work, now and not in a launch.

    An owner that neither names a stream nor has DLPack is taken to use the default one.

    Args:
        wait: Lets one stream wait for another, as `Device.stream_wait`.
    """
    if not array.ordered and array.stream is None:
        array = replace(array, stream=DEFAULT_STREAM)
    _wait_for_owner(array, stream, wait)
    return replace(array, stream=None, ordered=False)


def stream_handle(stream: Any) -> int | None:
    """The number CUDA knows a stream by: of an int, or as its library spells it."""
    handle = stream
    if hasattr(stream, "__cuda_stream__"):  # cuda.core
        handle = stream.__cuda_stream__()[1]
    for word in ("cuda_stream", "handle", "ptr"):  # PyTorch; Numba, PyCUDA; CuPy
        if hasattr(stream, word):
            handle = getattr(stream, word)
            handle = getattr(handle, "value", handle) or 0  # ctypes has None for 0
            break
    if handle is None:
        return None
    try:
        number = -1 if isinstance(handle, bool) else operator.index(handle)
    except TypeError:
        number = -1
    if number < 0:
        raise ArgumentError(
            "stream must be a CUDA stream: its handle as a whole number, or an object "
            f"with cuda_stream, handle or ptr, got {stream!r}."
        )
    return number or DEFAULT_STREAM


def kernels() -> ModuleType:
    """The CUDA module, loaded once somebody has an array for it.

    Raises:
        BackendError: There is no driver, or no module, or fork made this process of one
            that has loaded it.
    """
    module, process = _loaded()
    if process != os.getpid():
        raise BackendError(
            "work on a GPU is not possible in a process that fork made of one that has "
            "used CUDA: start it with spawn (multiprocessing.get_context('spawn'))."
        )
    return module


@functools.cache
def _loaded() -> tuple[ModuleType, int]:
    """The CUDA module, and the process that has loaded it."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as err:
        raise BackendError(
            "work on a GPU needs the NVIDIA driver, and libcuda.so.1 cannot be loaded "
            "here. Install the driver, or stay on the CPU with NumPy arrays."
        ) from err
    try:
        return importlib.import_module("fuseg._kernels_cuda"), os.getpid()
    except ImportError as err:
        raise BackendError(
            "work on a GPU needs fuseg._kernels_cuda, and this fuseg was built without "
            f"it ({err}). Install fuseg from its sdist where nvcc is found, or stay on "
            "the CPU with NumPy arrays."
        ) from err


@contextmanager
def nvtx_range(name: str) -> Iterator[None]:
    """Let a profiler (NVTX) show what this thread does inside under a name, where there
    is fuseg's CUDA module to tell it."""
    try:
        cuda = kernels()
    except BackendError:
        yield
        return
    cuda.push_range(name)
    try:
        yield
    finally:
        cuda.pop_range()


def stream_wait(later: int, earlier: int) -> None:
    """Let what ``later`` is given from now on wait for what ``earlier`` has so far."""
    try:
        kernels().stream_wait(later, earlier)
    except RuntimeError as err:
        raise DeviceError(f"a stream cannot wait for another one: {err}.") from err


@contextmanager
def _on_gpu_of(kernel: str, arrays: list[CudaArrayView]) -> Iterator[None]:
    """Make the GPU of these arrays the thread's own: kernels start there, and an event
    is for streams of one GPU."""
    found = {device_of(array.pointer): array for array in arrays}
    if NOWHERE in found:
        raise ArgumentError(
            f"{kernel} must be given arrays that the GPU can reach, got one at address "
            f"{found[NOWHERE].pointer:#x}, which is in no memory of the GPU's primary "
            "CUDA context. Copy it to memory of that, which PyTorch's is."
        )
    gpus = sorted(found.keys() - {EVERYWHERE})
    if len(gpus) > 1:
        raise ArgumentError(
            f"{kernel} must be given arrays on one GPU, got some on GPU {gpus[0]} and "
            f"some on GPU {gpus[1]}. Copy them to one."
        )
    cuda = kernels()
    try:
        before = cuda.current_device()
        gpu = gpus[0] if gpus else before
        if gpu != before:
            cuda.use_device(gpu)
    except RuntimeError as err:
        raise DeviceError(f"{kernel} cannot be started on the GPU: {err}.") from err
    try:
        yield
    finally:
        if gpu != before:
            cuda.use_device(before)


def _wait_for_owner(
    array: CudaArrayView, stream: int, wait: Callable[[int, int], None]
) -> None:
    if array.ordered:
        array.owner.__dlpack__(stream=stream)
    elif array.stream is not None and array.stream != stream:
        wait(stream, array.stream)
