"""Timing several programs side by side."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

Frames = dict[str, Any]


def interleave(
    programs: Mapping[str, Callable[[Frames], object]],
    frames: list[Frames],
    rounds: Iterable[int],
    *,
    pause_s: float,
) -> dict[str, list[float]]:
    """Call every program once per round, on the same frame, and time each call.

    What slows the machine down for a while slows all of them. The order turns from
    round to round, so none always runs after the same neighbour; the pause before
    each call lets the threads of the one before it go to sleep (engines spin for
    some milliseconds). The garbage collector is off meanwhile.

    Returns:
        Milliseconds of each call, by program.
    """
    names = list(programs)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        for index in rounds:
            frame = frames[index % len(frames)]
            first = index % len(names)
            for name in names[first:] + names[:first]:
                time.sleep(pause_s)
                start = time.perf_counter_ns()
                programs[name](frame)
                times[name].append((time.perf_counter_ns() - start) / 1e6)
    finally:
        if was_on:
            gc.enable()
    return times


def percentiles(times: list[float]) -> dict[str, float]:
    """p50, p90 and p99, linear between neighbours as NumPy has it."""
    values = np.percentile(times, (50, 90, 99)).tolist()
    return dict(zip(("p50", "p90", "p99"), values, strict=True))
