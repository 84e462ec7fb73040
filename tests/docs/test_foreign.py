"""Other people's networks: what tools/foreign says of them can be typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer.main

from fuseg.cli.training_half import load
from fuseg_export.network.spec import make_spec

ROOT = Path(__file__).parents[2]
ENTRIES = sorted((ROOT / "tools" / "foreign" / "networks").glob("*.json"))


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.stem)
def test_its_words_are_options_of_the_export(path):
    entry = json.loads(path.read_text())
    alone = typer.Typer(add_completion=False)
    alone.command("export")(load("export"))
    words = [entry["target"], *entry["options"], "-o", "o.fuseg"]
    said = typer.main.get_command(alone).make_context("export", words).params
    assert said["target"] == entry["target"]
    assert said["input"]
    assert bool(entry.get("repository")) != bool(entry.get("library"))
    assert len(entry.get("glue", [])) <= 3
    spec = entry.get("spec")
    if isinstance(spec, str):
        spec = json.loads((ROOT / spec).read_text())
    make_spec("spec", spec or {})


def test_there_are_as_many_as_the_page_promises():
    entries = [json.loads(path.read_text()) for path in ENTRIES]
    assert sum(bool(entry.get("repository")) for entry in entries) >= 15
    assert sum(bool(entry.get("library")) for entry in entries) >= 12
