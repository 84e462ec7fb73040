"""Many scenes, in the order of their seeds; and what can be rendered at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from fuseg.errors import ArgumentError

__all__ = ["render_each", "require_renderable", "require_workers"]

MIN_SIDE = 8

Scene = TypeVar("Scene")


def render_each(
    render: Callable[[int], Scene], seeds: Sequence[int], workers: int
) -> Iterator[Scene]:
    """What ``render`` gives for each seed, from this process or from several others."""
    if workers == 1:
        yield from map(render, seeds)
        return
    # A forked child can inherit a lock that a thread of the parent held.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(render, seeds, chunksize=8)


def require_renderable(seed: int, height: int, width: int) -> None:
    """Refuse a seed below 0 and a side below 8.

    Raises:
        ArgumentError: One is.
    """
    if seed < 0:
        raise ArgumentError(f"seed must be 0 or more, got {seed}.")
    for name, side in (("height", height), ("width", width)):
        if side < MIN_SIDE:
            raise ArgumentError(f"{name} must be at least {MIN_SIDE}, got {side}.")


def require_workers(workers: int) -> None:
    """Refuse fewer than one.

    Raises:
        ArgumentError: There are fewer.
    """
    if workers < 1:
        raise ArgumentError(f"workers must be at least 1, got {workers}.")
