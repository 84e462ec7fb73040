"""Tables of the reference models: a made-up record, with all that may have failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "tools" / "docs"))
import zoo_pictures
import zoo_tables

import make_docs


def row(name, family, test, **changes):
    return {
        "row": name,
        "model": name,
        "family": family,
        "metric": "miou",
        "beats": {},
        "also": [],
        "test": test,
        "parameters": 123_456,
        "multiply_adds": 78_000_000,
        **changes,
    }


def variant(agreement, drop, refused=None, builder=None):
    outputs = {"labels": {"agreement": agreement, "miou_drop": drop}}
    return {"outputs": outputs, "refused": refused, "tensorrt": builder}


EXPORTED = {
    "export": {"labels": 0.99999, "boxes": 1.0},
    "variants": {
        "fp32": {"outputs": {}, "refused": None, "tensorrt": "40 kernels"},
        "fp16": variant(0.9998, 0.00001, builder="38 kernels"),
        "int8-cpu": variant(0.97, 0.031, "it is not faster here: 2 ms against 1 ms"),
    },
    "bytes": 1_530_000,
    "p50_ms": 2.345,
}
ROWS = [
    row("alone", "fusion", {"miou": 0.5, "majority": 0.04}, beats={"majority": 0.2})
    | EXPORTED,
    row(
        "both",
        "fusion",
        {"miou": 0.51, "majority": 0.04, "flicker_all": 0.1},
        also=["flicker_all"],
        beats={"alone": 0.02, "deaf:flicker_all": -1.0},
    )
    | EXPORTED,
    row("deaf", "sound", {"miou": 0.1, "flicker_all": 0.3}),
    row("sound", "sound", {"miou": 0.3}, refused="its scores are one too many."),
    row(
        "less",
        "fusion",
        {"miou": 0.48},
        model="both",
        before={"miou": 0.2},
    )
    | EXPORTED,
]


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    (folder / "zoo.json").write_text(json.dumps({"rows": ROWS}))
    return folder


def cells(table):
    """Of each line, its cells; below the head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    split = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    assert len({len(line) for line in split}) == 1
    return {line[0]: line[1:] for line in split[2:]}


def test_the_whole_table_has_every_system_and_says_what_failed(results, tmp_path):
    page = tmp_path / "docs" / "models.md"
    table = zoo_tables.zoo(results, page)
    assert "(../benchmarks/results/zoo.json)" in table
    lines = cells(table)
    assert [*lines] == ["`alone`", "`both`", "`sound`", "`less`, of `both`"]
    assert lines["`alone`"] == [
        *("miou 0.500", "majority 0.040", "123,456", "0.078", "0.99999", "1.53 MB"),
        *("2.35 ms", "+0.0000, 0.9998 alike"),
        "-0.0310, 0.9700 alike; left out: it is not faster here: 2 ms against 1 ms",
        *("none", "38-40 kernels"),
    ]
    assert lines["`both`"][:2] == [
        "miou 0.510; flicker all 0.100",
        "alone 0.500, **wanted +0.02**; deaf flicker all 0.300",
    ]
    assert lines["`sound`"][4] == "refused: its scores are one too many."
    assert lines["`less`, of `both`"][0] == "miou 0.480 (before 0.200)"


def test_a_page_has_its_families_and_the_pictures_that_there_are(results, tmp_path):
    page = tmp_path / "docs" / "models" / "fusion.md"
    short = zoo_tables.family(results, page)
    assert "(../../benchmarks/results/zoo.json)" in short
    assert "![" not in short
    lines = cells(short)
    assert [*lines] == ["`alone`", "`both`"]
    assert lines["`alone`"][4:] == [
        *("1.53 MB", "2.35 ms", "+0.0000"),
        "-0.0310; left out: it is not faster here",
    ]
    assert [*cells(zoo_tables.family(results, page.with_stem("compression")))] == [
        "`less`, of `both`"
    ]
    sound = zoo_tables.family(results, page.with_stem("sound"))
    assert cells(sound)["`sound`"][4] == "refused"
    (page.parent / "pictures").mkdir(parents=True)
    (page.parent / "pictures" / "gated-middle.png").touch()
    assert zoo_tables.family(results, page).endswith("(pictures/gated-middle.png)")


def test_the_builders_refusals_and_counts_are_told():
    refused = variant(1, 0, builder="no INT8 for this layer")
    assert zoo_tables.built({"fp32": variant(1, 0)}) == "not installed"
    assert zoo_tables.built({"fp32": variant(1, 0, builder="9 kernels")}) == "9 kernels"
    assert zoo_tables.built({"int8-trt": refused, **EXPORTED["variants"]}) == (
        "no INT8 for this layer; 38-40 kernels"
    )


def test_without_a_record_every_table_says_so(tmp_path):
    assert zoo_tables.zoo(tmp_path, tmp_path / "models.md").startswith("Not measured")
    page = tmp_path / "sound.md"
    assert zoo_tables.family(tmp_path, page).startswith("Not measured")


def test_every_page_of_models_is_filled():
    pages = {p.stem for p in (make_docs.ROOT / "docs" / "models").glob("*.md")}
    assert pages == {*zoo_tables.PAGES}


def test_pictures_of_pages_are_copied_and_others_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo_pictures, "PICTURES", tmp_path / "pictures")
    monkeypatch.setattr(sys, "argv", ["zoo_pictures.py", str(tmp_path)])
    for name in ("sound", "fcn-frozen"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "picture.png").write_text(name)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "video.png").write_text("old")
    zoo_pictures.main()
    found = {p.name: p.read_text() for p in (tmp_path / "pictures").iterdir()}
    assert found == {"sound.png": "sound", "video.png": "old"}
