"""``fuseg models``: the reference models that ``fuseg export`` knows by name."""

from __future__ import annotations

from typing import Any

from fuseg.cli.options import JsonOption
from fuseg.cli.printing import print_json, print_table

from ..models import REFERENCE, ReferenceModel

__all__ = ["models"]


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
        "parameters": sum(p.numel() for p in model.network().parameters()),
    }
