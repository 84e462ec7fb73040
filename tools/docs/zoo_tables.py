"""The reference models, measured: from the record that `make zoo` leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

RECORD = "zoo.json"
UNMEASURED = "Not measured yet: `make zoo` writes this table."


class Page(NamedTuple):
    """What a page of docs/models shows: rows of families, pictures of some rows."""

    families: tuple[str, ...]
    pictures: tuple[str, ...]


PAGES = {
    "fusion": Page(("fusion",), ("gated-middle",)),
    "several-sensors": Page(
        ("three sensors", "LiDAR"), ("hot-rgb-depth-thermal", "kinds-rgb-range")
    ),
    "text": Page(("text", "caption"), ("text", "caption")),
    "sound": Page(("sound",), ("sound",)),
    "video": Page(("video",), ("video",)),
    "multitask": Page(("multitask", "domains"), ("multitask", "domains")),
    "compression": Page(("compressed",), ("thinned-50",)),
    "one-sensor": Page(
        ("classical", "attention", "pretrained", "classification"), ("deeplab",)
    ),
}
MODEL = ("model", "metric", "held against", "parameters", "GMACs")
FEW = ("bundle", "p50", "FP16", "INT8")
ALL = ("gate", "bundle", "p50", "FP16", "INT8, CPU", "INT8, TensorRT")
BUILDER = "TensorRT's builder"
NUMBERS = ("metric", "parameters", "GMACs", "gate", "bundle", "p50")

Row = Mapping[str, Any]
Rows = Mapping[str, Row]


def zoo(results: Path, page: Path) -> str:
    """A line for each model, with all that was measured."""
    rows = read(results)
    if not rows:
        return UNMEASURED
    lines = [[*start(row, rows), *measured(row)] for row in shown(rows)]
    return f"{source(results, page)}\n\n{table((*MODEL, *ALL, BUILDER), lines)}"


def family(results: Path, page: Path) -> str:
    """The families of a page, with what most ask for, and its pictures."""
    families, pictures = PAGES[page.stem]
    rows = read(results)
    if not rows:
        return UNMEASURED
    chosen = [row for row in shown(rows) if family_of(row) in families]
    lines = [[*start(row, rows), *briefly(row)] for row in chosen]
    drawn = [
        f"![`{row}`: what it saw, and what it said](pictures/{row}.png)"
        for row in pictures
        if (page.parent / "pictures" / f"{row}.png").exists()
    ]
    parts = (source(results, page), table((*MODEL, *FEW), lines), *drawn)
    return "\n\n".join(parts)


def read(results: Path) -> dict[str, Row]:
    path = results / RECORD
    if not path.exists():
        return {}
    return {row["row"]: row for row in json.loads(path.read_text())["rows"]}


def source(results: Path, page: Path) -> str:
    link = Path(os.path.relpath(results / RECORD, page.parent)).as_posix()
    return f"From a [record]({link}); a margin that was missed says what was wanted:"


def table(head: tuple[str, ...], lines: list[list[str]]) -> str:
    rule = ["---:" if name in NUMBERS else "---" for name in head]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, rule, *lines))


def family_of(row: Row) -> str:
    """Its model's; of a trained network that was trained on, the smaller ones'."""
    return "compressed" if "before" in row else str(row["family"])


def shown(rows: Rows) -> list[Row]:
    """Those that are systems of their own; a baseline is what they are held against."""
    return [row for row in rows.values() if "export" in row or "refused" in row]


def start(row: Row, rows: Rows) -> list[str]:
    name, model = row["row"], row["model"]
    return [
        f"`{name}`" if name == model else f"`{name}`, of `{model}`",
        "; ".join(value(row, key) for key in (row["metric"], *row["also"])),
        "; ".join(held(row, rows)),
        f"{row['parameters']:,}",
        f"{row['multiply_adds'] / 1e9:.3f}",
    ]


def measured(row: Row) -> list[str]:
    if "refused" in row:
        return [f"refused: {row['refused']}", *[""] * len(ALL)]
    variants = row["variants"]
    return [
        f"{min(row['export'].values()):.5f}",
        *size_and_time(row),
        *(drop(variants, name) for name in ("fp16", "int8-cpu", "int8-trt")),
        built(variants),
    ]


def built(variants: Mapping[str, Any]) -> str:
    """What NVIDIA's builder makes of the variants, or why it refuses one."""
    said = {v["tensorrt"] for v in variants.values() if v["tensorrt"]}
    refusals = sorted(words for words in said if not words.endswith(" kernels"))
    kernels = sorted(int(words.split()[0]) for words in said - {*refusals})
    if not said:
        return "not installed"
    counts = [f"{'-'.join(map(str, sorted({*kernels[:1], *kernels[-1:]})))} kernels"]
    return "; ".join([*refusals, *(counts if kernels else [])])


def briefly(row: Row) -> list[str]:
    if "refused" in row:
        return ["refused", *[""] * (len(FEW) - 1)]
    names = ("fp16", "int8-cpu")
    return [*size_and_time(row), *(drop(row["variants"], n, brief=True) for n in names)]


def size_and_time(row: Row) -> tuple[str, str]:
    return f"{row['bytes'] / 1e6:.2f} MB", f"{row['p50_ms']:.2f} ms"


def value(row: Row, metric: str) -> str:
    """A number, and what it was before training if that was measured."""
    words = f"{metric.replace('_', ' ')} {row['test'][metric]:.3f}"
    before = row.get("before")
    return words if before is None else f"{words} (before {before[metric]:.3f})"


def held(row: Row, rows: Rows) -> Iterator[str]:
    """What the row is held against; a margin that was missed is said."""
    for name, margin in row["beats"].items():
        other = baseline(row, name, rows)
        beaten, _, key = name.partition(":")
        own = row["test"].get(key, row["test"][row["metric"]])
        missed = "" if own >= other + margin else f", **wanted {margin:+.2f}**"
        words = " ".join((beaten, *([key] if key else []))).replace("_", " ")
        yield f"{words} {other:.3f}{missed}"


def baseline(row: Row, name: str, rows: Rows) -> float:
    """Of another row, or among the row's own numbers; see `zoo.row.Row`."""
    other, _, key = name.partition(":")
    if other in rows:
        return float(rows[other]["test"][key or row["metric"]])
    return float(row["test"][name])


def drop(variants: Mapping[str, Any], name: str, *, brief: bool = False) -> str:
    """What a variant loses; one that is over its budget is shown as that."""
    found = variants.get(name)
    if found is None:
        return "none"
    worst = min(found["outputs"].values(), key=lambda output: output["agreement"])
    lost = [o["miou_drop"] for o in found["outputs"].values()]
    losses = [f"{0 - round(v, 4):+.4f}" for v in lost if v is not None][:1]
    alike = f"{worst['agreement']:.4f} alike"
    words = ", ".join(losses or [alike]) if brief else ", ".join([*losses, alike])
    if not found["refused"]:
        return words
    why = found["refused"].partition(":")[0] if brief else found["refused"]
    return f"{words}; left out: {why}"
