"""The examples of docs/spec.md, one for each kind of input and output."""

from __future__ import annotations

import json
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text()
SECTION = PAGE.partition("\n## Each kind by example\n")[2].partition("\n## ")[0]
EXAMPLES = [json.loads(t) for t in re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)]
# The entry that an example is about is its last.
ABOUT = [(e.get("outputs") or e["inputs"])[-1] for e in EXAMPLES]


def add(given, *examples):
    """A manifest of one graph, as JSON, with what the examples add, without files."""
    made = {**given, "files": {}, "samples": []}
    for example in examples:
        made["tensors"] = made["tensors"] | example["tensors"]
        for key in ("inputs", "outputs"):
            new = example.get(key, [])
            names = [entry["name"] for entry in new]
            kept = [entry for entry in made[key] if entry["name"] not in names]
            made[key] = kept + new
    filled = {entry["tensor"] for entry in made["inputs"]}
    (graph,) = made["graphs"]
    writes = sorted(set(made["tensors"]) - filled)
    made["graphs"] = [{**graph, "reads": sorted(filled), "writes": writes}]
    return made
