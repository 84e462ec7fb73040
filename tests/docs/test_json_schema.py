"""The JSON Schemas in docs/: what fuseg accepts, and what a field alone can refuse."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from fuseg.bundle import Bundle
from fuseg.manifest import Manifest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
MANIFEST, SPEC = (
    Draft202012Validator(json.loads((ROOT / "docs" / name).read_text()))
    for name in ("manifest.schema.json", "spec.schema.json")
)
# What a field alone can refuse; the rest are keys that must fit each other.
BY_FIELD = re.compile(
    r"must be (one of '|a list|an object|a string)|is not a key of the format"
    r"|is missing: it must be (1\.|one of|a string|a list)"
    r"|must be [01] to (1|255|65535|16384 pixels), got|must be at least 1, got"
    r"|must not be negative, got -1"
)
MORE = re.compile(
    r"x1b|ud800|for kind|a key of prov|null is no"
)  # of these only fuseg knows


def read(text):
    return json.loads(text)


def refusals():
    for line in (DATA / "manifest_refusals.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            path, value, sentence = line.split(" | ")
            steps = [int(step) if step.isdigit() else step for step in path.split("/")]
            yield steps, value, sentence


def changed(steps, value):
    whole = read((DATA / "manifest.json").read_text())
    place = whole
    for step in steps[:-1]:
        place = place[step]
    if value == "GONE":
        del place[steps[-1]]
    else:
        place[steps[-1]] = read(value)
    return whole


@pytest.mark.parametrize("schema", [MANIFEST, SPEC], ids=["manifest", "spec"])
def test_the_schema_is_a_schema(schema):
    schema.check_schema(schema.schema)


@pytest.mark.parametrize("path", sorted(DATA.glob("*.fuseg")), ids=lambda p: p.name)
def test_every_published_bundle_is_valid(path):
    MANIFEST.validate(read(Bundle.open(path).manifest.dump()))


def test_the_demos_bundle_is_valid(rgbd_bundle):
    MANIFEST.validate(read(Bundle.open(rgbd_bundle).manifest.dump()))


def test_a_manifest_with_every_key_is_valid_as_written_and_as_dumped():
    text = (DATA / "manifest.json").read_text()
    MANIFEST.validate(read(text))
    MANIFEST.validate(read(Manifest.parse(text).dump()))


def test_what_a_field_alone_can_refuse_is_refused():
    rows = [row for row in refusals() if "shape" not in row[0]]
    tried = [r for r in rows if BY_FIELD.search(r[2]) and not MORE.search(r[2])]
    assert len(tried) > 35
    for steps, value, sentence in tried:
        assert not MANIFEST.is_valid(changed(steps, value)), sentence


def test_the_examples_of_spec_files_are_valid():
    page = (ROOT / "docs" / "spec.md").read_text().partition("\n## The spec file\n")[2]
    examples = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(examples) > 1
    for example in examples:
        SPEC.validate(read(example))


@pytest.mark.parametrize(
    "spec",
    [
        {"input": {}},
        {"inputs": {"rgb": {"kind": "depth"}}},
        {"inputs": {"rgb": {"resize": {"filter": "cubic"}}}},
        {"classes": []},
        {"classes": [{"name": "road"}]},
        {"ignore": None},
    ],
    ids=str,
)
def test_a_wrong_spec_file_is_refused(spec):
    assert not SPEC.is_valid(spec)
