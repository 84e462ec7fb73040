"""What fewer bits cost the shipped network, from a record of `fuseg export --json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmark_tables import link

RECORD = "variants.json"
HEAD = (
    "| variant | mIoU (95 % of bootstrap draws) | worst class | labels equal to fp32's "
    "| layers in float |\n|---|---|---|---:|---:|"
)


def variants(results: Path) -> str:
    path = results / RECORD
    known = json.loads(path.read_text())["variants"]
    known.sort(key=lambda variant: (variant["name"] != "fp32", variant["name"]))
    return "\n".join([f"From a {link(path)}:", "", HEAD, *map(line, known)])


def line(variant: dict[str, Any]) -> str:
    """A row; a variant that no CPU runs was simulated on one."""
    own = f"{variant['miou']:.4f}"
    if variant["miou_drop_interval"] is None:
        return f"| {variant['name']} | {own} | | | |"
    name = variant["name"]
    if "cpu" not in variant["for"]:
        name += " (simulated on the CPU)"
    cells = (
        name,
        f"{own} ({interval(*variant['miou_drop_interval'])})",
        worst_class(variant["worst_class"], variant["worst_class_drop"]),
        f"{variant['label_agreement']:.5f}",
        in_float(len(variant["float_nodes"]), len(variant["sensitivity"])),
    )
    return f"| {' | '.join(cells)} |"


def interval(low: float, high: float) -> str:
    """What a drop between ``low`` and ``high`` does to the score."""
    if max(abs(low), abs(high)) < 0.00005:
        return "less than 0.0001"
    return f"{signed(-high)} to {signed(-low)}"


def worst_class(name: str | None, drop: float) -> str:
    loss = signed(-drop)
    return f"{name} {loss}" if loss.startswith("-") else "none by 0.0001"


def in_float(count: int, layers: int) -> str:
    return f"{count} of {layers}" if layers else str(count)


def signed(value: float) -> str:
    text = f"{value:+.4f}"
    return text if float(text) else "0.0000"
