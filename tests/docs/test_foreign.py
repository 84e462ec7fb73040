"""Other people's networks: what tools/foreign says of them can be typed."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
import typer.main

from fuseg.cli.training_half import load
from fuseg_export.network.checkpoint import load_checkpoint
from fuseg_export.network.spec import make_spec
from fuseg_export.sources.factory import build_network

ROOT = Path(__file__).parents[2]
FOREIGN, WEIGHTS = ROOT / "tools" / "foreign", "random_weights.py"
ENTRIES = sorted((FOREIGN / "networks").glob("*.json"))


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


def test_random_weights_are_the_same_each_time_and_fill_the_network(tmp_path):
    spec = importlib.util.spec_from_file_location("weights", FOREIGN / WEIGHTS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    paths = [tmp_path / f"{name}.pth" for name in "ab"]
    for path in paths:
        module.main("unet", path, ["{}"])
    one, other = map(torch.load, paths)
    assert all(torch.equal(one[name], other[name]) for name in one)
    network = build_network("unet")
    load_checkpoint(network, paths[0])
