"""Timing candidates in turns, in one process."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

__all__ = ["Turn", "after", "interleave", "percentiles", "repeated", "time_call"]

Turn = Callable[[int], Sequence[float]]  # number of the round -> ms of each timed call


def interleave(
    turns: Mapping[str, Turn], rounds: Iterable[int], *, shuffle: bool = True
) -> dict[str, list[list[float]]]:
    """Let every candidate take its turn in each round.

    What slows the machine down for a while slows all of them. The garbage collector
    is off meanwhile.

    Args:
        turns: What times one candidate, by name: `repeated`, `after`, or a function
            that takes the number of the round.
        rounds: The numbers; an iterator may stop when time is up.
        shuffle: Whether the order is drawn anew for each round, the same in every
            run. Else it is that of ``turns``.

    Returns:
        Milliseconds of the timed calls of each turn, by candidate.
    """
    names, order = list(turns), random.Random(0)
    times: dict[str, list[list[float]]] = {name: [] for name in names}
    gc.collect()
    was_on = gc.isenabled()
    gc.disable()
    try:
        for index in rounds:
            for name in order.sample(names, len(names)) if shuffle else names:
                times[name].append([*turns[name](index)])
    finally:
        if was_on:
            gc.enable()
    return times


def repeated(call: Callable[[], object], *, turn_ms: float = 5.0) -> Turn:
    """A slow call once; a quick one again and again, the first of them not counted.

    Args:
        turn_ms: What a turn of a quick call may take; 20 calls are the most.
    """

    def turn(_: int) -> list[float]:
        first = time_call(call)
        count = min(20, int(turn_ms / first) + 1)
        return [time_call(call) for _ in range(count)] if count > 1 else [first]

    return turn


def after(prepare: Callable[[], object], call: Callable[[], object]) -> Turn:
    """One call after something else, which is not timed: it may clear the caches."""

    def turn(_: int) -> list[float]:
        prepare()
        return [time_call(call)]

    return turn


def time_call(call: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / 1e6


def percentiles(
    times: Sequence[float], of: Sequence[int] = (50, 90, 99)
) -> dict[str, float]:
    """``{"p50": ...}``, linear between neighbours as NumPy has it."""
    values = np.percentile(times, of).tolist()
    return dict(zip((f"p{each}" for each in of), values, strict=True))
