"""Several rows at once, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

import torch

from .picture import draw
from .row import Row
from .rows import ROWS
from .run import run

__all__ = ["run_all"]


def run_all(
    rows: Sequence[Row], work: Path, processes: int
) -> Iterator[tuple[str, str]]:
    """Run rows, and those that they start from first, in processes of one thread.

    Returns:
        The names of those that failed, and why.
    """
    waiting = {row.name: row for row in _with_starts(rows)}
    running: dict[Future[float], str] = {}
    done: set[str] = set()
    count = len(waiting)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        while waiting or running:
            for row in _ready(waiting, done):
                del waiting[row.name]
                running[pool.submit(_run, row.name, work)] = row.name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name = running.pop(future)
                done.add(name)
                error = future.exception()
                if error is not None:
                    yield name, f"{type(error).__name__}: {error}"
                else:
                    print(f"{len(done)}/{count} {name}: {future.result():.0f} s")


def _ready(waiting: Mapping[str, Row], done: set[str]) -> list[Row]:
    return [r for r in waiting.values() if r.start is None or r.start in done]


def _run(name: str, work: Path) -> float:
    torch.set_num_threads(1)
    began = perf_counter()

    def progress(what: str) -> None:
        print(f"{name}: {what}", flush=True)

    if "export" in run(ROWS[name], ROWS, work, progress):
        draw(ROWS[name], work / name)
    return perf_counter() - began


def _with_starts(rows: Sequence[Row]) -> list[Row]:
    """Those that others start from first."""
    found: dict[str, Row] = {}
    for row in rows:
        before = [] if row.start is None else _with_starts([ROWS[row.start]])
        found |= {one.name: one for one in (*before, row)}
    return list(found.values())
