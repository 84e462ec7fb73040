"""The reference models, measured: from the record that `make zoo` leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark_tables import link

RECORD = "zoo.json"
HEAD = (
    "| model | metric | held against | parameters | GMACs | gate | bundle | p50 | FP16 "
    "| INT8, CPU | INT8, TensorRT | TensorRT's builder |\n"
    "|---|---:|---|---:|---:|---:|---:|---:|---|---|---|---|"
)

Rows = Mapping[str, Mapping[str, Any]]


def zoo(results: Path, family: str | None = None) -> str:
    """A row for each model, of one family or of all of them."""
    path = results / RECORD
    if not path.exists():
        return "Not measured yet: `make zoo` writes this table."
    rows = {row["row"]: row for row in json.loads(path.read_text())["rows"]}
    chosen = [r for r in rows.values() if family in (None, r["family"])]
    lines = [line(row, rows) for row in chosen if "export" in row or "refused" in row]
    return "\n".join([f"From a {link(path)}:", "", HEAD, *lines])


def line(row: Mapping[str, Any], rows: Rows) -> str:
    against = "; ".join(held(row, rows))
    shown = ", ".join(value(row, key) for key in (row["metric"], *row["also"]))
    start = (
        f"| {row['model']} | {shown} | {against} "
        f"| {row['parameters']:,} | {row['multiply_adds'] / 1e9:.3f} "
    )
    if "refused" in row:
        return f"{start}| refused: {row['refused']} | | | | | | |"
    variants = row["variants"]
    builder = {v["tensorrt"] for v in variants.values() if v["tensorrt"]}
    return (
        f"{start}| {min(row['export'].values()):.5f} | {row['bytes'] / 1e6:.2f} MB "
        f"| {row['p50_ms']:.2f} ms | {drop(variants, 'fp16')} "
        f"| {drop(variants, 'int8-cpu')} | {drop(variants, 'int8-trt')} "
        f"| {'; '.join(sorted(builder)) or 'not installed'} |"
    )


def value(row: Mapping[str, Any], metric: str) -> str:
    """A number, and what it was before training if that was measured."""
    words = f"{metric.replace('_', ' ')} {row['test'][metric]:.3f}"
    before = row.get("before")
    return words if before is None else f"{words} (before {before[metric]:.3f})"


def held(row: Mapping[str, Any], rows: Rows) -> Iterator[str]:
    """What the row is held against; a margin that was missed is said."""
    for name, margin in row["beats"].items():
        other = baseline(row, name, rows)
        _, _, key = name.partition(":")
        own = row["test"].get(key, row["test"][row["metric"]])
        missed = "" if own >= other + margin else f", wanted {margin:+.2f}"
        yield f"{name.replace('_', ' ')} {other:.3f}{missed}"


def baseline(row: Mapping[str, Any], name: str, rows: Rows) -> float:
    """Of another row, or among the row's own numbers; see `zoo.row.Row`."""
    other, _, key = name.partition(":")
    if other in rows:
        return float(rows[other]["test"][key or row["metric"]])
    return float(row["test"][name])


def drop(variants: Mapping[str, Any], name: str) -> str:
    """What a variant loses; one that is over its budget is shown as that."""
    found = variants.get(name)
    if found is None:
        return "none"
    worst = min(found["outputs"].values(), key=lambda output: output["agreement"])
    lost = [o["miou_drop"] for o in found["outputs"].values()]
    losses = [f"{-value:+.4f}" for value in lost if value is not None][:1]
    words = ", ".join([*losses, f"{worst['agreement']:.4f} alike"])
    return f"{words}; left out: {found['refused']}" if found["refused"] else words
