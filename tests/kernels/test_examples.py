"""The examples in the docstrings run, and show what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest

from fuseg import ops


@pytest.mark.parametrize("name", [*filter(str.islower, ops.__all__)])
def test_example(name):
    module = importlib.import_module(getattr(ops, name).__module__)
    outcome = doctest.testmod(module)
    assert outcome.attempted > 0
    assert outcome.failed == 0
