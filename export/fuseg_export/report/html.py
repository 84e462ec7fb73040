"""The HTML report of an export: one file, to be handed on."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fuseg.cli.printing import plural
from fuseg.cli.robustness_table import refusals, spoilt_rows, subset_rows
from fuseg.host import cpu
from fuseg.manifest import image_inputs

from ..precision.built_variant import BuiltVariant
from .pictures import DrawnFrame, Pane
from .tables import (
    class_rows,
    remarks,
    score_words,
    stage_rows,
    variant_rows,
)

if TYPE_CHECKING:
    from ..pipeline import ExportReport

__all__ = ["as_html"]

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1b1b1b;max-width:76em;margin:0 auto;
padding:1em 1.2em;overflow-wrap:anywhere}
h1{margin:.3em 0 0}h2{margin:1.6em 0 .4em;border-bottom:1px solid #ccc}
h3{margin:1em 0 .3em}.scroll{overflow-x:auto}
table{border-collapse:collapse;overflow-wrap:normal}
td,th{padding:.25em .8em .25em 0;text-align:left;vertical-align:top;
border-bottom:1px solid #eee}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1em;margin:.6em 0}
dt{color:#666}dd{margin:0}
.panes{display:grid;gap:.6em;grid-template-columns:repeat(auto-fill,minmax(13em,1fr))}
figure{margin:0}img{display:block;width:100%;height:auto;border:1px solid #ccc}
figcaption{color:#444}.swatch{display:inline-block;width:.9em;height:.9em;
border:1px solid #444;margin-right:.35em;vertical-align:-.1em}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2em 1.2em}
"""


def as_html(report: ExportReport) -> str:
    """A page that needs no other file and runs no script.

    It says what was exported, of what and where; how the stages and variants compare;
    how each class scores and what the scores leave out, where the truth is known; and
    shows frames with their labels. Times and the date aside, the same export gives the
    same page on the same machine; ``SOURCE_DATE_EPOCH`` sets the date.
    """
    name = html.escape(report.manifest.name)
    parts = [
        f"<h1>{name}</h1>\n<p>exported by fuseg on {_today()}</p>\n",
        _facts(report),
        _section("Stages", _table(*stage_rows(report.stages))),
        _section("Variants", _table(*variant_rows(report.variants))),
        _classes(report),
        _robustness(report),
        _frames(report),
        _list("Warnings", report.warnings),
        _list("Notes", [*report.notes, *remarks(report.variants)]),
        *(_layers(variant) for variant in report.variants),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
        f"<title>{name}: fuseg export</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{''.join(parts)}</body>\n</html>\n"
    )


def _today() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.now(timezone.utc)
    if epoch.isdigit():
        now = datetime.fromtimestamp(int(epoch), timezone.utc)
    return f"{now:%Y-%m-%d}"


def _facts(report: ExportReport) -> str:
    known, here = report.manifest.provenance, cpu.describe()
    tools = ("torch", "onnx", "onnxruntime", "numpy")
    cores = plural(int(here["cores"]), "core")
    facts = {
        "bundle": f"{report.bundle.name}, {report.bytes:,} bytes",
        "sha256": report.digest,
        "network": f"{known['target']}, checkpoint sha256 {known['checkpoint_sha256']}",
        "inputs": "; ".join(
            f"{i.name} ({i.kind}, {i.resize.height} x {i.resize.width})"
            for i in image_inputs(report.manifest.sensors)
        ),
        "variant with": ", ".join(
            [report.manifest.created_by, *(f"{t} {known[t]}" for t in tools)]
        ),
        "ONNX": f"opset {report.opset}, by torch's {report.exporter} exporter",
        "machine": f"{here['cpu']}, {cores}, {here['system']}",
    }
    items = (
        f"<dt>{key}</dt><dd>{html.escape(value)}</dd>\n" for key, value in facts.items()
    )
    return f"<dl>\n{''.join(items)}</dl>\n"


def _classes(report: ExportReport) -> str:
    """IoU of each class, and what it leaves out."""
    scored = [variant for variant in report.variants if variant.score is not None]
    if not scored:
        return ""
    output = report.manifest.label_outputs[0]
    headings, rows = class_rows(scored)
    colored = [
        [f"{_swatch(entry.color)}{html.escape(row[0])}", *map(html.escape, row[1:])]
        for entry, row in zip(output.classes, rows, strict=True)
    ]
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in score_words(report))
    return _section(
        "IoU of each class", lines + _table(headings, colored, escaped=True)
    )


def _robustness(report: ExportReport) -> str:
    card = report.manifest.robustness
    if card is None:
        return ""
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in refusals(card))
    details = f"<details><summary>spoilt frames</summary>{_table(*spoilt_rows(card))}"
    return _section(
        f"Robustness on {plural(card.frames, 'frame')}",
        f"{_table(*subset_rows(card))}{lines}{details}</details>\n",
    )


def _frames(report: ExportReport) -> str:
    if not report.drawn:
        return ""
    output = report.manifest.label_outputs[0]
    legend = "".join(
        f"<li>{_swatch(entry.color)}{html.escape(entry.name)}</li>\n"
        for entry in output.classes
    )
    variants = len(report.variants) > 1
    why = "those that agree least with fp32" if variants else "a few"
    if not variants and report.variants[0].score is not None:
        why = "those where most labels are wrong"
    about = (
        f"<p>Of the frames, {why}. Differences are white; a variant is shown where one "
        "pixel of a thousand differs, and more.</p>\n"
    )
    return _section(
        "Frames",
        f'{about}<ul class="legend">\n{legend}</ul>\n'
        + "".join(map(_frame, report.drawn)),
    )


def _frame(drawn: DrawnFrame) -> str:
    panes = "".join(map(_pane, drawn.panes))
    return f'<h3>frame {drawn.number}</h3>\n<div class="panes">\n{panes}</div>\n'


def _pane(pane: Pane) -> str:
    data, title = base64.b64encode(pane.png).decode(), html.escape(pane.title)
    return (
        f'<figure><img alt="{title}" src="data:image/png;base64,{data}">'
        f"<figcaption>{title}</figcaption></figure>\n"
    )


def _layers(variant: BuiltVariant) -> str:
    if variant.mixed_precision is None or not variant.mixed_precision.sensitivity:
        return ""
    kept = set(variant.mixed_precision.float_nodes)
    rows = (
        (node, f"{changed:.5f}", "float" if node in kept else "int8")
        for node, changed in variant.mixed_precision.sensitivity.items()
    )
    table = _table(("layer", "labels it changes alone in INT8", "stays in"), rows)
    name = html.escape(variant.name)
    return f"<details><summary>{name}: its layers</summary>{table}</details>\n"


def _list(title: str, sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{html.escape(sentence)}</li>\n" for sentence in sentences)
    return _section(title, f"<ul>\n{items}</ul>\n") if items else ""


def _section(title: str, content: str) -> str:
    return f"<h2>{html.escape(title)}</h2>\n{content}"


def _table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, escaped: bool = False
) -> str:
    head = "".join(f"<th>{html.escape(heading)}</th>" for heading in headings)
    lines = []
    for row in rows:
        cells = row if escaped else map(html.escape, row)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n")
    body = f"<tr>{head}</tr>\n{''.join(lines)}"
    return f'<div class="scroll"><table>\n{body}</table></div>\n'


def _swatch(color: Sequence[int]) -> str:
    red, green, blue = color
    style = f"background:rgb({red},{green},{blue})"
    return f'<span class="swatch" style="{style}"></span>'
