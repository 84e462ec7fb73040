"""Timing programs that label frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .timing import Turn, interleave, time_call

__all__ = ["MOST_FRAMES", "PAUSE_S", "WARMUP", "Frames", "time_frames"]

WARMUP = 5  # rounds
PAUSE_S = 0.06
MOST_FRAMES = 16  # that are timed in turns

Frames = dict[str, Any]


def time_frames(
    programs: Mapping[str, Callable[[Frames], object]],
    frames: list[Frames],
    rounds: Iterable[int],
) -> dict[str, list[float]]:
    """Time one call of every program per round, all on the same frame.

    After `WARMUP` rounds. Before each timed call comes a pause of `PAUSE_S`, in which
    the neighbour's threads give up waiting for work (those of ONNX Runtime spin for
    some 40 ms after a run, and would share our cores), and an untimed call on the
    frame before: caches and threads are then as in a loop of its own.

    Returns:
        Milliseconds of each timed call, by program.
    """

    def turns(pause_s: float) -> dict[str, Turn]:
        return {name: _turn(program, pause_s) for name, program in programs.items()}

    def _turn(program: Callable[[Frames], object], pause_s: float) -> Turn:
        def turn(index: int) -> list[float]:
            before, frame = (frames[i % len(frames)] for i in (index - 1, index))
            time.sleep(pause_s)
            program(before)
            return [time_call(lambda: program(frame))]

        return turn

    interleave(turns(0.0), range(WARMUP))
    times = interleave(turns(PAUSE_S), rounds)
    return {name: [ms for (ms,) in found] for name, found in times.items()}
