"""Other people's networks: what came of exporting each, from records."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

NETWORKS = Path(__file__).parents[1] / "foreign" / "networks"
COLUMNS = (
    ("network", ""),
    ("glue", "r"),
    ("labels alike", "r"),
    ("scores apart", "r"),
    ("opset", "r"),
    ("nodes", "r"),
    ("TensorRT's builder", ""),
    ("fp16", "r"),
    ("int8-cpu", "r"),
    ("int8-trt", "r"),
    ("CPU s", "r"),
    ("peak MB", "r"),
)


def foreign(results: Path) -> str:
    """Two tables, of repositories and of libraries, and the command of each network."""
    records = [
        json.loads(path.read_text()) for path in sorted(results.glob("foreign/*.json"))
    ]
    own = [record for record in records if record["repository"]]
    libraries = [record for record in records if record["library"]]
    works = sum("error" not in record for record in own)
    lines = [f"{works} of {len(own)} networks of public repositories:", ""]
    lines += _table(own)
    works = sum("error" not in record for record in libraries)
    lines += ["", f"{works} of {len(libraries)} networks of libraries:", ""]
    lines += _table(libraries)
    waiting = sorted(_titles(NETWORKS) - {record["title"] for record in records})
    if waiting:
        lines += ["", f"Described there, and not run yet: {'; '.join(waiting)}."]
    lines += ["", "Their commands, beside `--checkpoint` and `-o`:", ""]
    for record in records:
        lines += [f"- {record['title']}: `{record['command']}`"]
    return "\n".join(lines)


def _titles(folder: Path) -> set[str]:
    return {json.loads(path.read_text())["title"] for path in folder.glob("*.json")}


def _table(records: list[dict[str, Any]]) -> list[str]:
    heads = [name for name, _ in COLUMNS]
    sides = ["---:" if side else "---" for _, side in COLUMNS]
    rows = [heads, sides, *map(_cells, records)]
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return [re.sub(r"\|  (?=\|)", "| ", line) for line in lines]


def _cells(record: dict[str, Any]) -> list[str]:
    name, glue = _named(record), str(record["glue"])
    if "error" in record:
        return [name, glue, f"no: {record['error']}", *[""] * (len(COLUMNS) - 3)]
    nodes = record["nodes"]
    variants = {variant["name"]: variant for variant in record["variants"]}
    return [
        name,
        glue,
        f"{record['label_agreement']:.6f}",
        f"{record['max_abs_logit_diff']:.1e}",
        f"{record['opset']}{' (dynamo)' * (record['exporter'] == 'dynamo')}",
        f"{next(iter(nodes.values()))} to {nodes['runtime']}",
        _built(variants["fp32"]),
        *(_judged(variants.get(name)) for name in ("fp16", "int8-cpu", "int8-trt")),
        f"{record['cpu_seconds']:.0f}",
        f"{record['peak_mb']}",
    ]


def _named(record: dict[str, Any]) -> str:
    weights = ", its authors' weights" if record["weights"] != "random" else ""
    if not record["repository"]:
        return f"{record['library']}: {record['title']}{weights}"
    link = f"https://github.com/{record['repository']}"
    commit = (record.get("commit") or "")[:7]
    return f"[{record['title']}]({link}) {commit}{weights}"


def _built(fp32: dict[str, Any]) -> str:
    if fp32["tensorrt_refused"]:
        return "refuses it"
    return f"{fp32['engine_bytes'] / 1e6:.0f} MB"


def _judged(variant: dict[str, Any] | None) -> str:
    """How many labels are fp32's; in brackets, of what was left out of the bundle."""
    if variant is None or variant["label_agreement"] is None:
        return ""
    share = f"{variant['label_agreement']:.4f}"
    return share if variant["in_bundle"] else f"({share})"
