"""``fuseg models``: the reference models that ``fuseg export`` knows by name."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fuseg.cli.options import JsonOption
from fuseg.cli.printing import print_json, print_table
from fuseg.manifest import ImageInput

from ..models import REFERENCE, ReferenceModel
from ..models.closest import closest
from ..models.cost import cost_of
from ..models.shipped import shipped_weights

__all__ = ["models"]

FamilyOption = Annotated[
    str | None,
    typer.Option(
        metavar="FAMILY", help="Only those of one family.", show_default=False
    ),
]


def models(family: FamilyOption = None, json: JsonOption = False) -> None:
    """List the reference models that can be exported by name.

    GMACs are the multiply-adds of a frame, in thousands of millions; --json has a
    summary of each model, too.
    """
    chosen = list(REFERENCE.values())
    if family is not None:
        closest("--family", family, list(dict.fromkeys(m.family for m in chosen)))
        chosen = [model for model in chosen if model.family == family]
    rows = [_describe(model) for model in chosen]
    if json:
        print_json({"models": rows})
        return
    print_table(
        ("name", "family", "inputs", "outputs", "parameters", "GMACs", "weights"),
        [
            (
                row["name"],
                row["family"],
                ", ".join(f"{i['name']} {_size(i)}" for i in row["inputs"]),
                ", ".join(o["name"] for o in row["outputs"]),
                f"{row['parameters']:,}",
                f"{row['multiply_adds'] / 1e9:.3f}",
                "yes" if row["weights"] else "no",
            )
            for row in rows
        ],
        right=("parameters", "GMACs"),
    )


def _describe(model: ReferenceModel) -> dict[str, Any]:
    cost = cost_of(model)
    pictures = {entry.name: entry for entry in model.given.pictures}
    others = {entry.record.name: entry for entry in model.given.others}
    inputs = [
        _picture(pictures[name])
        if name in pictures
        else {
            "name": name,
            "kind": others[name].record.kind,
            "shape": list(others[name].shape),
        }
        for name in model.given.order
    ]
    outputs = [
        {"name": name, "kind": said["kind"]}
        for name, said in model.said.outputs.items()
    ]
    return {
        "name": model.name,
        "family": model.family,
        "summary": model.summary,
        "inputs": inputs,
        "outputs": outputs or [{"name": "labels", "kind": "segmentation"}],
        "states": [state["tensor"] for state in model.said.states],
        "classes": [c.name for c in model.classes],
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "weights": shipped_weights(model.name) is not None,
    }


def _picture(entry: ImageInput) -> dict[str, Any]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "dtype": entry.dtype,
        "height": entry.resize.height,
        "width": entry.resize.width,
    }


def _size(described: dict[str, Any]) -> str:
    if "shape" in described:
        return "x".join(map(str, described["shape"]))
    return f"{described['height']}x{described['width']}"
