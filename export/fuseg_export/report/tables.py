"""What an export made, as rows of tables, as sentences and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..precision.built_variant import BuiltVariant
from ..precision.mixed_precision_search import MixedPrecision

if TYPE_CHECKING:
    from ..pipeline import ExportReport, Stage

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

__all__ = [
    "as_json",
    "brief_rows",
    "class_rows",
    "remarks",
    "score_words",
    "stage_rows",
    "variant_rows",
]

_STAGE_HEADINGS = (
    *("stage", "against", "output", "frames", "equal labels"),
    *("largest score difference", "mIoU", "nodes", "bytes"),
)
_HEADINGS = (
    *("variant", "bytes", "frames", "mIoU", "worst class", "labels as fp32"),
    *("layers in float", "ms a run, 1 thread", "TensorRT for RTX", "outcome"),
)
_BRIEF = (
    *("variant", "MB", "mIoU", "change", "worst class", "labels as fp32"),
    *("layers in float", "ms", "outcome"),
)
_MOST_NAMED = 5  # layers in a sentence; the page and the JSON have all


def stage_rows(stages: Sequence[Stage]) -> Table:
    """Headings, and a row for each output of each stage."""
    several = len({stage.result.output for stage in stages}) > 1
    rows = [
        (
            stage.result.stage,
            stage.result.against,
            stage.result.output if several else "",
            str(stage.result.frames),
            f"{stage.result.label_agreement:.6f}",
            f"{stage.result.max_abs_logit_diff:.2g}",
            "" if stage.result.miou is None else f"{stage.result.miou:.4f}",
            str(stage.nodes),
            f"{stage.bytes:,}",
        )
        for stage in stages
    ]
    left_out = [] if several else ["output"]
    kept = [i for i, word in enumerate(_STAGE_HEADINGS) if word not in left_out]
    return (
        tuple(_STAGE_HEADINGS[i] for i in kept),
        [tuple(row[i] for i in kept) for row in rows],
    )


def variant_rows(variants: Sequence[BuiltVariant]) -> Table:
    """All that is known of each variant, the preferred one first, for a wide page."""
    return _without_empty_columns(_HEADINGS, [_cells(variant) for variant in variants])


def brief_rows(variants: Sequence[BuiltVariant]) -> Table:
    """The same for a terminal of 80 columns; `remarks` has the rest."""
    rows = []
    for variant in variants:
        drop = None if variant.comparison is None else variant.comparison.miou_drop
        best = variant.fastest
        rows.append(
            (
                variant.name,
                f"{variant.model.ByteSize() / 1e6:.1f}",
                "" if variant.score is None else f"{variant.score.miou:.4f}",
                "" if drop is None else _signed(-drop),
                _worst_class(variant),
                ""
                if variant.comparison is None
                else f"{variant.comparison.agreement:.5f}",
                ""
                if variant.mixed_precision is None
                else str(len(variant.mixed_precision.float_nodes)),
                "" if best is None else f"{best[1]:.2f}",
                "kept" if variant.refused is None else "refused",
            )
        )
    return _without_empty_columns(_BRIEF, rows)


def _without_empty_columns(
    headings: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> Table:
    known = [i for i in range(len(headings)) if any(row[i] for row in rows)]
    return (
        tuple(headings[i] for i in known),
        [tuple(row[i] for i in known) for row in rows],
    )


def class_rows(scored: Sequence[BuiltVariant]) -> Table:
    """Headings and rows of the IoU of each class, a column a variant."""
    scores = [
        (variant.name, variant.score) for variant in scored if variant.score is not None
    ]
    headings = ("class", *(name for name, _ in scores))
    rows = []
    for entry in scores[0][1].iou if scores else ():
        values = [score.iou[entry] for _, score in scores]
        words = ["does not occur" if v is None else f"{v:.4f}" for v in values]
        rows.append((entry, *words))
    return headings, rows


def score_words(report: ExportReport) -> list[str]:
    """How fp32 scores on the truth, and what the numbers leave out; maybe nothing."""
    full = next(variant for variant in report.variants if variant.name == "fp32")
    if full.score is None or report.tail is None:
        return []
    height, width = report.tail.size
    first, *rest = full.score.words
    where = f"fp32 on {full.frames} frames, at {height} x {width}"
    absent = ", ".join(full.score.absent)
    missing = [f"never in the truth: {absent}"] if absent else []
    return [f"{where}: {first}", *rest, *missing]


def remarks(variants: Sequence[BuiltVariant]) -> list[str]:
    """What a table has no room for, a sentence each: the fastest backends, confidence
    intervals, why a variant is refused, which layers run in float."""
    found = []
    times = [
        f"{v.name} {v.fastest[1]:.2f} ({v.fastest[0]})" for v in variants if v.fastest
    ]
    if times:
        found.append(f"ms a run of one thread, the fastest backend: {', '.join(times)}")
    for variant in variants:
        name, comparison = variant.name, variant.comparison
        if comparison is not None and comparison.interval is not None:
            low, high = (_signed(-drop) for drop in reversed(comparison.interval))
            found.append(
                f"{name}: mIoU changes by {low} to {high} in 95 % of the draws"
            )
        for output, other in [*variant.comparisons.items()][1:]:
            score = (
                ""
                if other.miou is None or other.miou_drop is None
                else f", mIoU {other.miou:.4f} ({_signed(-other.miou_drop)})"
            )
            found.append(
                f"{name}: {output} agrees with fp32's to {other.agreement:.5f}, its "
                f"values differ by up to {other.max_abs_logit_diff:.2g}{score}"
            )
        if variant.refused is not None:
            found.append(f"{name} is refused: {variant.refused}")
        elif variant.tensorrt_refused is not None:
            found.append(
                f"{name} is kept for other backends, but: {variant.tensorrt_refused}"
            )
        if variant.tensorrt is not None:
            found.append(f"{name} in {variant.tensorrt.builder}: {_engine(variant)}")
        if variant.float_on_ort:
            found.append(
                f"{name}: ONNX Runtime runs {len(variant.float_on_ort)} quantized "
                f"layers in float ({', '.join(variant.float_on_ort[:_MOST_NAMED])})"
            )
        if variant.mixed_precision is not None and variant.mixed_precision.float_nodes:
            found.append(f"{name}: {_layers_in_float(variant.mixed_precision)}")
    return found


def _layers_in_float(mixed: MixedPrecision) -> str:
    count = len(mixed.float_nodes)
    named = ", ".join(mixed.float_nodes[:_MOST_NAMED])
    more = f" and {count - _MOST_NAMED} more" if count > _MOST_NAMED else ""
    stopped = "" if mixed.stopped is None else f"; {mixed.stopped}"
    return (
        f"{count} of {len(mixed.sensitivity)} layers stay in float ({named}{more}); "
        f"all in INT8, {mixed.all_int8.agreement:.4f} of the labels of the calibration "
        f"frames were fp32's{stopped}"
    )


def as_json(variant: BuiltVariant) -> dict[str, Any]:
    """All that is known of a variant, in plain values."""
    comparison, mixed = variant.comparison, variant.mixed_precision
    return {
        "name": variant.name,
        "for": list(variant.targets),
        "precision": variant.precision,
        "bytes": variant.model.ByteSize(),
        "in_bundle": variant.refused is None,
        "refused": variant.refused,
        "tensorrt": None if variant.tensorrt is None else asdict(variant.tensorrt),
        "tensorrt_refused": variant.tensorrt_refused,
        "ms": variant.times,
        "frames": variant.frames or None,
        "label_agreement": None if comparison is None else comparison.agreement,
        "outputs": {
            output: {
                "agreement": found.agreement,
                "max_abs_difference": found.max_abs_logit_diff,
            }
            for output, found in variant.comparisons.items()
        },
        "miou": None if variant.score is None else variant.score.miou,
        "score": None if variant.score is None else asdict(variant.score),
        "miou_drop": None if comparison is None else comparison.miou_drop,
        "miou_drop_interval": (
            None
            if comparison is None or comparison.interval is None
            else list(comparison.interval)
        ),
        "worst_class": None if comparison is None else comparison.worst_class,
        "worst_class_drop": None if comparison is None else comparison.worst_drop,
        "float_nodes": [] if mixed is None else list(mixed.float_nodes),
        "float_on_onnxruntime": list(variant.float_on_ort),
        "sensitivity": {} if mixed is None else mixed.sensitivity,
        "all_int8_agreement": None if mixed is None else mixed.all_int8.agreement,
        "search_stopped": None if mixed is None else mixed.stopped,
    }


def _cells(variant: BuiltVariant) -> tuple[str, ...]:
    comparison = variant.comparison
    return (
        variant.name,
        f"{variant.model.ByteSize():,}",
        str(variant.frames or ""),
        _miou(variant),
        _worst_class(variant),
        "" if comparison is None else f"{comparison.agreement:.5f}",
        ""
        if variant.mixed_precision is None
        else str(len(variant.mixed_precision.float_nodes)),
        ", ".join(f"{name} {ms:.2f}" for name, ms in variant.times.items()),
        _engine(variant) or variant.tensorrt_refused or "",
        "in the bundle" if variant.refused is None else f"refused: {variant.refused}",
    )


def _engine(variant: BuiltVariant) -> str:
    found = variant.tensorrt
    if found is None:
        return ""
    return (
        f"plan {found.plan_bytes / 1e6:.1f} MB, {found.kernels} kernels, activations "
        f"{found.activation_bytes / 1e6:.1f} MB"
    )


def _miou(variant: BuiltVariant) -> str:
    if variant.score is None or variant.score.miou is None:
        return ""
    comparison, own = variant.comparison, f"{variant.score.miou:.4f}"
    if (
        comparison is None
        or comparison.miou_drop is None
        or comparison.interval is None
    ):
        return own
    low, high = comparison.interval
    interval = f"{_signed(-high)} to {_signed(-low)}"
    return f"{own} ({_signed(-comparison.miou_drop)}, 95 %: {interval})"


def _worst_class(variant: BuiltVariant) -> str:
    comparison = variant.comparison
    if comparison is None or comparison.worst_drop is None:
        return ""
    loss = _signed(-comparison.worst_drop)
    return f"{comparison.worst_class} {loss}" if loss.startswith("-") else "none loses"


def _signed(value: float) -> str:
    """With its sign, unless nothing is left of it after rounding."""
    text = f"{value:+.4f}"
    return text if float(text) else "0.0000"
