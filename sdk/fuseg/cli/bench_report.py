"""The result of ``fuseg bench`` as tables."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from .printing import plural, print_table

_COLUMNS = ("p50", "p90", "p99")


def show(result: dict[str, Any]) -> None:
    """Print what ``bench --json`` would."""
    made, settings = result["machine"], result["settings"]
    print(f"{result['model']} ({result['variant']}, {result['backend']})")
    print(f"{made['cpu']}, {plural(made['cores'], 'core')}, {made['system']}")
    print("  ".join(f"{name} {v}" for name, v in result["versions"].items()))
    sizes = ", ".join(
        f"{name} {'x'.join(map(str, shape))}"
        for name, shape in settings["frame_shapes"].items()
    )
    print(
        f"{plural(settings['rounds'], 'interleaved round')} on "
        f"{plural(settings['frames'], 'frame')} ({sizes}), "
        f"{plural(settings['threads'], 'thread')} for every program, "
        f"each timed call after a pause of {settings['pause_ms']:g} ms and an untimed "
        "call of the same program"
    )
    print_table(_times(result))
    print_table(_peers(result))
    for name, row in result["peers"].items():
        if "unavailable" in row:
            print(f"not timed: {name}: {row['unavailable']}")
    if result["pre_post"] is not None:
        _show_pre_post(result["pre_post"])


def _times(result: dict[str, Any]) -> Table:
    table = Table("fuseg, ms")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    rows = {**result["stages_ms"], "total": result["total_ms"]}
    for name, row in rows.items():
        table.add_row(name, *(f"{row[p]:.3f}" for p in _COLUMNS))
    return table


def _peers(result: dict[str, Any]) -> Table:
    table = Table("frames to labels, ms")
    for name in (*_COLUMNS, "times fuseg's p50", "equal labels"):
        table.add_column(name, justify="right")
    row = result["total_ms"]
    table.add_row("fuseg", *(f"{row[p]:.3f}" for p in _COLUMNS), "1.00", "")
    for name, row in result["peers"].items():
        if "unavailable" not in row:
            table.add_row(
                name,
                *(f"{row[p]:.3f}" for p in _COLUMNS),
                f"{row['ratio']:.2f}",
                f"{row['label_agreement']:.2%}",
            )
    return table


def _show_pre_post(row: dict[str, float]) -> None:
    print(
        f"before and after the engine: fuseg {row['fuseg_ms']:.3f} ms "
        f"({row['fuseg_share']:.1%} of its total), recipe {row['recipe_ms']:.3f} ms "
        f"({row['recipe_pre_ms']:.3f} + {row['recipe_post_ms']:.3f}, "
        f"{row['recipe_share']:.1%} of its total): {row['ratio']:.1f} times"
    )
