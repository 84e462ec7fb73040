"""Memory with an edge: what a kernel reads or writes beyond it stops the test run."""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Callable, Iterator

import numpy as np
import pytest

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)


def _forbid(block: mmap.mmap, offset: int, length: int) -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    status = _libc.mprotect(
        ctypes.c_void_p(address + offset), ctypes.c_size_t(length), 0
    )
    assert status == 0, f"mprotect failed: errno {ctypes.get_errno()}"


@pytest.fixture(params=["at its end", "at its start"])
def fenced(request: pytest.FixtureRequest) -> Callable[..., np.ndarray]:
    """``fenced(shape, dtype)``: a poisoned array with a forbidden page right after
    its last byte, or right before its first; once each."""

    def make(shape: tuple[int, ...], dtype: object) -> np.ndarray:
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        pages = -(-size // PAGE) * PAGE
        block = mmap.mmap(-1, pages + PAGE)
        if request.param == "at its end":
            _forbid(block, pages, PAGE)
            offset = pages - size
        else:
            _forbid(block, 0, PAGE)
            offset = PAGE
        array = np.frombuffer(block, dtype, math.prod(shape), offset).reshape(shape)
        array.view(np.uint8)[...] = 0xA5
        return array

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20)


@pytest.fixture
def poisoned() -> Iterator[Callable[..., np.ndarray]]:
    """``poisoned(shape, dtype)``: an array of nonsense between two guards, which must
    be as they were when the test ends."""
    guards = []

    def make(shape: tuple[int, ...], dtype: object) -> np.ndarray:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        flat = np.full(size + 512, 0xA5, np.uint8)
        guards.extend([flat[:256], flat[256 + size :]])
        return flat[256 : 256 + size].view(dtype).reshape(shape)

    yield make
    for guard in guards:
        assert (guard == 0xA5).all(), "written outside the buffer"
