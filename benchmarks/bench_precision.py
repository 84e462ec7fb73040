"""Whole frames in float32 and INT8, beside the best pipeline of OpenVINO.

python benchmarks/bench_precision.py [--rounds 50] [--machine NAME] [--only shipped]

Camera bytes to uint8 labels at the camera's 480 x 640, one thread on one core, rounds
interleaved in one process. Every program must first give the labels that fuseg gives
with the same variant. Of random weights that can be asked only of the same arithmetic:
they decide by hairs, so that bfloat16, or another engine's rounding, labels otherwise.
The bundles are made anew, unless --keep is given.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from precision_cases import NETWORKS, Network
from rich.console import Console
from rich.table import Table

import fuseg
import record
from fuseg import Segmenter, backends, metrics
from fuseg.bundle import Bundle
from fuseg.cli import training_half
from fuseg.cli.rounds import Frames, interleave, percentiles

BASELINE = "fuseg fp32, onnxruntime"
WARMUP = 3
PAUSE_S = 0.02
# Peers resize and round in other places than fuseg does: edges differ a little.
LEAST_AGREEMENT = 0.98
BUNDLES = Path(__file__).parent / "precision_bundles.py"


@dataclass(frozen=True)
class Program:
    """One way from frames to labels.

    Attributes:
        kind: "fuseg", "peer", or "recipe", which is told of and has no bar.
        like: Name of the program whose labels it must give.
        same: Whether it rounds as that one does.
        stages: Of fuseg: where each call leaves its Timing.
    """

    name: str
    kind: str
    call: Callable[[Frames], NDArray[np.uint8]]
    like: str
    same: bool = True
    stages: list[Any] = field(default_factory=list)


def programs(path: Path) -> list[Program]:
    """All that is installed here, fuseg's baseline first."""
    bundle = Bundle.open(path)
    manifest = bundle.manifest
    variants = [v for v in manifest.variants if v.name in ("fp32", "int8-cpu")]
    found = [
        fuseg_program(bundle, variant.name, engine)
        for variant in sorted(variants, key=lambda v: v.name)
        for engine in backends.installed()
    ]
    if "openvino" in backends.installed():
        found += [p for v in variants for p in openvino_programs(bundle, v)]
    recipe = training_half.load("bench-peers")(
        path, threads=1, torch_target=None, checkpoint=None
    )[0]
    if recipe.call is not None:
        found.append(Program(f"{recipe.name}, fp32", "recipe", recipe.call, BASELINE))
    return found


def fuseg_program(bundle: Bundle, variant: str, engine: str) -> Program:
    (member,) = (v.file for v in bundle.manifest.variants if v.name == variant)
    backend = backends.create(engine, bundle.read(member), threads=1)
    # An engine of one's own is taken as it is: random weights pass no replay.
    segmenter = Segmenter(bundle, backend=backend, variant=variant)
    stages: list[Any] = []

    def call(frames: Frames) -> NDArray[np.uint8]:
        result = segmenter(**frames)
        stages.append(result.timing)
        return result.labels

    name = f"fuseg {variant}, {engine}"
    like = f"fuseg {variant}, onnxruntime"
    same = name == like or variant == "fp32"
    return Program(name, "fuseg", call, like, same, stages)


def openvino_programs(bundle: Bundle, variant: Any) -> list[Program]:
    """The same graph in OpenVINO's own pipeline, in every way that may be the best."""
    import precision_peers

    frames, _ = next(iter(bundle.samples()))
    (output,) = bundle.manifest.outputs
    camera = next(iter(frames.values())).shape[:2]
    ways = {True: "scores to the camera's size"}
    if camera != output.tail.size:
        ways[False] = "labels to the camera's size"
    return [
        Program(
            f"OpenVINO {variant.name}, {precision}, {way}",
            "peer",
            precision_peers.whole_pipeline(
                bundle.read(variant.file),
                bundle.manifest.inputs,
                output,
                frames,
                direct=direct,
                precision=precision,
            ),
            f"fuseg {variant.name}, openvino",
            precision == "f32",
        )
        for direct, way in ways.items()
        for precision in ("f32", "bf16")
    ]


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


def measure(network: Network, rounds: int) -> dict[str, Any]:
    """Check and time all programs of one network."""
    found = programs(network.bundle)
    bundle = Bundle.open(network.bundle)
    frames: list[Frames] = [dict(given) for given, _ in bundle.samples()]
    equal = agreements(found, frames)
    trained = network.checkpoint is not None
    for program in found:
        least = LEAST_AGREEMENT if program.same or trained else 0
        if equal[program.name] < least:
            raise SystemExit(
                f"{network.name}: {program.name} gives {equal[program.name]:.2%} of "
                f"the labels of {program.like}, {least:.0%} must be: nothing is timed."
            )
    calls = {p.name: p.call for p in found}
    interleave(calls, frames, range(WARMUP))
    for program in found:
        program.stages.clear()
    times = interleave(calls, frames, range(rounds), pause_s=PAUSE_S)
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
        timed = program.stages[1::2]  # without the call before each
        parts = {
            stage: [getattr(t, f"{stage}_ms") for t in timed]
            for stage in ("pack", "engine", "label")
        }
        made["stages_ms"] = {s: float(np.median(v)) for s, v in parts.items()}
    return made


def bars(network: Network, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fastest fuseg beside the baseline, and beside the fastest peer."""
    ours = fastest(rows, "fuseg")
    sides = {
        "fp32": (next(r for r in rows if r["name"] == BASELINE), network.over_fp32),
        "peer": (fastest(rows, "peer"), network.over_peer),
    }
    made = []
    for than, (other, least) in sides.items():
        if ours is None or other is None:
            continue
        reached = other["p50"] / ours["p50"]
        made.append(
            {
                "than": than,
                "ours": ours["name"],
                "theirs": other["name"],
                "reached": reached,
                "least": least,
                "met": None if least is None else reached >= least,
            }
        )
    return made


def fastest(rows: list[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    timed = [r for r in rows if r["kind"] == kind]
    return min(timed, key=lambda r: r["p50"], default=None)


def show(result: dict[str, Any]) -> None:
    table = Table(
        title=f"{result['network']}: {result['summary']}\n{result['weights']} weights, "
        f"{result['rounds']} rounds, {result['int8']['float_nodes']} layers in float",
        **record.PLAIN,
    )
    table.add_column("frames to labels, ms")
    columns = ("p50", "p90", "least")
    for column in (*columns, "pack", "engine", "label", "equal labels"):
        table.add_column(column, justify="right")
    for line in result["programs"]:
        stages = line.get("stages_ms", {})
        table.add_row(
            line["name"],
            *(f"{line[p]:.2f}" for p in columns),
            *(
                f"{stages[s]:.2f}" if stages else ""
                for s in ("pack", "engine", "label")
            ),
            f"{line['label_agreement']:.2%}",
        )
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    for bar in result["bars"]:
        word = {True: "met   ", False: "MISSED", None: "no bar"}[bar["met"]]
        asked = "" if bar["least"] is None else f", {bar['least']:g} x asked"
        console.print(
            f"  {word} {bar['ours']}: {bar['reached']:.2f} x {bar['theirs']}{asked}"
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
