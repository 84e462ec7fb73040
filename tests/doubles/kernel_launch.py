"""`launch` of ``fuseg._kernels_cuda`` by fuseg's CPU kernels, on a `Machine`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .machine import Machine, OutOfMemory, Refused
from .memory import Misuse, span, view


@contextmanager
def said(what: str) -> Iterator[None]:
    """As the module words what the GPU refuses."""
    try:
        yield
    except OutOfMemory as err:
        raise MemoryError(f"{what}: {err}") from err
    except Refused as err:
        raise RuntimeError(f"{what}: {err}") from err


def launch_on(machine: Machine) -> Callable[..., None]:
    def launch(kernel, views, stream):
        given = [
            (written, a)
            for written, a in zip(kernel.written, views, strict=True)
            if a is not None
        ]
        reads = [_range(kernel, a) for written, a in given if not written]
        writes = [_range(kernel, a) for written, a in given if written]

        def thunk():
            arrays = [
                None if a is None else view(a.pointer, a.shape, a.dtype, a.strides)
                for a in views
            ]
            answer = kernel.run(*arrays)
            assert answer is not None, f"{kernel.name} refuses its arrays"

        with said(f"{kernel.name} could not be launched"):
            machine.kernel(f"{kernel.name}_cuda", stream, thunk, reads, writes)

    return launch


def _range(kernel: Any, a: Any) -> tuple[int, int, int]:
    """First byte, size and alignment of an array's memory."""
    step = a.dtype.itemsize
    if any(s % step for s in a.strides):
        raise Misuse(f"rows {a.strides} apart split the elements of {a.dtype}")
    low, end = span(a.pointer, a.shape, step, a.strides)
    wide = (
        kernel.name == "upsample_argmax" and a.dtype == np.float16 and len(a.shape) == 3
    )
    return low, end - low, max(step, 16 if wide and a.shape[-1] % 8 == 0 else 1)
