"""The README's headline and the tables of docs/benchmarks.md, from records."""

from __future__ import annotations

import json
from itertools import starmap
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

HEADLINE = "precision--intel-xeon-emerald-rapids-2vcpu"


def headline(results: Path) -> str:
    """The shipped network in its fastest form, as a ratio to OpenVINO's pipeline."""
    result = json.loads((results / f"{HEADLINE}.json").read_text())
    network = result["networks"][0]
    rows = {row["name"]: row for row in network["programs"]}
    bar = next(bar for bar in network["bars"] if bar["than"] == "peer")
    ours, theirs = rows[bar["ours"]]["p50"], rows[bar["theirs"]]["p50"]
    recipe = next(r["p50"] for r in rows.values() if r["kind"] == "recipe")
    height, width = next(iter(network["frame_shapes"].values()))[:2]
    kind = "INT8" if "int8" in bar["theirs"] else "BF16"
    cpu = result["machine"]["cpu"].replace("(R)", "")
    words = (
        f"On one thread of an {cpu}, a {height} x {width} RGB-D frame becomes labels "
        f"**{bar['reached']:.1f} times as fast as with OpenVINO's own pipeline**: "
        f"{ours:.1f} ms in INT8 against {theirs:.1f} ms in {kind}, its fastest. "
        f"OpenCV + NumPy + ONNX Runtime takes {recipe:.1f} ms in float32. [All "
        "benchmarks](docs/benchmarks.md) include the targets that were missed."
    )
    return fill(words, 88)


def link(path: Path) -> str:
    """The record that a table was made from, as a link of docs/benchmarks.md."""
    root = path.parents[3]
    return f"[record](../{path.relative_to(root).as_posix()})"


def whole_frames(results: Path) -> str:
    """One table per record of `fuseg bench`."""
    return "\n\n".join(map(frames, sorted(results.glob("bench--*.json"))))


