"""The main of a kernel's benchmark: run it, print it, judge it, keep it.

python benchmarks/bench_NAME.py [--runs 3] [--strict] [--machine NAME] [--only WORDS]

Every run is a process of its own, held to one thread. It ends with an error if an
answer is wrong; with --strict also if a bar was missed.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

import fuseg
import timing
from fuseg.host import cpu
from timing import COLD, WARM, Bar, Call, Row, cores

__all__ = ["COLD", "WARM", "Bar", "Call", "Row", "compare", "cores", "report"]

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
COMPILED = ROOT / "out" / "inductor"
PACKAGES = ("numpy", "cv2", "onnxruntime", "openvino", "torch", "torchvision")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
PLAIN: Any = {"title_justify": "left", "title_style": "bold", "box": box.SIMPLE_HEAD}
LEVELS = {"sse4": 2, "avx2": 3}  # of kernels/simd/level.h
ONLY = "FUSEG_BENCH_ONLY"  # how a run's own process learns of --only


@functools.wraps(timing.compare)
def compare(case: str, *args: Any, **options: Any) -> list[Row]:
    if os.environ.get(ONLY, "") not in case:
        return []
    rows = timing.compare(case, *args, **options)
    show(rows)
    return rows


def report(title: str, cases: Callable[[], list[Row]]) -> None:
    parser = argparse.ArgumentParser(description=title)
    add = parser.add_argument
    add("--runs", type=int, default=1, metavar="N", help="run N times")
    add("--strict", action="store_true", help="fail if a bar was missed")
    add("--machine", metavar="NAME", help="keep the results as those of this machine")
    add("--save", type=Path, metavar="FILE", help="keep the results in FILE")
    add("--level", choices=LEVELS, help="lower the kernels to this instruction set")
    add("--only", default="", metavar="WORDS", help="only cases with WORDS in the name")
    add("--rows", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rows:
        run(cases, options.level, options.rows)
        return
    print(f"{title}\n", flush=True)
    runs = [apart(options.only) for _ in range(options.runs)]
    missed = judge(runs)
    record = {"title": title, **describe(), "runs": runs}
    record["level"] = options.level or "widest"
    if options.machine:
        level = f"--{options.level}" if options.level else ""
        file = f"{Path(sys.argv[0]).stem}--{options.machine}{level}.json"
        options.save = RESULTS / fuseg.__version__ / file
    if options.save:
        options.save.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(short(record), indent=1, sort_keys=True)
        options.save.write_text(text + "\n")
    sys.exit(options.strict and missed > 0)


def apart(only: str) -> list[dict[str, Any]]:
    """The rows of one run, made by a process that has one thread from its start."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        environment = os.environ | dict.fromkeys(THREADS, "1") | {ONLY: only}
        environment.setdefault(
            "TORCHINDUCTOR_CACHE_DIR", str(ROOT / "out" / "inductor")
        )
        subprocess.run(
            [sys.executable, *sys.orig_argv[1:], "--rows", str(rows)],
            check=True,
            env=environment,
        )
        return json.loads(rows.read_text())


def run(cases: Callable[[], list[Row]], level: str | None, target: Path) -> None:
    for package, hold in (("cv2", "setNumThreads"), ("torch", "set_num_threads")):
        if package in sys.modules:
            getattr(sys.modules[package], hold)(1)
    if level:
        # No public name does this: it is for who measures and who tests.
        importlib.import_module("fuseg._kernels").use_level(LEVELS[level])
        timing.lower_to(level)
    rows = cases()
    target.write_text(json.dumps([kept(row) for row in rows]))


def kept(row: Row) -> dict[str, Any]:
    bars = [asdict(b) | {"met": b.met, "words": b.words()} for b in row.bars]
    return asdict(row) | {"bars": bars, "gb_per_s": row.gb_per_s}


def show(rows: list[Row]) -> None:
    head = rows[0]
    table = Table(
        title=f"{head.case}   {head.notes}\n{head.bytes_read / 1e6:.2f} MB read, "
        f"{head.bytes_written / 1e6:.2f} MB written, {head.rounds} rounds",
        **PLAIN,
    )
    table.add_column("")
    columns = "median us", "least us", "p95 us", "of ours", "GB/s", "of floor"
    for column in columns:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            *(f"{t:.1f}" for t in (row.median_us, row.min_us, row.p95_us)),
            f"{row.ratio:.2f}",
            f"{row.gb_per_s:.1f}",
            f"{row.floor_share:.1%}",
            style="bold" if row is head else None,
        )
    console = Console(width=110 if not sys.stdout.isatty() else None, highlight=False)
    console.print(table)
    for row in rows:
        for bar in row.bars:
            word = "met   " if bar.met else "MISSED"
            console.print(f"  {word} {row.name}: {bar.reached:.3g}, {bar.words()}")
    console.print()


def judge(runs: list[list[dict[str, Any]]]) -> int:
    """Print in how many runs each bar was met; the number of bars missed in any."""
    bars: dict[tuple[str, str, str, float], list[dict[str, Any]]] = {}
    for row in (row for rows in runs for row in rows):
        for bar in row["bars"]:
            key = row["case"], row["name"], bar["than"], bar["least"]
            bars.setdefault(key, []).append(bar)
    if not bars:
        return 0
    table = Table(title="bars", **PLAIN)
    for column in ("case", "", "bar", "reached", "met"):
        table.add_column(column)
    missed = 0
    for (case, name, *_), tried in bars.items():
        met = sum(bar["met"] for bar in tried)
        missed += met < len(tried)
        style = None if met == len(tried) else "bold red"
        table.add_row(
            case,
            name,
            min(tried, key=lambda bar: bar["reached"])["words"],
            ", ".join(f"{bar['reached']:.3g}" for bar in tried),
            f"{met} of {len(tried)}",
            style=style,
        )
    Console(width=None if sys.stdout.isatty() else 150, highlight=False).print(table)
    return missed


def short(value: Any) -> Any:
    """Five digits are more than a clock knows."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: short(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [short(inner) for inner in value]
    return value


def describe() -> dict[str, Any]:
    """The machine, the versions and the commit."""
    versions = {"fuseg": fuseg.__version__, "python": platform.python_version()}
    distributions = metadata.packages_distributions()
    for package in PACKAGES:
        names = distributions.get(package)
        versions[package] = metadata.version(names[0]) if names else "absent"
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return {
        "machine": cpu.describe() | {"load": round(os.getloadavg()[0], 2)},
        "platform": platform.platform(),
        "versions": versions,
        "commit": commit.stdout.strip() or "unknown",
        "bars_of": timing.bars_of(),
        "threads": 1,
    }
