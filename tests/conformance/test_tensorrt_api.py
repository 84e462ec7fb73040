"""What fuseg uses of TensorRT is in the real bindings of every version it supports.

The doubles record what the scenario does; the sources tell what no scenario reaches.
"""

from __future__ import annotations

import pytest
from conformance import bindings, check, mutate, uses


@pytest.fixture(scope="module")
def apis(real):
    return [real(version) for version in bindings.WHEELS]


@pytest.fixture(scope="module")
def texts():
    found = uses.sources()
    assert found, "no module of fuseg imports tensorrt"
    return found


@pytest.fixture(scope="module")
def runs(recorded_uses):
    return {version: recorded_uses(version) for version in bindings.WHEELS}


@pytest.mark.parametrize("version", bindings.WHEELS)
def test_what_the_doubles_recorded_is_in_the_version(version, real, recorded_uses):
    found = recorded_uses(version)
    assert {"Builder", "IExecutionContext"} <= {use.where for use in found}
    assert check.recorded(real(version), found) == []


def test_what_the_sources_name_is_in_the_versions(texts, apis, runs):
    sources = [uses.read(name, text) for name, text in texts.items()]
    assert check.written(sources, apis, runs) == []


def test_one_wrong_name_in_the_sources_is_found_and_nothing_else(texts, apis, runs):
    """A mutation of every name, keyword and call of TensorRT, one at a time."""
    kinds, names = set(), set()
    for name, text in texts.items():
        for mutant in mutate.mutants(name, text, apis):
            changed = uses.read(name, mutant.text)
            wrong = check.written([changed], apis, runs)
            assert all(sentence.startswith(f"{mutant.place}: ") for sentence in wrong)
            assert [mutant.name in w for w in wrong] == [True], mutant
            kinds.add(mutant.kind)
            names.add(mutant.name)
    assert kinds >= {"module", "enum", "method", "property", "keyword", "added keyword"}
    assert names >= {"execute_async_v3z", "set_tensor_addressz", "stream_handlez"}
