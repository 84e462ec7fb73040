"""The README's table of what was proven where: no GPU without a record of one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools" / "docs"))

import proven_table


@pytest.fixture
def results(tmp_path):
    """The records that there are of CPUs and of compiled kernels."""
    for path in (ROOT / "benchmarks" / "results" / "0.1.0").glob("*.json"):
        if not path.name.startswith("gpu-check--"):
            shutil.copy(path, tmp_path)
    return tmp_path


def cells(results, row):
    (line,) = (x for x in proven_table.proven(results).splitlines() if row in x)
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("dry", [True, False])
def test_a_gpu_is_named_once_it_has_a_record(results, dry):
    record = {"dry run": dry, "machine": {"gpu": "A GPU 9000"}}
    (results / "gpu-check--a-gpu-9000.json").write_text(json.dumps(record))
    for row in ("CUDA kernels", "networks for TensorRT", "engines, CUDA graphs"):
        shown = cells(results, row)[-1]
        assert shown == "**no GPU yet**" if dry else shown.startswith("A GPU 9000: ")


def test_versions_are_those_that_the_tests_have(results, monkeypatch):
    monkeypatch.setattr(proven_table.doubles, "VERSIONS", ("8.6.1", "rtx-2.0"))
    assert cells(results, "engines, CUDA graphs")[2] == "run with 8.6.1 and RTX 2.0"
    monkeypatch.setattr(proven_table, "CASES", proven_table.CASES[:3])
    assert cells(results, "rules")[1].startswith("3 networks: the same verdict on 3,")
