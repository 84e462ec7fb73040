"""The public surface is a list somebody typed, and it is kept in public_names.json;
that of fuseg.ops in kernels.inc, which names a function and a class for each kernel."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

import fuseg

TESTS = Path(__file__).parent
LOCKED = json.loads((TESTS / "public_names.json").read_text())
LOCKED["fuseg.ops"] = sorted(
    name
    for pair in re.findall(
        r"^FUSEG_KERNEL\((\w+), (\w+)\)",
        (TESTS.parent / "kernels" / "kernels.inc").read_text(),
        re.MULTILINE,
    )
    for name in pair
)


@pytest.mark.parametrize("module", sorted(LOCKED))
def test_public_names_are_the_locked_ones(module):
    assert sorted(importlib.import_module(module).__all__) == LOCKED[module]


@pytest.mark.parametrize("module", sorted(LOCKED))
def test_every_public_name_exists(module):
    found = importlib.import_module(module)
    assert [name for name in found.__all__ if not hasattr(found, name)] == []


def test_the_top_has_at_most_fifteen_names():
    assert len(LOCKED["fuseg"]) <= 15


def test_dir_shows_the_public_names_alone():
    assert dir(fuseg) == LOCKED["fuseg"]
