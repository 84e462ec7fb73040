"""What an export made, told as rows of tables, as sentences and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..precision.variants import Made

if TYPE_CHECKING:
    from ..pipeline import ExportReport, Stage

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]

__all__ = [
    "STAGE_HEADINGS",
    "as_json",
    "brief_rows",
    "class_rows",
    "remarks",
    "score_words",
    "stage_rows",
    "variant_rows",
]

STAGE_HEADINGS = (
    *("stage", "against", "frames", "equal labels", "largest score difference"),
    *("mIoU", "nodes", "bytes"),
)
_HEADINGS = (
    *("variant", "bytes", "frames", "mIoU", "worst class", "labels as fp32"),
    *("layers in float", "ms a run, 1 thread", "outcome"),
)
_BRIEF = (
    *("variant", "MB", "mIoU", "change", "worst class", "labels as fp32"),
    *("layers in float", "ms", "outcome"),
)
_MOST_NAMED = 5  # layers in a sentence; the page and the JSON have all


def stage_rows(stages: Sequence[Stage]) -> list[tuple[str, ...]]:
    """A row under `STAGE_HEADINGS` for each stage."""
    return [
        (
            stage.result.stage,
            stage.result.against,
            str(stage.result.frames),
            f"{stage.result.label_agreement:.6f}",
            f"{stage.result.max_abs_logit_diff:.2g}",
            "" if stage.result.miou is None else f"{stage.result.miou:.4f}",
            str(stage.nodes),
            f"{stage.bytes:,}",
        )
        for stage in stages
    ]


def variant_rows(variants: Sequence[Made]) -> Table:
    """All that is known of each variant, the preferred one first, for a wide page."""
    return _without_empty_columns(_HEADINGS, [_cells(variant) for variant in variants])


def brief_rows(variants: Sequence[Made]) -> Table:
    """The same for a terminal of 80 columns; the rest stands in `remarks`."""
    rows = []
    for made in variants:
        drop = None if made.verdict is None else made.verdict.miou_drop
        best = made.fastest
        rows.append(
            (
                made.name,
                f"{made.model.ByteSize() / 1e6:.1f}",
                "" if made.score is None else f"{made.score.miou:.4f}",
                "" if drop is None else _signed(-drop),
                _worst_class(made),
                "" if made.verdict is None else f"{made.verdict.agreement:.5f}",
                "" if made.repair is None else str(len(made.repair.kept)),
                "" if best is None else f"{best[1]:.2f}",
                "kept" if made.refused is None else "refused",
            )
        )
    return _without_empty_columns(_BRIEF, rows)


def _without_empty_columns(
    headings: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> Table:
    told = [i for i in range(len(headings)) if any(row[i] for row in rows)]
    return (
        tuple(headings[i] for i in told),
        [tuple(row[i] for i in told) for row in rows],
    )


def class_rows(scored: Sequence[Made]) -> Table:
    """Headings and rows of the IoU of each class, a column a variant."""
    scores = [(made.name, made.score) for made in scored if made.score is not None]
    headings = ("class", *(name for name, _ in scores))
    rows = []
    for entry in scores[0][1].iou if scores else ():
        values = [score.iou[entry] for _, score in scores]
        words = ["does not occur" if v is None else f"{v:.4f}" for v in values]
        rows.append((entry, *words))
    return headings, rows


def score_words(report: ExportReport) -> list[str]:
    """How fp32 scores on the truth, and what the numbers leave out; maybe nothing."""
    full = next(made for made in report.variants if made.name == "fp32")
    if full.score is None:
        return []
    height, width = report.tail.size
    first, *rest = full.score.words
    where = f"fp32 on {full.frames} frames, at {height} x {width}"
    absent = ", ".join(full.score.absent)
    missing = [f"never in the truth: {absent}"] if absent else []
    return [f"{where}: {first}", *rest, *missing]


def remarks(variants: Sequence[Made]) -> list[str]:
    """What a table has no room for: who runs fastest on what, why a variant is refused,
    what had to stay in float, what runs in float nevertheless; a sentence each."""
    found = []
    times = [
        f"{m.name} {m.fastest[1]:.2f} ({m.fastest[0]})" for m in variants if m.fastest
    ]
    if times:
        found.append(f"ms a run of one thread, the fastest backend: {', '.join(times)}")
    for made in variants:
        interval = None if made.verdict is None else made.verdict.interval
        if interval is not None:
            low, high = (_signed(-drop) for drop in reversed(interval))
            found.append(
                f"{made.name}: mIoU changes by {low} to {high} in 95 % of the draws"
            )
        if made.refused is not None:
            found.append(f"{made.name} is refused: {made.refused}")
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
        "frames": made.frames or None,
        "label_agreement": None if verdict is None else verdict.agreement,
        "miou": None if made.score is None else made.score.miou,
        "score": None if made.score is None else asdict(made.score),
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


def _cells(made: Made) -> tuple[str, ...]:
    verdict = made.verdict
    return (
        made.name,
        f"{made.model.ByteSize():,}",
        str(made.frames or ""),
        _miou(made),
        _worst_class(made),
        "" if verdict is None else f"{verdict.agreement:.5f}",
        "" if made.repair is None else str(len(made.repair.kept)),
        ", ".join(f"{name} {ms:.2f}" for name, ms in made.times.items()),
        "in the bundle" if made.refused is None else f"refused: {made.refused}",
    )


def _miou(made: Made) -> str:
    if made.score is None or made.score.miou is None:
        return ""
    verdict, own = made.verdict, f"{made.score.miou:.4f}"
    if verdict is None or verdict.miou_drop is None or verdict.interval is None:
        return own
    low, high = verdict.interval
    interval = f"{_signed(-high)} to {_signed(-low)}"
    return f"{own} ({_signed(-verdict.miou_drop)}, 95 %: {interval})"


def _worst_class(made: Made) -> str:
    verdict = made.verdict
    if verdict is None or verdict.worst_drop is None:
        return ""
    loss = _signed(-verdict.worst_drop)
    return f"{verdict.worst_class} {loss}" if loss.startswith("-") else "none loses"


def _signed(value: float) -> str:
    """With its sign, unless nothing is left of it after rounding."""
    text = f"{value:+.4f}"
    return text if float(text) else "0.0000"
