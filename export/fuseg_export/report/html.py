"""The HTML report of an export: one file, to be handed on."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from fuseg.cli.html import facts, items, legend, page, panes, section, swatch, table
from fuseg.cli.printing import plural
from fuseg.cli.robustness_table import refusals, spoilt_rows, subset_rows
from fuseg.host import cpu
from fuseg.manifest import image_inputs

from ..precision.built_variant import BuiltVariant
from .pictures import DrawnFrame
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


def as_html(report: ExportReport) -> str:
    """A page that needs no other file and runs no script.

    It says what was exported, of what and where; how the stages and variants compare;
    how each class scores and what the scores leave out, where the truth is known; and
    shows frames with their labels. Times and the date aside, the same export gives the
    same page on the same machine; ``SOURCE_DATE_EPOCH`` sets the date.
    """
    parts = [
        _facts(report),
        section("Stages", table(*stage_rows(report.stages))),
        section("Variants", table(*variant_rows(report.variants))),
        _classes(report),
        _robustness(report),
        _frames(report),
        items("Warnings", report.warnings),
        items("Notes", [*report.notes, *remarks(report.variants)]),
        *(_layers(variant) for variant in report.variants),
    ]
    return page(report.manifest.name, "exported", parts)


def _facts(report: ExportReport) -> str:
    known, here = report.manifest.provenance, cpu.describe()
    tools = ("torch", "onnx", "onnxruntime", "numpy")
    cores = plural(int(here["cores"]), "core")
    known_facts = {
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
    return facts(known_facts.items())


def _classes(report: ExportReport) -> str:
    """IoU of each class, and what it leaves out."""
    scored = [variant for variant in report.variants if variant.score is not None]
    if not scored:
        return ""
    output = report.manifest.label_outputs[0]
    headings, rows = class_rows(scored)
    colored = [
        [f"{swatch(entry.color)}{html.escape(row[0])}", *map(html.escape, row[1:])]
        for entry, row in zip(output.classes, rows, strict=True)
    ]
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in score_words(report))
    return section("IoU of each class", lines + table(headings, colored, escaped=True))


def _robustness(report: ExportReport) -> str:
    card = report.manifest.robustness
    if card is None:
        return ""
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in refusals(card))
    details = f"<details><summary>spoilt frames</summary>{table(*spoilt_rows(card))}"
    return section(
        f"Robustness on {plural(card.frames, 'frame')}",
        f"{table(*subset_rows(card))}{lines}{details}</details>\n",
    )


def _frames(report: ExportReport) -> str:
    if not report.drawn:
        return ""
    output = report.manifest.label_outputs[0]
    variants = len(report.variants) > 1
    why = "those that agree least with fp32" if variants else "a few"
    if not variants and report.variants[0].score is not None:
        why = "those where most labels are wrong"
    about = (
        f"<p>Of the frames, {why}. Differences are white; a variant is shown where one "
        "pixel of a thousand differs, and more.</p>\n"
    )
    return section(
        "Frames",
        about + legend(output.classes) + "".join(map(_frame, report.drawn)),
    )


def _frame(drawn: DrawnFrame) -> str:
    return f"<h3>frame {drawn.number}</h3>\n{panes(drawn.panes)}"


def _layers(variant: BuiltVariant) -> str:
    if variant.mixed_precision is None or not variant.mixed_precision.sensitivity:
        return ""
    kept = set(variant.mixed_precision.float_nodes)
    rows = (
        (node, f"{changed:.5f}", "float" if node in kept else "int8")
        for node, changed in variant.mixed_precision.sensitivity.items()
    )
    layers = table(("layer", "labels it changes alone in INT8", "stays in"), rows)
    name = html.escape(variant.name)
    return f"<details><summary>{name}: its layers</summary>{layers}</details>\n"
