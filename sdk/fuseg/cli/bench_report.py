"""The result of ``fuseg bench`` as tables."""

from __future__ import annotations

from typing import Any

from .printing import plural, print_table, say, warn

_COLUMNS = ("p50", "p90", "p99")


def show(result: dict[str, Any]) -> None:
    """Print what ``bench --json`` would."""
    made, settings = result["machine"], result["settings"]
    say(f"{result['model']} ({result['variant']}, {result['backend']})")
    say(f"{made['cpu']}, {plural(made['cores'], 'core')}, {made['system']}")
    say("  ".join(f"{name} {v}" for name, v in result["versions"].items()))
    sizes = ", ".join(
        f"{name} {'x'.join(map(str, shape))}"
        for name, shape in settings["frame_shapes"].items()
    )
    say(
        f"{plural(settings['rounds'], 'interleaved round')} on "
        f"{plural(settings['frames'], 'frame')} ({sizes}), "
        f"{plural(settings['threads'], 'thread')} for every program"
        + ("" if settings["allow_spinning"] else " (fuseg's sleep while they wait)")
        + ", "
        f"each timed call after a pause of {settings['pause_ms']:g} ms and an untimed "
        "call of the same program"
    )
    _print_stages(result)
    if result["program"] is not None:
        _print_program(result["program"])
    _print_peers(result)
    for sentence in result["noise"]["warnings"]:
        warn(sentence)
    for name, row in result["peers"].items():
        if "unavailable" in row:
            say(f"not timed: {name}: {row['unavailable']}")
    if result["pre_post"] is not None:
        _show_pre_post(result["pre_post"])


def _print_stages(result: dict[str, Any]) -> None:
    rows = {**result["stages_ms"], "total": result["total_ms"]}
    print_table(
        ("fuseg, ms", *_COLUMNS),
        [(name, *(f"{row[p]:.3f}" for p in _COLUMNS)) for name, row in rows.items()],
        right=_COLUMNS,
    )


def _print_program(program: dict[str, Any]) -> None:
    numbers = "ran", *_COLUMNS
    rows = [
        (
            name,
            f"{row['ran']} of {row['of']}",
            *(f"{row[p]:.3f}" if p in row else "" for p in _COLUMNS),
        )
        for name, row in program["graphs"].items()
    ]
    print_table(("graph, ms", *numbers), rows, right=numbers)
    numbers = "calls", *_COLUMNS
    rows = [
        (
            ", ".join(row["graphs"]) or "none",
            str(row["calls"]),
            *(f"{row[p]:.3f}" for p in _COLUMNS),
        )
        for row in program["calls"]
    ]
    print_table(("calls by the graphs that ran, ms", *numbers), rows, right=numbers)
    say(f"mean of all calls: {program['mean_ms']:.3f} ms")


def _print_peers(result: dict[str, Any]) -> None:
    timed = {"fuseg": {**result["total_ms"], "ratio": 1.0}}
    timed |= {n: r for n, r in result["peers"].items() if "unavailable" not in r}
    numbers = *_COLUMNS, "spread", "p50 / fuseg", "equal labels"
    rows = []
    for name, row in timed.items():
        equal = row.get("label_agreement")
        rows.append(
            (
                name,
                *(f"{row[p]:.3f}" for p in _COLUMNS),
                f"{result['noise']['spread'][name]:.0%}",
                f"{row['ratio']:.2f}",
                "" if equal is None else f"{equal:.2%}",
            )
        )
    print_table(("frames to labels, ms", *numbers), rows, right=numbers)


def _show_pre_post(row: dict[str, float]) -> None:
    say(
        f"pre- and post-processing: fuseg {row['fuseg_ms']:.3f} ms "
        f"({row['fuseg_share']:.1%} of its total), recipe {row['recipe_ms']:.3f} ms "
        f"({row['recipe_pre_ms']:.3f} + {row['recipe_post_ms']:.3f}, "
        f"{row['recipe_share']:.1%} of its total): {row['ratio']:.1f} times as long"
    )
