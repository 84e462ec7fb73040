"""What ran on GPUs, from the records of `make gpu-check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmark_tables import link

NOT_RUN = (
    "Nothing has run on a GPU yet; `make gpu-check` is ready for a machine with one."
)
FRAMES = {  # sections that time whole frames
    "onnxruntime": "ONNX Runtime",
    "tensorrt": "TensorRT",
    "tensorrt_rtx": "TensorRT for RTX",
}
CPU = "labels as fuseg on the CPU, fp32"


def gpu(results: Path) -> str:
    """Tables of every record in a folder; one sentence if there is none."""
    found = []
    for path in sorted(results.glob("gpu-check--*.json")):
        record = json.loads(path.read_text())
        if not record.get("dry run"):
            found.append(machine(record, path))
    return "\n\n".join(found) or NOT_RUN


def machine(record: dict[str, Any], path: Path) -> str:
    about = record.get("machine", {})
    who = f"{about.get('gpu', 'a GPU')}, torch {about.get('torch', 'unknown')}"
    parts = [f"{who} ({link(path)}). {states(record)}"]
    for section in FRAMES:
        entry = record.get(section, {})
        if entry.get("frames_ms"):
            parts.append("\n".join(frames(section, entry)))
        if lines := bars(entry):
            parts.append("\n".join(lines))
    if rows := record.get("times", {}).get("rows"):
        parts.append("\n".join(kernels(rows)))
    return "\n\n".join(parts)


def states(record: dict[str, Any]) -> str:
    """Which sections ran, and which failed."""
    sections = {n: s for n, s in record.items() if isinstance(s, dict)}
    failed = [name for name, section in sections.items() if "error" in section]
    fine = [n for n, s in sections.items() if not {"error", "skipped"} & s.keys()]
    shown = f"Ran: {', '.join(fine) or 'nothing'}."
    return f"{shown} **Failed: {', '.join(failed)}.**" if failed else shown


def frames(section: str, entry: dict[str, Any]) -> list[str]:
    times = {n: row for n, row in entry["frames_ms"].items() if "p50" in row}
    ours = [name for name in times if name in entry["ours"]]
    best = min((times[name]["p50"] for name in ours), default=None)
    title = FRAMES[section]
    if section != "onnxruntime":
        title += f" {entry.get('version')}"
    columns = (
        *(f"frames to labels, {title}", "p50 ms", "p90 ms", "p99 ms"),
        *("p50 / fuseg's best", "labels equal to the CPU's", "mIoU"),
    )
    lines = head(columns)
    for name, row in times.items():
        shown = f"**{name}**" if name in ours else name
        ms = " | ".join(f"{row[p]:.3f}" for p in ("p50", "p90", "p99"))
        ratio = f"{row['p50'] / best:.2f}" if best else ""
        known = entry.get(name, {})
        share, miou = (
            f"{known[key]:.{digits}f}" if key in known else ""
            for key, digits in ((CPU, 5), ("miou", 4))
        )
        lines.append(f"| {shown} | {ms} | {ratio} | {share} | {miou} |")
    return lines


def head(columns: tuple[str, ...]) -> list[str]:
    return [f"| {' | '.join(columns)} |", "|---|" + "---:|" * (len(columns) - 1)]


def bars(entry: dict[str, Any]) -> list[str]:
    rows = [
        f"| {name} | {bar['bar']} | {bar['reached']:.3g} | {bar['must be']} | "
        f"{'met' if bar['met'] else 'missed'} |"
        for name in entry.get("ours", ())
        for bar in entry.get(name, {}).get("bars", ())
    ]
    if not rows:
        return []
    return [
        "| backend | target | reached | must be | |",
        "|---|---|---:|---|---|",
        *rows,
    ]


def kernels(rows: list[dict[str, Any]]) -> list[str]:
    def times(row: dict[str, Any], key: str) -> str:
        return f"{row[key]:.2f}" if key in row else ""

    columns = (
        *("CUDA kernel, case", "us", "of a copy, cold", "speed-up over torch eager"),
        *("over torch.compile", "time / the linear form's"),
    )
    lines = head(columns)
    for row in rows:
        cells = (
            row["case"],
            f"{row['warm_us']:.1f}",
            f"{row['share_of_copy']:.0%}",
            times(row, "eager_ratio"),
            times(row, "compiled_ratio"),
            times(row, "of_linear"),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
