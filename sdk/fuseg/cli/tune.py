"""``fuseg tune``: which engine and variant are the fastest here, for `fuseg.load`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.table import Table

from .. import backends, machine, tuning
from ..bundle import Bundle
from ..choice import LEAST_AGREEMENT, agreements
from ..errors import ArgumentError, BackendError
from ..manifest import Variant
from ..segmenter import Segmenter
from .options import BundleArgument, JsonOption, ThreadsOption
from .printing import plural, print_json, print_table, progress
from .rounds import Frames, interleave, percentiles

WARMUP = 3
PAUSE_S = 0.06
MOST_FRAMES = 16


@dataclass
class _Row:
    """One engine with one variant: a Segmenter to time, or why there is none."""

    backend: str
    variant: str
    segmenter: Segmenter | None = None
    label_agreement: float | None = None
    rejected: str | None = None
    times: dict[str, float] = field(default_factory=dict)

    def as_json(self, baseline: float | None, chosen: _Row | None) -> dict[str, Any]:
        p50 = self.times.get("p50")
        return {
            "backend": self.backend,
            "variant": self.variant,
            "label_agreement": self.label_agreement,
            "p50_ms": p50,
            "p90_ms": self.times.get("p90"),
            "speedup": baseline / p50 if baseline and p50 else None,
            "rejected": self.rejected,
            "chosen": self is chosen,
        }


def tune(
    bundle: BundleArgument,
    threads: ThreadsOption = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Timed calls of each engine and variant.")
    ] = 30,
    json: JsonOption = False,
) -> None:
    """Time every installed engine with every variant, and remember the fastest.

    fuseg.load and the other commands then take it for this bundle, on this CPU, with
    as many threads. Only what gives the labels of the bundle's samples is timed.
    Exits with 1 if nothing does.
    """
    opened = Bundle.open(bundle)
    variants = [v for v in opened.manifest.variants if v.fits_cpu]
    if not opened.manifest.samples or not variants:
        lacks = "variants for a CPU" if opened.manifest.samples else "sample frames"
        raise ArgumentError(f"{bundle} must hold {lacks} to tune with, got none.")
    rows = [
        _prepare(opened, name, variant, threads)
        for name in backends.installed()
        for variant in variants
    ]
    _time(opened, rows, rounds)
    timed = [row for row in rows if row.times]
    chosen = min(timed, key=_p50, default=None)
    baseline = next((_p50(r) for r in timed if _words(r) == "onnxruntime fp32"), None)
    path = None
    if chosen is not None:
        path = tuning.store(
            opened.digest,
            threads,
            [tuning.Measured(r.backend, r.variant, _p50(r)) for r in timed],
        )
    result = {
        "bundle": str(bundle),
        "digest": opened.digest,
        "machine": machine.describe(),
        "versions": tuning.versions(),
        "settings": {
            "threads": threads,
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


def _prepare(
    bundle: Bundle, backend: str, variant: Variant, threads: int | None
) -> _Row:
    row = _Row(backend, variant.name)
    try:
        network = bundle.read(variant.file)
        engine = backends.create(backend, network, threads=threads)
        segmenter = Segmenter(bundle, backend=engine, variant=variant.name)
        row.label_agreement = min(agreements(bundle, segmenter))
    except BackendError as err:
        row.rejected = str(err)
        return row
    if row.label_agreement < LEAST_AGREEMENT:
        row.rejected = (
            f"{row.label_agreement:.6f} of the labels of a sample agree, "
            f"{LEAST_AGREEMENT} must."
        )
    else:
        row.segmenter = segmenter
    return row


def _time(bundle: Bundle, rows: list[_Row], rounds: int) -> None:
    programs = {
        _words(row): lambda frame, segmenter=row.segmenter: segmenter(**frame)
        for row in rows
        if row.segmenter is not None
    }
    frames: list[Frames] = [given for given, _ in bundle.samples()][:MOST_FRAMES]
    interleave(programs, frames, range(WARMUP))
    turns = progress(range(rounds), what="timing", total=rounds)
    times = interleave(programs, frames, turns, pause_s=PAUSE_S)
    for row in rows:
        if row.segmenter is not None:
            row.times = percentiles(times[_words(row)])


def _words(row: _Row) -> str:
    return f"{row.backend} {row.variant}"


def _p50(row: _Row) -> float:
    return row.times["p50"]


def _show(result: dict[str, Any]) -> None:
    made, settings = result["machine"], result["settings"]
    print(f"{made['cpu']}, {plural(made['cores'], 'core')}, {made['system']}")
    print("  ".join(f"{name} {v}" for name, v in result["versions"].items()))
    count = settings["threads"]
    threads = "threads as each engine chooses" if count is None else f"threads: {count}"
    print(f"{plural(settings['rounds'], 'interleaved round')}, {threads}")
    table = Table("engine", "variant")
    for name in ("equal labels", "p50 ms", "p90 ms", "times as fast as fp32"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in result["rows"]:
        share = row["label_agreement"]
        table.add_row(
            row["backend"],
            row["variant"],
            "" if share is None else f"{share:.4%}",
            *("" if row[k] is None else f"{row[k]:.3f}" for k in ("p50_ms", "p90_ms")),
            "" if row["speedup"] is None else f"{row['speedup']:.2f}",
            "chosen" if row["chosen"] else row["rejected"] or "",
        )
    print_table(table)
    if result["stored"] is None:
        print("nothing is stored: nothing gave the labels of the samples")
    else:
        print(f"times as fast: as onnxruntime fp32. Stored in {result['stored']}")
