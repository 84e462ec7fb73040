"""``fuseg export``: a verified bundle from a trained checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from fuseg.cli.frame_reader import assignments, stamps_of
from fuseg.cli.options import (
    JsonOption,
    MatchOption,
    PlaneOption,
    ReferenceOption,
    SlopOption,
    TruthMapOption,
)
from fuseg.cli.printing import plural, print_json, print_table, say, warn
from fuseg.host.files import write_file
from fuseg.manifest.schema import dump

from ..frames.files import FileOptions
from ..frames.selection import FrameOptions
from ..network.target import NetworkOptions
from ..pipeline import ExportReport, export_bundle
from ..precision.options import Budget, Precision, parse_kinds
from ..report.html import as_html
from ..report.tables import (
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
from .options import (
    ArgOption,
    CalibrationCacheOption,
    CalibrationMethodOption,
    CalibrationOption,
    CallOption,
    CheckpointOption,
    CheckTensorrtOption,
    ClassesOption,
    ConstantOption,
    ExporterOption,
    FramesOption,
    FreezeRandomOption,
    IgnoreWeightsOption,
    LayoutOption,
    MaxMiouDropOption,
    MinAgreementOption,
    NetworkInputOption,
    OpsetOption,
    OutOption,
    OutputOption,
    OwnLoadOption,
    PrecisionOption,
    ReportOption,
    RobustnessOption,
    SpecOption,
    SplitOption,
    StackOption,
    StateOption,
    TargetArgument,
    TruthOption,
    WeightsKeyOption,
)

__all__ = ["export"]


def export(
    target: TargetArgument,
    out: OutOption,
    checkpoint: CheckpointOption = None,
    weights_key: WeightsKeyOption = None,
    ignore_weights: IgnoreWeightsOption = None,
    own_load_state_dict: OwnLoadOption = False,
    input: NetworkInputOption = None,
    stack: StackOption = None,
    arg: ArgOption = None,
    call: CallOption = None,
    constant: ConstantOption = None,
    freeze_random: FreezeRandomOption = None,
    output: OutputOption = None,
    layout: LayoutOption = None,
    state: StateOption = None,
    split: SplitOption = None,
    classes: ClassesOption = None,
    spec: SpecOption = None,
    frames: FramesOption = None,
    opset: OpsetOption = 17,
    exporter: ExporterOption = None,
    precision: PrecisionOption = "fp32",
    calibration: CalibrationOption = None,
    calibration_method: CalibrationMethodOption = None,
    calibration_cache: CalibrationCacheOption = None,
    truth: TruthOption = None,
    truth_map: TruthMapOption = None,
    plane: PlaneOption = None,
    match: MatchOption = "name",
    slop: SlopOption = None,
    reference: ReferenceOption = None,
    max_miou_drop: MaxMiouDropOption = None,
    min_agreement: MinAgreementOption = None,
    check_tensorrt: CheckTensorrtOption = None,
    robustness: RobustnessOption = None,
    report: ReportOption = None,
    json: JsonOption = False,
) -> None:
    """Make a bundle from a trained network, verified stage by stage.

    Nothing is written unless each stage gives the labels of the one before. Where a
    variant that was asked for is left out, the exit code is 1.
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
            "--match": None if match == "name" else match,
            "--max-miou-drop": max_miou_drop,
            "--min-agreement": min_agreement,
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
            NetworkOptions(
                target,
                checkpoint,
                inputs=input or (),
                stacks=stack or (),
                classes=classes,
                spec=spec,
                outputs=output or (),
                states=state or (),
                opset=opset,
                exporter=exporter,
                split=split or (),
                arguments=arg or (),
                call=call,
                constants=constant or (),
                weights_key=weights_key,
                ignore_weights=ignore_weights or (),
                own_load=own_load_state_dict,
                layout=layout,
                freeze_random=freeze_random,
            ),
            out,
            frames=FrameOptions(
                assignments("--frames", frames),
                truth,
                truth_map,
                FileOptions(
                    stamps_of(match, slop, reference), assignments("--plane", plane)
                ),
            ),
            precision=Precision(
                kinds=kinds,
                auto=auto,
                calibration=assignments("--calibration", calibration),
                method=calibration_method or "minmax",
                cache=calibration_cache,
                budget=Budget.of(max_miou_drop, min_agreement),
            ),
            check_tensorrt=check_tensorrt,
            robustness=robustness,
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
    if made.left_out:
        raise typer.Exit(1)


def _show(report: ExportReport) -> None:
    numbers = ("frames", "mIoU", "nodes", "bytes")
    print_table(*stage_rows(report.stages), right=numbers)
    scored = [variant for variant in report.variants if variant.score is not None]
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
    card = report.manifest.robustness
    if card is not None:
        frames = plural(card.frames, "frame")
        say(
            f"robustness on {frames}: mIoU {card.subsets[0].miou:.4f} with all "
            f"sensors, {card.mean.miou:.4f} as the mean of their sets; fuseg inspect "
            "shows all of it"
        )
    cut = ", ".join(report.tail.removed if report.tail else ()) or "nothing"
    say(f"cut off its end: {cut}   opset {report.opset}")
    say(f"{report.bundle}: {report.bytes:,} bytes, sha256 {report.digest}")


def _as_json(report: ExportReport) -> dict[str, Any]:
    return {
        "bundle": str(report.bundle),
        "digest": report.digest,
        "bytes": report.bytes,
        "opset": report.opset,
        "exporter": report.exporter,
        "tail": None
        if report.tail is None
        else {
            "removed": list(report.tail.removed),
            "size": list(report.tail.size),
            "align_corners": report.tail.align_corners,
        },
        "stages": [
            {**asdict(stage.result), "nodes": stage.nodes, "bytes": stage.bytes}
            for stage in report.stages
        ],
        "variants": [as_json(variant) for variant in report.variants],
        "robustness": dump(report.manifest.robustness),
        "notes": list(report.notes),
        "warnings": list(report.warnings),
        "left_out": list(report.left_out),
    }
