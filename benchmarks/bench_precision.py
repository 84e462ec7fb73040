"""Whole frames in float32 and INT8, beside the best pipeline of OpenVINO.

python benchmarks/bench_precision.py [--rounds 50] [--machine NAME] [--only shipped]

Camera bytes to uint8 labels at the camera's 480 x 640, one thread on one core, rounds
interleaved in one process. First the labels: those of a peer must be fuseg's with the
same variant and backend, else it is timed and listed, but not what a bar is set
against. Random weights decide by hairs, so that already bfloat16, or another runtime's
rounding of INT8, labels otherwise. The bundles are made anew, unless --keep is given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from precision_cases import NETWORKS, Network
from precision_programs import BASELINE, Program, programs
from rich.console import Console
from rich.table import Table

import fuseg
import record
from fuseg.bench import Frames, percentiles, time_frames
from fuseg.bundle import Bundle
from fuseg.dataset import metrics

# Peers resize and round elsewhere than fuseg does: edges differ a little.
LEAST_AGREEMENT = 0.98
BUNDLES = Path(__file__).parent / "precision_bundles.py"


def agreements(found: list[Program], frames: list[Frames]) -> dict[str, float]:
    """Share of each program's labels that are those of the one it must be like."""
    labels = {p.name: [p.call(frame).copy() for frame in frames] for p in found}
    return {
        p.name: float(
            np.mean(
                [
                    metrics.label_agreement(wanted, given)
                    for wanted, given in zip(
                        labels[p.like], labels[p.name], strict=True
                    )
                ]
            )
        )
        for p in found
    }


def require_classes(program: Program, frames: list[Frames]) -> None:
    """Refuse labels of nearly one class: whatever is wrong would agree with them."""
    counts = sum(np.bincount(program.call(f).ravel(), minlength=256) for f in frames)
    share = counts.max() / counts.sum()
    if share >= LEAST_AGREEMENT:
        raise SystemExit(
            f"{share:.2%} of all pixels are of one class, fewer than "
            f"{LEAST_AGREEMENT:.0%} must be: nothing is timed."
        )


def require_right(
    found: list[Program], equal: dict[str, float], *, trained: bool
) -> None:
    """Refuse to time anything beside labels that are wrong."""
    wrong = [p for p in found if equal[p.name] < LEAST_AGREEMENT]
    for program in wrong:
        if program.kind == "fuseg" and (trained or " fp32, " in program.name):
            raise SystemExit(
                f"{program.name} gives {equal[program.name]:.2%} of the labels of "
                f"{program.like}, {LEAST_AGREEMENT:.0%} must be: nothing is timed."
            )
    peers = [p for p in found if p.kind == "peer"]
    if peers and all(p in wrong for p in peers):
        raise SystemExit("no pipeline of OpenVINO gives fuseg's labels.")


def measure(network: Network, rounds: int) -> dict[str, Any]:
    """Check and time all programs of one network."""
    found = programs(network.bundle)
    bundle = Bundle.open(network.bundle)
    frames: list[Frames] = [dict(given) for given, _ in bundle.samples()]
    require_classes(found[0], frames)
    equal = agreements(found, frames)
    trained = network.checkpoint is not None
    require_right(found, equal, trained=trained)
    calls = {p.name: p.call for p in found}
    times = time_frames(calls, frames, range(rounds))
    rows = [row(p, times[p.name], equal[p.name]) for p in found]
    precisions = {v.name: v.precision for v in bundle.manifest.variants}
    return {
        "network": network.name,
        "summary": network.summary,
        "weights": "trained" if trained else "random",
        "bundle": bundle.digest,
        "int8": precisions["int8-cpu"],
        "rounds": rounds,
        "frame_shapes": {name: list(a.shape) for name, a in frames[0].items()},
        "programs": rows,
        "bars": bars(network, rows),
    }