def frames(path: Path) -> str:
    result = json.loads(path.read_text())
    threads = result["settings"]["threads"]
    versions = result["versions"]
    around = result["pre_post"]
    sizes = {
        shape[0]: shape[1] for shape in result["settings"]["frame_shapes"].values()
    }
    setting = (
        f"{result['machine']['cpu']}, {threads} thread{'s' if threads > 1 else ''}, "
        f"frames of {' and '.join(f'{h} x {w}' for h, w in sizes.items())}, "
        f"onnxruntime {versions['onnxruntime']}, torch {versions['torch']} "
        f"({link(path)}):"
    )
    lines = [
        setting,
        "",
        "| frames to labels | p50 ms | p90 ms | p99 ms | p50 / fuseg |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in {"**fuseg**": result["total_ms"], **result["peers"]}.items():
        if "p50" in row:
            times = " | ".join(f"{row[p]:.2f}" for p in ("p50", "p90", "p99"))
            ratio = row["p50"] / result["total_ms"]["p50"]
            lines.append(f"| {name} | {times} | {ratio:.2f} |")
    rest = (
        f"Pre- and post-processing alone: fuseg {around['fuseg_ms']:.2f} ms, the usual "
        f"recipe {around['recipe_ms']:.2f} ms ({around['ratio']:.1f} times as long)."
    )
    return "\n".join([*lines, "", rest])


def kernels(results: Path) -> str:
    """One table per machine; its lines are the cases that have bars."""
    machines: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(results.glob("bench_*--*.json")):
        result = json.loads(path.read_text())
        if "runs" in result:
            kernel, machine = path.stem.removeprefix("bench_").split("--", 1)
            machines.setdefault(machine, []).append(result | {"kernel": kernel})
    return "\n\n".join(starmap(kernel_table, machines.items()))


def kernel_table(machine: str, results: list[dict[str, Any]]) -> str:
    lines = [
        f"{machine}, one thread; `met` counts the runs that reached the target:",
        "",
        "| kernel, case | us | of warm, cold floor | speed-up (target) | met |",
        "|---|---:|---:|---|---:|",
    ]
    for result in results:
        for case in dict.fromkeys(row["case"] for row in result["runs"][0]):
            rows = [[r for r in run if r["case"] == case] for run in result["runs"]]
            if any(row["bars"] for row in rows[0]):
                lines.append(f"| {result['kernel']}, {kernel_line(case, rows)} |")
    return "\n".join(lines)


def kernel_line(case: str, runs: list[list[dict[str, Any]]]) -> str:
    def middle(name: str, field: str) -> float:
        return median(r[field] for run in runs for r in run if r["name"] == name)

    ours = runs[0][0]["name"]
    floors = middle(ours, "floor_share"), middle("ours, cold", "floor_share")
    bars: dict[tuple[str, str, float], list[dict[str, Any]]] = {}
    for row in (row for run in runs for row in run):
        for bar in row["bars"]:
            key = row["name"], bar["than"], bar["least"]
            bars.setdefault(key, []).append(bar)
    words, met = [], []
    for (name, *_), tried in bars.items():
        worst = min(tried, key=lambda bar: bar["reached"])
        who = "" if name == ours else f"{name}: "
        value = median(bar["reached"] for bar in tried)
        words.append(f"{who}{value:.3g} ({worst['words']})")
        met.append(f"{sum(bar['met'] for bar in tried)}/{len(tried)}")
    cells = (
        case,
        f"{middle(ours, 'median_us'):.0f}",
        ", ".join(f"{floor:.0%}" for floor in floors),
        "; ".join(words),
        ", ".join(met),
    )
    return " | ".join(cells)


def precision(results: Path) -> str:
    """One table per machine: a line a network, its best programs in it."""
    return "\n\n".join(map(precision_table, sorted(results.glob("precision--*.json"))))


def precision_table(path: Path) -> str:
    result = json.loads(path.read_text())
    versions = result["versions"]
    setting = (
        f"{result['machine']['cpu']}, 1 thread, frames of 480 x 640, onnxruntime "
        f"{versions['onnxruntime']}, openvino {versions['openvino']} "
        f"({link(path)}), p50 / p90 ms:"
    )
    columns = (
        "network",
        "fuseg, fp32 on ONNX Runtime",
        "fuseg, fastest",
        "OpenVINO's pipeline, fastest",
        "usual recipe, fp32",
        "speed-up (target)",
    )
    lines = [setting, "", f"| {' | '.join(columns)} |", "|---|---:|---:|---:|---:|---|"]
    return "\n".join([*lines, *map(precision_line, result["networks"])])


def precision_line(network: dict[str, Any]) -> str:
    rows = {row["name"]: row for row in network["programs"]}
    over = {bar["than"]: bar for bar in network["bars"]}
    recipes = [row for row in rows.values() if row["kind"] == "recipe"]
    entries: list[tuple[dict[str, Any], str] | None] = [
        (rows[over["fp32"]["theirs"]], ""),
        (rows[over["fp32"]["ours"]], "fuseg "),
        (rows[over["peer"]["theirs"]], "OpenVINO ") if "peer" in over else None,
        (recipes[0], "") if recipes else None,
    ]
    cells = [f"{network['summary']}; {network['weights']} weights"]
    for entry in entries:
        if entry is None:
            cells.append("absent")
            continue
        row, whose = entry
        words = f" ({row['name'].removeprefix(whose)})" if whose else ""
        cells.append(f"{row['p50']:.1f} / {row['p90']:.1f}{words}")
    cells.append("; ".join(precision_bar(bar, rows) for bar in network["bars"]))
    return f"| {' | '.join(cells)} |"


def precision_bar(bar: dict[str, Any], rows: dict[str, Any]) -> str:
    theirs = rows[bar["theirs"]]
    than = {"fp32": "fp32", "peer": "OpenVINO's pipeline"}.get(
        bar["than"],
        f"{theirs['name']}, which gives {theirs['label_agreement']:.0%} of the labels",
    )
    if bar["least"] is None:
        return f"{bar['reached']:.2f} x {than} (no target)"
    missed = "" if bar["met"] else ", missed"
    return f"{bar['reached']:.2f} x {than} ({bar['least']:g}{missed})"
