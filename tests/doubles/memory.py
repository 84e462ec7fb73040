"""The memory of the pretend GPU: real, between guards, poisoned, never given out twice.

Freed memory is kept, so that whoever still uses it is told so and nothing crashes.
"""

from __future__ import annotations

import bisect
import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GUARD = 256  # bytes before and after every allocation; addresses are multiples of it
POISON = 0xA5
_FENCE = 0x5C


class Misuse(AssertionError):
    """What a real GPU may let pass, or crash on, and code must never do."""


@dataclass
class Allocation:
    """A piece of memory. ``kind``: "device" or "pinned"; ``mapped``: kernels on the GPU
    may use it, not only copies."""

    base: int
    size: int
    device: int
    kind: str
    mapped: bool
    block: np.ndarray = field(repr=False)
    live: bool = True

    @property
    def inside(self) -> np.ndarray:
        start = self.base - self.block.ctypes.data
        return self.block[start : start + self.size]

    def check_fence(self) -> None:
        start = self.base - self.block.ctypes.data
        before = self.block[start - GUARD : start]
        after = self.block[start + self.size : start + self.size + GUARD]
        if (before != _FENCE).any() or (after != _FENCE).any():
            raise Misuse(f"bytes beside the {self} were written")

    def __str__(self) -> str:
        state = "" if self.live else "freed "
        return f"{state}{self.kind} memory of {self.size} bytes at {self.base:#x}"


def view(
    address: int,
    shape: Iterable[int],
    dtype: Any = np.uint8,
    strides: tuple[int, ...] | None = None,
) -> np.ndarray:
    """An array over memory that is there; nothing is checked."""
    shape, dtype = tuple(shape), np.dtype(dtype)
    low, end = span(address, shape, dtype.itemsize, strides)
    buffer = (ctypes.c_uint8 * (end - low)).from_address(low)
    return np.ndarray(shape, dtype, buffer, address - low, strides)


def span(
    address: int, shape: Iterable[int], itemsize: int, strides: Any = None
) -> tuple[int, int]:
    """The addresses from the first byte of an array to beyond its last one."""
    shape = tuple(shape)
    if strides is None:
        return address, address + int(np.prod(shape, dtype=np.int64)) * itemsize
    steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    low = address + sum(min(0, step) for step in steps)
    return low, address + sum(max(0, step) for step in steps) + itemsize


class Allocations:
    """Every allocation there is or was."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._all: list[Allocation] = []

    def take(self, size: int, device: int, kind: str, mapped: bool) -> Allocation:
        block = np.full(size + 4 * GUARD, _FENCE, np.uint8)
        base = -(-(block.ctypes.data + GUARD) // GUARD) * GUARD
        made = Allocation(base, size, device, kind, mapped, block)
        made.inside[:] = POISON
        at = bisect.bisect(self._bases, base)
        self._bases.insert(at, base)
        self._all.insert(at, made)
        return made

    def give_back(self, address: int, kind: str) -> Allocation:
        found = self.find(address, 1, "free")
        if found.kind != kind or found.base != address:
            raise Misuse(
                f"free: {address:#x} is no {kind} allocation, but in the {found}"
            )
        found.check_fence()
        found.inside[:] = POISON
        found.live = False
        return found

    def find(self, address: int, size: int, what: str) -> Allocation:
        """The live allocation that these bytes lie in."""
        if not isinstance(address, int) or isinstance(address, bool):
            raise Misuse(f"{what}: an address must be an int, got {address!r}")
        if address == 0:
            raise Misuse(f"{what}: an address is 0: it was never set")
        at = bisect.bisect(self._bases, address) - 1
        for found in self._all[max(at, 0) : at + 2]:
            if found.base - GUARD <= address < found.base + found.size + GUARD:
                break
        else:
            raise Misuse(f"{what}: {address:#x} is an address of nobody's here")
        if not found.live:
            raise Misuse(f"{what}: {address:#x} is in {found}")
        if size < 1 or address < found.base or address + size > found.base + found.size:
            raise Misuse(
                f"{what}: {size} bytes at {address - found.base:+} reach beyond the "
                f"{found}"
            )
        return found

    def live(self, kind: str, device: int | None = None) -> list[Allocation]:
        return [
            a
            for a in self._all
            if a.live and a.kind == kind and device in (None, a.device)
        ]

    def check(self) -> None:
        """Refuse writes beside allocations and, by the CPU, into freed ones."""
        for allocation in self._all:
            allocation.check_fence()
            if not allocation.live and (allocation.inside != POISON).any():
                raise Misuse(f"the {allocation} was written")