def row(program: Program, times: list[float], equal: float) -> dict[str, Any]:
    made = {
        "name": program.name,
        "kind": program.kind,
        "like": program.like,
        "label_agreement": equal,
        "least": min(times),
        **percentiles(times),
    }
    if program.stages:
        # Without the warm-up, and without the call before each timed one.
        timed = program.stages[-2 * len(times) :][1::2]
        parts = {
            stage: [getattr(t, f"{stage}_ms") for t in timed]
            for stage in ("pack", "network", "label")
        }
        made["stages_ms"] = {s: float(np.median(v)) for s, v in parts.items()}
    return made


def bars(network: Network, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fastest fuseg beside the baseline, and beside the fastest peer.

    That one is the fastest with the right labels; if one with others is faster still,
    it is listed without a bar.
    """
    ours = fastest(rows, "fuseg", least=0)
    baseline = next(r for r in rows if r["name"] == BASELINE)
    peer = fastest(rows, "peer", least=LEAST_AGREEMENT)
    sides = [("fp32", baseline, network.over_fp32)]
    if peer is not None:
        sides.append(("peer", peer, network.over_peer))
        quickest = fastest(rows, "peer", least=0)
        if quickest is not peer:
            sides.append(("peer of other labels", quickest, None))
    return [
        {
            "than": than,
            "ours": ours["name"],
            "theirs": other["name"],
            "reached": other["p50"] / ours["p50"],
            "least": least,
            "met": None if least is None else other["p50"] / ours["p50"] >= least,
        }
        for than, other, least in sides
    ]


def fastest(rows: list[dict[str, Any]], kind: str, *, least: float) -> Any:
    """Of those with so many equal labels; None if there is none."""
    right = [r for r in rows if r["kind"] == kind and r["label_agreement"] >= least]
    return min(right, key=lambda r: r["p50"], default=None)


def show(result: dict[str, Any]) -> None:
    table = Table(
        title=f"{result['network']}: {result['summary']}\n{result['weights']} weights, "
        f"{result['rounds']} rounds, {result['int8']['float_nodes']} layers in float",
        **record.PLAIN,
    )
    table.add_column("frames to labels, ms")
    columns = ("p50", "p90", "least")
    for column in (*columns, "pack", "network", "label", "equal labels"):
        table.add_column(column, justify="right")
    for line in result["programs"]:
        stages = line.get("stages_ms", {})
        table.add_row(
            line["name"],
            *(f"{line[p]:.2f}" for p in columns),
            *(
                f"{stages[s]:.2f}" if stages else ""
                for s in ("pack", "network", "label")
            ),
            f"{line['label_agreement']:.2%}",
        )
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    for bar in result["bars"]:
        word = {True: "met   ", False: "MISSED", None: "no bar"}[bar["met"]]
        target = "" if bar["least"] is None else f", {bar['least']:g} x wanted"
        console.print(
            f"  {word} {bar['ours']}: {bar['reached']:.2f} x {bar['theirs']}{target}"
        )
    console.print()


def main() -> None:
    parser = argparse.ArgumentParser(description="Time whole frames by precision.")
    add = parser.add_argument
    add("--rounds", type=int, default=50, metavar="N")
    add("--machine", metavar="NAME", help="keep the results as those of this machine")
    add("--save", type=Path, metavar="FILE", help="keep the results in FILE")
    add("--only", default="", metavar="WORDS", help="only networks with WORDS in it")
    add("--keep", action="store_true", help="time the bundles that are there")
    add("--strict", action="store_true", help="fail if a bar was missed")
    options = parser.parse_args()
    chosen = [n for n in NETWORKS if options.only in n.name]
    if not options.keep:
        for network in chosen:
            subprocess.run([sys.executable, BUNDLES, network.name], check=True)
    os.sched_setaffinity(0, record.cores()[-1:])
    results = []
    for network in chosen:
        results.append(measure(network, options.rounds))
        show(results[-1])
    if options.machine:
        file = f"precision--{options.machine}.json"
        options.save = record.RESULTS / fuseg.__version__ / file
    if options.save:
        kept = record.short({**record.describe(), "networks": results})
        options.save.parent.mkdir(parents=True, exist_ok=True)
        options.save.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    missed = any(bar["met"] is False for r in results for bar in r["bars"])
    sys.exit(options.strict and missed)


if __name__ == "__main__":
    main()
