"""Timing several programs side by side."""

from __future__ import annotations

import gc
import random
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
    pause_s: float = 0.0,
) -> dict[str, list[float]]:
    """Time one call of every program per round, all on the same frame.

    What slows the machine down for a while slows all of them; the order is drawn anew
    for each round (the same in every run). Before each timed call comes a pause of
    ``pause_s``, in which the neighbour's threads give up waiting for work (those of
    ONNX Runtime spin for some 40 ms after a run, and would share our cores), and an
    untimed call on the frame before: caches and threads are then as in a loop of its
    own. The garbage collector is off meanwhile.

    Returns:
        Milliseconds of each timed call, by program.
    """
    names, order = list(programs), random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        for index in rounds:
            before, frame = (frames[i % len(frames)] for i in (index - 1, index))
            for name in order.sample(names, len(names)):
                time.sleep(pause_s)
                programs[name](before)
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
