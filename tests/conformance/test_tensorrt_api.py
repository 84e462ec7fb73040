"""What fuseg uses of TensorRT is in the real bindings of every version it supports.

The doubles record what the scenario does.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conformance import bindings, check

import fuseg

NAME = re.compile(r"\b_?trt\.([A-Za-z_]+)(?:\.([A-Za-z_0-9]+))?")


@pytest.mark.parametrize("version", bindings.WHEELS)
def test_what_the_doubles_recorded_is_in_the_version(version, real, recorded_uses):
    found = recorded_uses(version)
    assert {"Builder", "IExecutionContext"} <= {use.where for use in found}
    assert check.recorded(real(version), found) == []


def test_a_name_in_the_sources_is_in_every_version_or_some_run_met_it(
    real, recorded_uses
):
    texts = (path.read_text() for path in Path(fuseg.__file__).parent.rglob("*.py"))
    written = {found for text in texts for found in NAME.findall(text)}
    assert len(written) > 10
    met = {use.member for v in bindings.WHEELS for use in recorded_uses(v)} | {""}
    for api in map(real, bindings.WHEELS):
        for first, second in written:
            assert first in met | api.module.keys()
            if second not in met:
                assert second in api.classes[api.module[first].of].members
