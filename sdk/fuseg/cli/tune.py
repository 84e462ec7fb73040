"""``fuseg tune``: find the fastest backend and variant here, for `fuseg.load`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ..backends import registry
from ..bench import MOST_FRAMES, PAUSE_S, WARMUP, Frames, percentiles, time_frames
from ..bundle import Bundle
from ..bundle.signing import require_trusted
from ..errors import ArgumentError, BackendError
from ..host import cpu
from ..manifest import Variant
from ..segmenter import Segmenter
from ..selection import tuning_cache
from ..selection.label_check import agreements, disagreement, first_run
from ..selection.load_options import LoadOptions
from .options import (
    BundleArgument,
    DeviceOption,
    JsonOption,
    NoSpinningOption,
    ThreadsOption,
    TrustOption,
    require_device,
)
from .printing import plural, print_json, print_table, progress, say, warn


@dataclass
class _Row:
    """One backend with one variant: a Segmenter to time, or why there is none."""

    backend: str
    variant: str
    segmenter: Segmenter | None = None
    agreement: float | None = None
    rejected: str | None = None
    times: dict[str, float] = field(default_factory=dict)

    def as_json(self, baseline: float | None, chosen: _Row | None) -> dict[str, Any]:
        p50 = self.times.get("p50")
        return {
            "backend": self.backend,
            "variant": self.variant,
            "agreement": self.agreement,
            "p50_ms": p50,
            "p90_ms": self.times.get("p90"),
            "speedup": baseline / p50 if baseline and p50 else None,
            "rejected": self.rejected,
            "chosen": self is chosen,
        }


def tune(
    bundle: BundleArgument,
    threads: ThreadsOption = None,
    no_spinning: NoSpinningOption = False,
    rounds: Annotated[
        int, typer.Option(min=1, help="Timed calls of each backend and variant.")
    ] = 30,
    device: DeviceOption = 0,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Time every backend with every variant, and remember the fastest.

    fuseg.load and the other commands then use it for this bundle on this CPU and GPU,
    with the same --threads and --no-spinning. Only combinations that reproduce the
    labels of the bundle's samples are timed. TensorRT engines that are not cached are
    built first, which takes minutes each. Exits with 1 if nothing gives the right
    labels.
    """
    require_device("auto", device)
    opened = Bundle.open(bundle)
    if trust is not None:
        require_trusted(opened, trust)
    pairs = [*_on_gpu(opened, device), *_on_cpu(opened)]
    if not opened.manifest.samples or not pairs:
        lacks = "variants for a CPU" if opened.manifest.samples else "sample frames"
        raise ArgumentError(f"{bundle} must hold {lacks} to tune with, got none.")
    spin = not no_spinning
    rows = [
        _prepare(opened, *pair, threads, device, spin, trusted=trust is not None)
        for pair in pairs
    ]
    _time(opened, rows, rounds)
    timed = [row for row in rows if row.times]
    chosen = min(timed, key=_p50, default=None)
    baseline = next((_p50(r) for r in timed if _words(r) == "onnxruntime fp32"), None)
    on_gpu = any(registry.runs_on_gpu(row.backend) for row in rows)
    gpu = registry.gpu_name(device) if on_gpu else None
    path = None
    if chosen is not None:
        measured = [tuning_cache.Measured(r.backend, r.variant, _p50(r)) for r in timed]
        path = tuning_cache.store(
            opened.digest, threads, measured, gpu, allow_spinning=spin
        )
    result = {
        "bundle": str(bundle),
        "digest": opened.digest,
        "machine": cpu.describe(),
        "gpu": gpu,
        "versions": tuning_cache.versions(),
        "settings": {
            "threads": threads,
            "allow_spinning": spin,
            "device": device,
            "rounds": rounds,
            "warmup": WARMUP,
            "pause_ms": PAUSE_S * 1e3,
        },
        "rows": [row.as_json(baseline, chosen) for row in rows],
        "stored": None if path is None else str(path),
    }
    if json:
        print_json(result)
    else:
        _show(result)
    if chosen is None:
        raise typer.Exit(1)


