"""What was made of each precision, told as a table, as JSON and as a page."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from .variants import Made

if TYPE_CHECKING:
    from ..pipeline import ExportReport

__all__ = ["as_html", "as_json", "remarks", "variants_table"]

_HEAD = (
    "variant",
    "bytes",
    "mIoU",
    "worst class",
    "labels as fp32",
    "layers in float",
    "ms a run, 1 thread",
    "outcome",
)
_MOST_NAMED = 5  # layers in a sentence; the page and the JSON have all


def variants_table(variants: Sequence[Made]) -> Table:
    """One line a variant, the preferred one first."""
    table = Table(*_HEAD)
    for variant in variants:
        table.add_row(*_cells(variant))
    return table


def remarks(variants: Sequence[Made]) -> list[str]:
    """A sentence on each variant that had to be repaired, or is not all integers."""
    found = []
    for made in variants:
        if made.in_float:
            found.append(
                f"{made.name}: {len(made.in_float)} quantized layers run in float on "
                f"ONNX Runtime nevertheless ({', '.join(made.in_float[:_MOST_NAMED])})"
            )
        if made.repair is None or not made.repair.kept:
            continue
        kept, naive = made.repair.kept, made.repair.naive
        more = len(kept) - _MOST_NAMED
        named = ", ".join(kept[:_MOST_NAMED]) + (
            f" and {more} more" if more > 0 else ""
        )
        found.append(
            f"{made.name}: {len(kept)} of {len(made.repair.sensitivity)} layers stay "
            f"in float ({named}); all in INT8, {naive.agreement:.4f} of the labels of "
            "the calibration frames were fp32's"
        )
    return found


def as_json(made: Made) -> dict[str, Any]:
    """All that is known of a variant, in plain values."""
    verdict, repair = made.verdict, made.repair
    return {
        "name": made.name,
        "for": list(made.targets),
        "precision": made.precision,
        "bytes": made.model.ByteSize(),
        "in_bundle": made.refused is None,
        "refused": made.refused,
        "ms": made.times,
        "frames": None if verdict is None else verdict.frames,
        "label_agreement": None if verdict is None else verdict.agreement,
        "miou": None if verdict is None else verdict.miou,
        "miou_drop": None if verdict is None else verdict.miou_drop,
        "miou_drop_interval": (
            None
            if verdict is None or verdict.interval is None
            else list(verdict.interval)
        ),
        "worst_class": None if verdict is None else verdict.worst_class,
        "worst_class_drop": None if verdict is None else verdict.worst_drop,
        "float_nodes": [] if repair is None else list(repair.kept),
        "in_float_nevertheless": list(made.in_float),
        "sensitivity": {} if repair is None else repair.sensitivity,
        "unrepaired_agreement": None if repair is None else repair.naive.agreement,
    }


def as_html(report: ExportReport) -> str:
    """A page that needs no other file: the table, the layers, and the worst frames."""
    head = "".join(f"<th>{cell}</th>" for cell in _HEAD)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in _cells(made)) + "</tr>\n"
        for made in report.variants
    )
    parts = [_section(made) for made in report.variants if made.verdict is not None]
    name = html.escape(report.bundle.name)
    return (
        f"<!doctype html><meta charset=utf-8><title>{name}</title>\n"
        "<style>body{font:15px sans-serif;margin:2em;max-width:75em}"
        "td,th{padding:.2em .8em;text-align:left}img{display:block;max-width:100%}"
        "</style>\n"
        f"<h1>{name}</h1><p>sha256 {report.digest}</p>\n"
        f"<table><tr>{head}</tr>\n{rows}</table>\n{''.join(parts)}"
    )


def _cells(made: Made) -> list[str]:
    verdict = made.verdict
    cells = [made.name, f"{made.model.ByteSize():,}"]
    if verdict is None:
        cells += ["", "", ""]
    else:
        cells += [
            _miou(made),
            ""
            if verdict.worst_class is None
            else f"{verdict.worst_class} {-(verdict.worst_drop or 0):+.4f}",
            f"{verdict.agreement:.5f}",
        ]
    cells.append("" if made.repair is None else str(len(made.repair.kept)))
    cells.append(", ".join(f"{name} {ms:.2f}" for name, ms in made.times.items()))
    cells.append(
        "in the bundle" if made.refused is None else f"refused: {made.refused}"
    )
    return cells


def _miou(made: Made) -> str:
    verdict = made.verdict
    if verdict is None or verdict.miou is None or verdict.miou_drop is None:
        return ""
    low, high = verdict.interval or (0.0, 0.0)
    drop = f"{-verdict.miou_drop:+.4f}, 95 %: {-high:+.4f} to {-low:+.4f}"
    return f"{verdict.miou:.4f} ({drop})"


def _section(made: Made) -> str:
    parts = [f"<h2>{html.escape(made.name)}</h2>\n"]
    if made.repair is not None and made.repair.sensitivity:
        layers = "".join(
            f"<tr><td>{html.escape(node)}</td><td>{changed:.5f}</td>"
            f"<td>{'float' if node in made.repair.kept else 'int8'}</td></tr>\n"
            for node, changed in made.repair.sensitivity.items()
        )
        parts.append(
            "<details><summary>share of labels that each layer changes, alone in INT8"
            f"</summary><table>{layers}</table></details>\n"
        )
    if made.pictures:
        parts.append(
            "<p>Frames that agree least: camera, fp32, this variant, and in white the "
            "pixels that differ.</p>\n"
        )
    for picture in made.pictures:
        data = base64.b64encode(picture).decode()
        parts.append(f'<img src="data:image/png;base64,{data}">\n')
    return "".join(parts)
