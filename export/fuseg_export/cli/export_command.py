"""The commands that the training half adds to ``fuseg``: export and models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fuseg.cli.frame_reader import assignments, stamps_of
from fuseg.cli.options import (
    JsonOption,
    PairOption,
    PlaneOption,
    ReferenceOption,
    SlopOption,
    TruthMapOption,
)
from fuseg.cli.printing import print_json, print_table, say, warn
from fuseg.host.files import write_file

from ..frames.samples import FileOptions
from ..models import REFERENCE, ReferenceModel
from ..pipeline import ExportReport, export_bundle
from ..precision.calibrate import METHODS
from ..precision.evaluate import Budget
from ..precision.variants import Precision, parse_kinds
from ..report.html import as_html
from ..report.tables import (
    STAGE_HEADINGS,
    as_json,
    brief_rows,
    class_rows,
    remarks,
    score_words,
    stage_rows,
)
from ..stdout import foreign_prints_to_stderr, progress_on_terminal
from ..write_bundle import require_distinct, require_writable
from .option_checks import require_effect

__all__ = ["export", "models"]


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A reference model (see fuseg models), or package.module:factory.",
            show_default=False,
        ),
    ],
    checkpoint: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The trained weights: safetensors, or a state dict of torch.save.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="BUNDLE",
            help="The bundle to write.",
            show_default=False,
        ),
    ],
    input: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=KIND:HxW",
            help="An input of your own network, in the order of forward's arguments: "
            "name, kind (color, depth, thermal or range) and the network's size, as in "
            "rgb=color:480x640.",
            show_default=False,
        ),
    ] = None,
    stack: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Inputs that the network takes as one tensor, in this order.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The segmentation, if the network returns a dict or a tuple.",
            show_default="out or logits",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|A,B,C",
            help="Class names: separated by commas, or a file with one per line.",
            show_default="class_0, class_1, ...",
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help='JSON that overrides the inputs\' defaults: {"inputs": {"depth": '
            '{"unit": "0.1mm", "scale": 0.0001}}}; also "classes" and "ignore".',
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Frames to verify on: for each input a file, a folder, or a quoted "
            "pattern. The first two become the bundle's samples.",
            show_default="rendered rooms",
        ),
    ] = None,
    opset: Annotated[
        int, typer.Option(help="ONNX opset; 17 is the newest that TensorRT 8.6 reads.")
    ] = 17,
    precision: Annotated[
        str,
        typer.Option(
            metavar="A,B|auto",
            help="Variants besides fp32: fp16, int8, or both, separated by a comma; "
            "auto makes all and drops those that lose too much or are not faster.",
        ),
    ] = "fp32",
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="Frames for the ranges of int8, for each input, as --frames; not the "
            "same ones, which judge the result.",
            show_default="rendered rooms, or --frames",
        ),
    ] = None,
    calibration_method: Annotated[
        str | None,
        typer.Option(
            metavar="METHOD",
            help=f"One of {', '.join(METHODS)}.",
            show_default="minmax",
        ),
    ] = None,
    calibration_cache: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Cache the ranges here, for the same network and frames.",
            show_default=False,
        ),
    ] = None,
    truth: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="True labels of --frames: fp32 and the variants are scored on them, "
            "and variants are also judged by mIoU.",
            show_default=False,
        ),
    ] = None,
    truth_map: TruthMapOption = None,
    plane: PlaneOption = None,
    pair: PairOption = "name",
    slop: SlopOption = None,
    reference: ReferenceOption = None,
    max_miou_drop: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="How much mIoU a variant may lose; layers go back to float until it "
            "does not lose more.",
            show_default=str(Budget.miou_drop),
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write an HTML page: stages, variants, IoU of each class if there is "
            "truth, and frames with their labels.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a bundle from a trained checkpoint, verified stage by stage.

    Nothing is written unless each stage gives the labels of the one before.
    """
    kinds, auto = parse_kinds(precision)
    require_effect(
        target,
        kinds,
        {
            "--frames": frames,
            "--calibration": calibration,
            "--calibration-method": calibration_method,
            "--calibration-cache": calibration_cache,
            "--truth": truth,
            "--truth-map": truth_map,
            "--plane": plane,
            "--pair": None if pair == "name" else pair,
            "--max-miou-drop": max_miou_drop,
        },
    )
    require_distinct(
        {"--report": report, "--calibration-cache": calibration_cache, "--out": out},
        {
            "--checkpoint": checkpoint,
            "--spec": spec,
            "--classes": None if classes is None else Path(classes),
            "--truth-map": truth_map,
        },
    )
    for path in (report, calibration_cache):
        if path is not None:
            require_writable(path)
    with progress_on_terminal() as progress, foreign_prints_to_stderr():
        made = export_bundle(
            target,
            checkpoint,
            out,
            inputs=input or (),
            stacks=stack or (),
            output=output,
            classes=classes,
            spec=spec,
            frames=assignments("--frames", frames),
            truth=truth,
            truth_map=truth_map,
            files=FileOptions(
                stamps_of(pair, slop, reference), assignments("--plane", plane)
            ),
            opset=opset,
            precision=Precision(
                kinds=kinds,
                auto=auto,
                calibration=assignments("--calibration", calibration),
                method=calibration_method or "minmax",
                cache=calibration_cache,
                budget=Budget() if max_miou_drop is None else Budget(max_miou_drop),
            ),
            progress=progress,
        )
        if report is not None:
            write_file(report, as_html(made).encode())
    for sentence in made.warnings:
        warn(sentence)
    if json:
        print_json(_as_json(made))
    else:
        _show(made)


