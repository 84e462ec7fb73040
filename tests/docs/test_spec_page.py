"""docs/spec.md says what the exporter takes for granted, and every key it knows."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

import fuseg
from fuseg import manifest
from fuseg.errors import ArgumentError
from fuseg.manifest.schema import dump
from fuseg.manifest.variants import _PROMISES
from fuseg.runtime.inputs import adapter_of
from fuseg_export.network.input_options import make_inputs

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ")
]
(HEAD,) = (row for row in ROWS if row[1] == "`color`")
DEFAULTS = [row for row in ROWS if len(row) == len(HEAD) and row is not HEAD]
NOT_OF_A_SPEC = ("name", "kind", "tensor", "channel", "statistics")


# An option of the text, and the spec file below it.
SPECS = re.findall(r"`--input (\S+)` with:\n\n```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("column", range(1, len(HEAD)))
def test_the_defaults_are_the_exporters(column):
    kind = HEAD[column].strip("`")
    (made,) = make_inputs([f"x={kind}:8x8"], [], {})
    for key, *cells in DEFAULTS:
        found = made
        for part in key.strip("`").split("."):
            found = getattr(found, part, None)
        cell = cells[column - 1].strip("`")
        documented = json.loads(cell) if cell else None
        assert found == (
            tuple(documented) if isinstance(documented, list) else documented
        ), key


def test_every_key_of_the_format_is_on_the_page():
    listed = {row[0].strip("`") for row in ROWS}
    records = [getattr(manifest, name) for name in manifest.__all__]
    keys = {
        field.metadata.get("key", field.name)
        for record in records
        if isinstance(record, type)
        for field in fields(record)
    }
    assert {"inputs", "max_ahead_ms", "for", "sha256"} <= keys <= listed
    for name in _PROMISES:
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("key", NOT_OF_A_SPEC)
def test_what_a_spec_cannot_change_is_refused(key):
    with pytest.raises(ArgumentError, match=f"inputs.x must not hold '{key}': --input"):
        make_inputs(["x=color:8x8"], [], {"x": {key: None}})


@pytest.mark.parametrize(("word", "spec"), SPECS)
def test_an_example_is_an_input_that_is_labelled(make_bundle, word, spec):
    """With every key as it says, and blank frames of the shape that it asks for."""
    (said,) = json.loads(spec)["inputs"].items()
    name, keys = said
    (made,) = make_inputs([word], [], {name: keys})
    assert keys.items() <= dump(made).items()
    segmenter = fuseg.load(make_bundle(made).path)
    for frame in adapter_of(made).blank_frames():
        assert segmenter(**{name: frame + frame.dtype.type(1)}).labels.size


def test_there_are_examples():
    assert SPECS
