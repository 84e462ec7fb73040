"""Time callables against each other, and against copies of the bytes they must move.

All candidates of a case take turns, round after round, in one process on one core: a
machine that slows down slows all of them. Two candidates are always there. The warm
floor reads and writes as many bytes as the operation must at least, again and again in
the same memory; the cold floor does it after something else has filled the caches, as a
camera's driver or a network does between two frames. Ours is measured cold as well.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from fuseg.bench import after, interleave, percentiles, repeated

Call = Callable[[], object]

WARM = "floor, warm"
COLD = "floor, cold"
OURS_COLD = "ours, cold"

SWEEP = 96 << 20  # bytes; three times the largest cache of the machines used so far


@dataclass(frozen=True)
class Bar:
    """What ours must reach: ``least`` times the speed of the fastest of ``than``.

    ``than`` names candidates, of which those that are absent here do not count.
    ``WARM`` and ``COLD`` are the floors: 0.6 of ``COLD`` is 60 % of its speed.
    ``ours`` is the candidate that is judged, the first one if empty. ``least`` holds
    where there is AVX-512, ``avx2`` elsewhere on x86; None sets no bar.
    """

    least: float | None
    than: str | Sequence[str]
    avx2: float | None = None
    ours: str = ""


@dataclass(frozen=True)
class BarResult:
    """A bar beside what was reached; ``peer`` was the fastest of ``than``."""

    than: str
    least: float
    peer: str
    reached: float

    def words(self) -> str:
        target = f"{self.least:.0%} of" if self.least < 1 else f"{self.least:.3g} x"
        return f"{target} {self.peer}"

    @property
    def met(self) -> bool:
        return self.reached >= self.least


@dataclass(frozen=True)
class Row:
    """One candidate of one case.

    ``ratio`` is its median beside that of the first candidate, ours: below 1 it is
    faster than ours. ``floor_share`` is the floor's median beside this one's, of the
    cold floor for what was measured cold. The least traffic the operation can cause is
    ``bytes_read`` and ``bytes_written``.
    """

    case: str
    name: str
    median_us: float
    min_us: float
    p95_us: float
    rounds: int
    bytes_read: int
    bytes_written: int
    ratio: float
    floor_share: float
    bars: tuple[BarResult, ...] = ()
    notes: str = ""

    @property
    def gb_per_s(self) -> float:
        return (self.bytes_read + self.bytes_written) / self.median_us / 1e3


def compare(
    case: str,
    calls: dict[str, Call],
    bytes_moved: int | None = None,
    *,
    read: int | None = None,
    written: int | None = None,
    bars: Sequence[Bar] = (),
    notes: str = "",
    seconds: float = 4.0,
    cores: int = 1,
) -> list[Row]:
    """Time ``calls``, the first of them ours, and the floors, in turns.

    A call must block until its work is done. ``read`` and ``written`` are the bytes of
    the least traffic; ``bytes_moved`` alone means half of it each. Rounds go on for
    ``seconds``, at least 9 and at most 400 of them. ``cores=2`` lets the case use
    two cores, for a candidate with two threads. ``notes`` are printed with the case.
    """
    if read is None or written is None:
        if bytes_moved is None:
            raise TypeError(f"{case}: say read= and written=, or bytes_moved")
        read, written = bytes_moved // 2, bytes_moved - bytes_moved // 2
    with _on_cores(cores):
        times = _take_turns(calls, _floor(read, written), seconds)
    calls_us = {name: 1e3 * np.concatenate(found) for name, found in times.items()}
    medians = {
        name: statistics.median(1e3 * statistics.median(turn) for turn in found)
        for name, found in times.items()
    }
    ours = next(iter(calls))
    verdicts = [_judge(bar, medians, ours) for bar in bars]
    return [
        Row(
            case=case,
            name=name,
            median_us=medians[name],
            min_us=float(calls_us[name].min()),
            p95_us=percentiles(calls_us[name], (95,))["p95"],
            rounds=len(found),
            bytes_read=read,
            bytes_written=written,
            ratio=medians[name] / medians[ours],
            floor_share=_floor_of(name, medians) / medians[name],
            bars=tuple(v for on, v in filter(None, verdicts) if on == name),
            notes=notes,
        )
        for name, found in times.items()
    ]


def _take_turns(
    calls: dict[str, Call], floor: Call, seconds: float
) -> dict[str, list[list[float]]]:
    """Milliseconds of the timed calls of each turn, by candidate."""
    warm = {**calls, WARM: floor}
    cold = {OURS_COLD: next(iter(calls.values())), COLD: floor}
    if set(calls) & {WARM, COLD, OURS_COLD}:
        raise ValueError(f"{WARM}, {COLD}, {OURS_COLD}: these names are taken")
    sweep = _sweep()
    for call in warm.values():
        call()
        call()
    turns = {name: repeated(call) for name, call in warm.items()}
    for name, call in cold.items():
        turns[name] = after(lambda: np.add(sweep, 1, out=sweep), call)
    # In this order: the cold ones leave the caches to nobody but the first, ours.
    return interleave(turns, _rounds(seconds), shuffle=False)


def _rounds(seconds: float) -> Iterator[int]:
    begin, count = time.perf_counter(), 0
    while count < 9 or (count < 400 and time.perf_counter() - begin < seconds):
        yield count
        count += 1


@cache
def _sweep() -> np.ndarray:
    return np.ones(SWEEP, np.uint8)


def _floor(read: int, written: int) -> Call:
    """Copy what both sides have, then read or write what one of them has left."""
    # Not zeros: pages that nobody wrote are all the same one page.
    source, target = np.full(read, 1, np.uint8), np.full(written, 1, np.uint8)
    both = min(read, written)
    unread = source[both:][: (read - both) // 8 * 8].view(np.uint64)

    def floor() -> None:
        np.copyto(target[:both], source[:both])
        if len(unread):
            np.bitwise_or.reduce(unread)
        if written > both:
            target[both:] = 3

    return floor


def _floor_of(name: str, medians: dict[str, float]) -> float:
    return medians[COLD if name in (COLD, OURS_COLD) else WARM]


def _judge(
    bar: Bar, medians: dict[str, float], ours: str
) -> tuple[str, BarResult] | None:
    least = {"avx512": bar.least, "avx2": bar.avx2, "none": None}[bars_of()]
    if least is None:
        return None
    names = [bar.than] if isinstance(bar.than, str) else list(bar.than)
    present = {name: medians[name] for name in names if name in medians}
    if not present:
        raise ValueError(f"a bar is set against {', '.join(names)}: none of them ran")
    judged = bar.ours or ours
    fastest = min(present, key=present.__getitem__)
    own = medians[OURS_COLD if fastest == COLD else judged]
    reached = present[fastest] / own
    return judged, BarResult(" | ".join(names), least, fastest, reached)


@cache
def bars_of() -> str:
    """Whose bars hold here: "avx512", "avx2" or, where none were set, "none"."""
    if platform.machine() != "x86_64":
        return "none"
    flags = set(Path("/proc/cpuinfo").read_text().split())
    wide = {"avx512bw", "avx512vbmi", "avx512_vbmi2", "avx512_vnni"}
    if wide <= flags and not _lowered:
        return "avx512"
    return "avx2" if "avx2" in flags and "sse4" not in _lowered else "none"


def lower_to(level: str) -> None:
    """Judge by the bars of this level, which the caller has made sure is what runs."""
    _lowered.append(level)
    bars_of.cache_clear()


_lowered: list[str] = []


@cache
def cores() -> list[int]:
    """The cores the process had when the first case began."""
    return sorted(os.sched_getaffinity(0))


@contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """Stay on the last ``count`` cores: the first one has the interrupts."""
    if len(cores()) < count:
        raise RuntimeError(f"this case needs {count} cores, the process has {cores()}")
    os.sched_setaffinity(0, cores()[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores())
