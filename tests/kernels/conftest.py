"""Memory with an edge: what a kernel reads or writes beyond it stops the test run.

The tests also run where torch is not, on another processor and in an emulator.
"""

from __future__ import annotations

import ctypes
import importlib.util
import math
import mmap
import os
import sys
import types
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import settings

from fuseg import _kernels

LEVELS = _kernels.levels()  # of kernels/simd/level.h, those that can run here
ONLY = os.environ.get("FUSEG_LEVEL")  # `make sanitize` runs every test at every level
if ONLY:
    LEVELS = [level for level in LEVELS if level == int(ONLY)]
PAGE = mmap.PAGESIZE
EXAMPLES = int(os.environ.get("FUSEG_EXAMPLES", "0"))  # the most per test; 0: all
_libc = ctypes.CDLL(None, use_errno=True)


def _forbid(block: mmap.mmap, offset: int, length: int) -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(block))
    status = _libc.mprotect(
        ctypes.c_void_p(address + offset), ctypes.c_size_t(length), 0
    )
    assert status == 0, f"mprotect failed: errno {ctypes.get_errno()}"


class Absent(types.ModuleType):
    """Stands in for a peer that is not installed: a test that needs it is skipped."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        pytest.skip(f"{self.__name__} is not installed here")


def level_of(item: pytest.Item) -> int | None:
    call = getattr(item, "callspec", None)
    return call.params.get("level") if call else None


for peer in ("cv2", "torch"):
    if importlib.util.find_spec(peer) is None:
        sys.modules[peer] = Absent(peer)


@pytest.hookimpl(tryfirst=True)  # before -m is looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if ONLY:
        items[:] = [item for item in items if level_of(item) in {None, int(ONLY)}]
    for item in items:
        if "fenced" in getattr(item, "fixturenames", ()):
            item.add_marker("fenced")
        test = getattr(item, "obj", None)
        given = getattr(test, "_hypothesis_internal_use_settings", None)
        if EXAMPLES and given and given.max_examples > EXAMPLES:
            fewer = settings(given, max_examples=EXAMPLES, deadline=None)
            test._hypothesis_internal_use_settings = fewer


@pytest.fixture(autouse=bool(ONLY))
def only_level() -> None:
    if not LEVELS:
        pytest.skip(f"this processor has no level {ONLY}")
    _kernels.use_level(LEVELS[-1])


@pytest.fixture(params=LEVELS, ids=lambda level: f"level {level}")
def every_level(request: pytest.FixtureRequest) -> Iterator[int]:
    """Runs a test once per instruction set, each of which must meet the contract."""
    _kernels.use_level(request.param)
    yield request.param
    _kernels.use_level(LEVELS[-1])


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