def models(json: JsonOption = False) -> None:
    """List the reference models that can be exported by name."""
    rows = [_describe(model) for model in REFERENCE.values()]
    if json:
        print_json({"models": rows})
        return
    print_table(
        ("name", "inputs", "classes", "parameters", "summary"),
        [
            (
                row["name"],
                ", ".join(
                    f"{i['name']} {i['height']}x{i['width']}" for i in row["inputs"]
                ),
                str(len(row["classes"])),
                f"{row['parameters']:,}",
                row["summary"],
            )
            for row in rows
        ],
        right=("classes", "parameters"),
    )


def _describe(model: ReferenceModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "summary": model.summary,
        "inputs": [
            {
                "name": i.name,
                "kind": i.kind,
                "dtype": i.dtype,
                "height": i.resize.height,
                "width": i.resize.width,
            }
            for i in model.inputs
        ],
        "classes": [c.name for c in model.classes],
        "parameters": sum(p.numel() for p in model.build().parameters()),
    }


def _show(report: ExportReport) -> None:
    numbers = ("frames", "mIoU", "nodes", "bytes")
    print_table(STAGE_HEADINGS, stage_rows(report.stages), right=numbers)
    scored = [made for made in report.variants if made.score is not None]
    if len(report.variants) > 1 or scored:
        say()
        right = ("MB", "mIoU", "change", "labels as fp32", "layers in float", "ms")
        print_table(*brief_rows(report.variants), right=right)
    if scored:
        say()
        print_table(*class_rows(scored))
    say()
    for line in score_words(report):
        say(line)
    for note in (*report.notes, *remarks(report.variants)):
        say(note)
    cut = ", ".join(report.tail.removed) or "nothing"
    say(f"cut off its end: {cut}   opset {report.opset}")
    say(f"{report.bundle}: {report.bytes:,} bytes, sha256 {report.digest}")


def _as_json(report: ExportReport) -> dict[str, Any]:
    return {
        "bundle": str(report.bundle),
        "digest": report.digest,
        "bytes": report.bytes,
        "opset": report.opset,
        "exporter": report.exporter,
        "tail": {
            "removed": list(report.tail.removed),
            "size": list(report.tail.size),
            "align_corners": report.tail.align_corners,
        },
        "stages": [
            {**asdict(stage.result), "nodes": stage.nodes, "bytes": stage.bytes}
            for stage in report.stages
        ],
        "variants": [as_json(made) for made in report.variants],
        "notes": list(report.notes),
        "warnings": list(report.warnings),
    }