def _on_gpu(bundle: Bundle, device: int) -> list[tuple[str, Variant]]:
    """Each GPU backend that works here, with each variant meant for it."""
    found: list[tuple[str, Variant]] = []
    for name in (info.name for info in registry.GPU):
        if registry.unavailable(name, device) is None:
            try:
                variants = registry.variants_for(bundle, name)
            except BackendError as err:
                warn(f"{name} is skipped: {err}")
                continue
            found += [(name, variant) for variant in variants]
    return found


def _on_cpu(bundle: Bundle) -> list[tuple[str, Variant]]:
    variants = [v for v in bundle.manifest.variants if v.fits_cpu]
    return [(name, variant) for name in registry.installed() for variant in variants]


def _prepare(
    bundle: Bundle,
    backend: str,
    variant: Variant,
    threads: int | None,
    device: int,
    allow_spinning: bool,
    *,
    trusted: bool,
) -> _Row:
    row = _Row(backend, variant.name)
    try:
        with _busy(f"preparing {_words(row)}"):
            if not registry.runs_on_gpu(backend):
                first_run(bundle, backend, variant, trusted=trusted)
            ready = registry.load(
                bundle,
                backend,
                variant,
                threads=threads,
                allow_spinning=allow_spinning,
                device=device,
            )
            segmenter = Segmenter(
                bundle, LoadOptions(backend=ready, variant=variant.name)
            )
            found = agreements(bundle, segmenter, segmenter.reset)
    except BackendError as err:
        row.rejected = str(err)
        return row
    row.agreement = min(min(sample.values()) for sample in found)
    reasons = (disagreement(bundle, sample) for sample in found)
    row.rejected = next(filter(None, reasons), None)
    if row.rejected is None:
        row.segmenter = segmenter
    return row


@contextmanager
def _busy(what: str) -> Iterator[None]:
    """A line with the elapsed time, on stderr if that is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(what, total=None)
        yield


def _time(bundle: Bundle, rows: list[_Row], rounds: int) -> None:
    programs = {
        _words(row): lambda frame, segmenter=row.segmenter: segmenter(**frame)
        for row in rows
        if row.segmenter is not None
    }
    frames: list[Frames] = [given for given, _ in bundle.samples()][:MOST_FRAMES]
    turns = progress(range(rounds), what="timing", total=rounds)
    times = time_frames(programs, frames, turns)
    for row in rows:
        if row.segmenter is not None:
            row.times = percentiles(times[_words(row)])


def _words(row: _Row) -> str:
    return f"{row.backend} {row.variant}"


def _p50(row: _Row) -> float:
    return row.times["p50"]


def _show(result: dict[str, Any]) -> None:
    made, settings = result["machine"], result["settings"]
    say(f"{made['cpu']}, {plural(made['cores'], 'core')}, {made['system']}")
    if result["gpu"] is not None:
        say(f"GPU {settings['device']}: {result['gpu']}")
    say("  ".join(f"{name} {v}" for name, v in result["versions"].items()))
    count = settings["threads"]
    threads = (
        "each backend's own number of threads" if count is None else f"threads: {count}"
    )
    if not settings["allow_spinning"]:
        threads += ", sleeping while they wait"
    say(f"{plural(settings['rounds'], 'interleaved round')}, {threads}")
    rows = []
    for row in result["rows"]:
        share = row["agreement"]
        rows.append(
            (
                row["backend"],
                row["variant"],
                "" if share is None else f"{share:.4%}",
                *(
                    "" if t is None else f"{t:.3f}"
                    for t in (row["p50_ms"], row["p90_ms"])
                ),
                "" if row["speedup"] is None else f"{row['speedup']:.2f}",
                "chosen" if row["chosen"] else row["rejected"] or "",
            )
        )
    numbers = "agreement", "p50 ms", "p90 ms", "speed-up"
    print_table(("backend", "variant", *numbers, ""), rows, right=numbers)
    if result["stored"] is None:
        say("nothing is stored: no combination gave the samples' labels")
    else:
        say(f"speed-up: over onnxruntime fp32. Stored in {result['stored']}")
