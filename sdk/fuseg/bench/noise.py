"""Whether the times of a benchmark can be trusted: what else ran, and the spread."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..host import cpu

MOST_OTHERS = 0.1  # of a core, by other programs, on average
MOST_SPREAD = 0.2
_STAT = Path("/proc/stat")


class OtherPrograms:
    """The processor time that other programs take from now on.

    Counts what ``/proc/stat`` calls busy (of the whole machine, also where a container
    shows fewer cores) without this process and its children.
    """

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy_s(), _own_s()

    def cores(self) -> float | None:
        """Cores that they kept busy on average; None where Linux does not say."""
        busy, seconds = _busy_s(), time.monotonic() - self._began
        if busy is None or self._busy is None or seconds <= 0:
            return None
        return max(0.0, busy - self._busy - (_own_s() - self._own)) / seconds


def describe_noise(
    times: Mapping[str, list[float]], others: float | None
) -> dict[str, Any]:
    """What ``bench --json`` says of the noise.

    Args:
        times: Milliseconds of each timed call, by program.
        others: As `OtherPrograms.cores`.

    Returns:
        ``other_programs_cores``; ``spread`` of each program, the middle half of its
        times as a share of their median; ``warnings``, sentences.
    """
    spread = {name: _spread(values) for name, values in times.items()}
    warnings = []
    if others is not None and others > MOST_OTHERS:
        warnings.append(
            f"the machine is busy: other programs kept {others:.1f} of "
            f"{os.cpu_count() or cpu.cores()} cores busy meanwhile, so these times "
            "are unreliable; stop them and repeat."
        )
    unsteady = [f"{name} {s:.0%}" for name, s in spread.items() if s > MOST_SPREAD]
    if unsteady:
        warnings.append(
            f"the times vary widely ({', '.join(unsteady)}; at most {MOST_SPREAD:.0%} "
            "is normal): repeat with more --rounds on an idle machine."
        )
    return {"other_programs_cores": others, "spread": spread, "warnings": warnings}


def _spread(values: list[float]) -> float:
    low, median, high = np.percentile(values, (25, 50, 75))
    return float((high - low) / median)


def _busy_s() -> float | None:
    try:
        words = _STAT.read_text().partition("\n")[0].split()
    except OSError:
        return None
    ticks = [int(word) for word in words[1:]]
    # user nice system idle iowait irq softirq steal, then guests, which are in user
    return (sum(ticks[:8]) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _own_s() -> float:
    return sum(os.times()[:4])
