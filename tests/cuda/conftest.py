"""Arrays for the CUDA ops: on a GPU through PyTorch, and on the emulator anywhere."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import native
import numpy as np
import pytest

from fuseg.cuda import launch

LIBC = ctypes.CDLL(None)


class OnEmulator:
    """What has the CUDA Array Interface and lies in the CPU's memory."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array
        self.stream: int | None = None

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        described = self.array.__array_interface__
        interface = {k: described[k] for k in ("shape", "typestr", "data", "strides")}
        return interface | {"version": 3, "stream": self.stream}


class Emulated:
    """Puts arrays where the emulated kernels are: in turns right before a forbidden
    page, at any address, and right after one, at 16 bytes."""

    def __init__(self) -> None:
        self.before = False

    def put(self, array: np.ndarray) -> OnEmulator:
        self.before = not self.before
        steps = [(n - 1) * s for n, s in zip(array.shape, array.strides, strict=True)]
        low = sum(min(0, step) for step in steps)
        size = sum(map(abs, steps)) + array.itemsize
        pages = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        block = mmap.mmap(-1, pages + mmap.PAGESIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(block))
        fence = start + (pages if self.before else 0)
        assert LIBC.mprotect(ctypes.c_void_p(fence), mmap.PAGESIZE, 0) == 0
        offset = (pages - size if self.before else mmap.PAGESIZE) - low
        copy = np.ndarray(array.shape, array.dtype, block, offset, array.strides)
        copy[...] = array
        return OnEmulator(copy)

    def get(self, array: OnEmulator) -> np.ndarray:
        return array.array


class Real:
    """Puts arrays on the GPU, strides and all, and waits for them."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def put(self, array: np.ndarray) -> Any:
        if any(stride < 0 for stride in array.strides):
            return Backwards(self, array)
        dense = self.torch.from_numpy(np.ascontiguousarray(array)).cuda()
        if array.flags.c_contiguous:
            return dense
        # The same gaps between rows as there were on the CPU.
        span = sum((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True))
        room = self.torch.empty(span // array.itemsize + 1, dtype=dense.dtype).cuda()
        steps = [stride // array.itemsize for stride in array.strides]
        view = room.as_strided(array.shape, steps)
        view.copy_(dense)
        return view

    def get(self, array: Any) -> np.ndarray:
        self.torch.cuda.synchronize()
        return array.cpu().numpy()


class Backwards:
    """Rows from the last to the first, which PyTorch does not have."""

    def __init__(self, real: Real, array: np.ndarray) -> None:
        self.kept = real.put(np.ascontiguousarray(array[::-1]))
        self.shape = array.shape

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        found = dict(self.kept.__cuda_array_interface__)
        strides = [s * self.kept.element_size() for s in self.kept.stride()]
        pointer = found["data"][0] + (self.shape[0] - 1) * strides[0]
        found |= {"data": (pointer, False), "strides": (-strides[0], *strides[1:])}
        return found


@pytest.fixture(scope="session")
def emulated_kernels() -> ModuleType:
    return native.emulated_kernels()


@pytest.fixture
def emulated(emulated_kernels: ModuleType, seed: int) -> Iterator[ModuleType]:
    """The CUDA module on the CPU. Its threads take turns in an order of the seed's; an
    error that nobody took from CUDA by the end of the test fails it."""
    state = native.Emulator(emulated_kernels)
    state.seed.value, state.error.value, state.counting.value = seed, 0, 0
    print(f"FUSEG_SEED={seed}")
    yield emulated_kernels
    assert state.error.value == 0, f"CUDA's error {state.error.value} was left"


@pytest.fixture
def on_emulator(monkeypatch: pytest.MonkeyPatch, emulated: ModuleType) -> Emulated:
    monkeypatch.setattr(launch, "kernels", lambda: emulated)
    return Emulated()


@pytest.fixture(
    params=["emulator", pytest.param("gpu", marks=pytest.mark.gpu)], ids=str
)
def gpu(request: pytest.FixtureRequest) -> Emulated | Real:
    if request.param == "emulator":
        return request.getfixturevalue("on_emulator")
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no CUDA device here")
    launch._loaded.cache_clear()
    launch.kernels()
    return Real(torch)


@pytest.fixture
def poison() -> Callable[[Any, Any], np.ndarray]:
    """``poison(shape, dtype)``: an array of nonsense."""

    def make(shape: Any, dtype: Any) -> np.ndarray:
        array = np.empty(shape, dtype)
        array.view(np.uint8)[...] = 0xA5
        return array

    return make


@pytest.fixture(scope="session")
def seed() -> int:
    """New in every run; FUSEG_SEED repeats one."""
    return int(os.environ.get("FUSEG_SEED", np.random.SeedSequence().entropy % 2**32))


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    print(f"FUSEG_SEED={seed}")
    return np.random.default_rng(seed)
