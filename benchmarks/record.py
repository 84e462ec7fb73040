"""Time callables against each other, and keep what is needed to believe the numbers.

All candidates of a case take turns, round after round: a machine that slows down slows
all of them. One candidate is always the floor: copying as many bytes as the operation
must move at least, in memory that is as warm or as cold.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import fuseg
from fuseg.cli import machine

Call = Callable[[], object]

FLOOR = "(copy of the same bytes)"
PACKAGES = ("numpy", "cv2", "onnxruntime", "torch")


@dataclass(frozen=True)
class Row:
    """One line of a results file.

    ``bytes_moved`` is the least traffic the operation could cause: each input read
    once, each output written once. ``ratio`` is the median beside the first
    candidate's, ``floor_share`` the floor's median beside this one's.
    """

    case: str
    name: str
    median_us: float
    p95_us: float
    rounds: int
    bytes_moved: int
    ratio: float
    floor_share: float

    @property
    def gb_per_s(self) -> float:
        return self.bytes_moved / self.median_us / 1e3


def compare(
    case: str, calls: dict[str, Call], bytes_moved: int, *, seconds: float = 4.0
) -> list[Row]:
    """Time ``calls``, the first of them ours, and the floor, in turns.

    A call must block until its work is done. Rounds go on for ``seconds``, at least
    15 and at most 400 of them.
    """
    source = np.ones(bytes_moved // 2, np.uint8)
    target = np.empty_like(source)
    calls = {**calls, FLOOR: lambda: np.copyto(target, source)}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    begin = time.perf_counter()
    rounds = 0
    while rounds < 15 or (rounds < 400 and time.perf_counter() - begin < seconds):
        for name, call in calls.items():
            start = time.perf_counter_ns()
            call()
            times[name].append((time.perf_counter_ns() - start) / 1e3)
        rounds += 1
    medians = {name: statistics.median(t) for name, t in times.items()}
    ours = next(iter(medians.values()))
    return [
        Row(
            case,
            name,
            medians[name],
            statistics.quantiles(t, n=20)[-1],
            rounds,
            bytes_moved,
            medians[name] / ours,
            medians[FLOOR] / medians[name],
        )
        for name, t in times.items()
    ]


def describe() -> dict[str, object]:
    """The machine, the versions and the commit."""
    versions = {"fuseg": fuseg.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.import_module(package).__version__
        except ModuleNotFoundError:
            versions[package] = "absent"
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    return {
        "machine": machine.describe() | {"load": round(os.getloadavg()[0], 2)},
        "platform": platform.platform(),
        "versions": versions,
        "commit": commit.stdout.strip() or "unknown",
        "threads": 1,
    }


def show(rows: list[Row]) -> None:
    case = None
    for row in rows:
        if row.case != case:
            case = row.case
            print(f"\n{case}   ({row.bytes_moved / 1e6:.2f} MB, {row.rounds} rounds)")
        print(
            f"  {row.name:34s}{row.median_us:10.1f} us  p95 {row.p95_us:10.1f}"
            f"  x{row.ratio:<7.2f}{row.gb_per_s:7.2f} GB/s {row.floor_share:7.1%}"
        )


def report(title: str, cases: Callable[[], list[Row]]) -> None:
    """The main of a benchmark: run it, print it, keep it with ``--save FILE``."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write JSON here")
    options = parser.parse_args()
    print(f"{title}\nfirst line of a case: ours; xN: its time, N times over;")
    print("%: share of the speed of a plain copy of the least bytes to move")
    rows = cases()
    show(rows)
    if options.save:
        kept = [asdict(r) | {"gb_per_s": r.gb_per_s} for r in rows]
        record = {"title": title, **describe(), "rows": kept}
        options.save.parent.mkdir(parents=True, exist_ok=True)
        options.save.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")
