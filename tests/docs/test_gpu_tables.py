"""The GPUs of docs/benchmarks.md: what a record holds, a sentence without one."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tools" / "docs"))

import gpu_tables

CPU = "labels as fuseg on the CPU, fp32"
TIMES = {"p50": 0.5, "p90": 0.625, "p99": 0.75, "rounds": 200}
FP16 = "fuseg, tensorrt, fp16"
RECORD = {
    "title": "gpu-check",
    "dry run": False,
    "machine": {"gpu": "A GPU 9000", "torch": "2.99"},
    "onnxruntime": {"skipped": "onnxruntime-gpu is not installed here"},
    "tests": {"error": "a test failed"},
    "times": {
        "copy_gb_per_s": 3000.0,
        "rows": [
            {
                "case": "pack_color int8 linear",
                "warm_us": 4.04,
                "share_of_copy": 0.255,
                "eager_ratio": 20.0,
                "compiled_ratio": 3.256,
            },
            {
                "case": "pack_color int8 chw4",
                "warm_us": 3.03,
                "share_of_copy": 0.5,
                "eager_ratio": 30.0,
                "of_linear": 0.75,
            },
        ],
    },
    "tensorrt": {
        "version": "8.6.1",
        "ours": [FP16],
        FP16: {
            CPU: 0.99987,
            "miou": 0.9512,
            "bars": [
                {
                    "bar": "p99 of p50",
                    "reached": 1.23456,
                    "must be": "<= 1.1",
                    "met": False,
                },
                {
                    "bar": "us beyond engine and copies",
                    "reached": 21.0,
                    "must be": "<= 30",
                    "met": True,
                },
            ],
        },
        "torch, eager": {CPU: 0.99999, "miou": 0.9538},
        "frames_ms": {
            FP16: TIMES,
            "torch, eager": {"p50": 4.0, "p90": 4.5, "p99": 5.25, "rounds": 200},
            "torch, compile": {"error": "it ended"},
        },
    },
}


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "benchmarks" / "results" / "0.0"
    folder.mkdir(parents=True)

    def write(name, record):
        (folder / f"gpu-check--{name}.json").write_text(json.dumps(record))

    write.text = lambda: gpu_tables.gpu(folder)
    return write


def test_without_a_record_one_sentence_says_that_nothing_ran(results):
    assert re.fullmatch(r"Nothing has run on a GPU yet; .*\.", results.text())


def test_a_dry_run_is_no_record(results):
    results("x86_64--dry-run", RECORD | {"dry run": True})
    assert results.text().startswith("Nothing has run on a GPU yet")


def test_a_record_is_shown_with_what_failed_and_what_was_missed(results):
    results("a-gpu-9000", RECORD)
    lines = results.text().splitlines()
    assert lines[0] == (
        "A GPU 9000, torch 2.99 "
        "([record](../benchmarks/results/0.0/gpu-check--a-gpu-9000.json)). "
        "Ran: machine, times, tensorrt. **Failed: tests.**"
    )
    assert f"| **{FP16}** | 0.500 | 0.625 | 0.750 | 1.00 | 0.99987 | 0.9512 |" in lines
    assert "| torch, eager | 4.000 | 4.500 | 5.250 | 8.00 | 0.99999 | 0.9538 |" in lines
    assert f"| {FP16} | p99 of p50 | 1.23 | <= 1.1 | missed |" in lines
    assert f"| {FP16} | us beyond engine and copies | 21 | <= 30 | met |" in lines
    assert "| pack_color int8 linear | 4.0 | 26% | 20.00 | 3.26 |  |" in lines
    assert "| pack_color int8 chw4 | 3.0 | 50% | 30.00 |  | 0.75 |" in lines
    assert not any(line.startswith("| torch, compile") for line in lines)


def test_tables_are_whole(results):
    results("a-gpu-9000", RECORD)
    tables = [t.splitlines() for t in results.text().split("\n\n") if t[0] == "|"]
    assert len(tables) == 3
    for table in tables:
        assert len({line.count("|") for line in table}) == 1


def test_a_record_of_a_run_that_broke_off_early_is_shown_too(results):
    results("b", {"title": "gpu-check", "dry run": False, "machine": {"error": "no"}})
    assert results.text() == (
        "a GPU, torch unknown ([record](../benchmarks/results/0.0/gpu-check--b.json)). "
        "Ran: nothing. **Failed: machine.**"
    )


def test_every_machine_has_its_tables(results):
    results("b", RECORD)
    results("a", RECORD | {"machine": {"gpu": "Another", "torch": "2.98"}})
    text = results.text()
    assert text.index("Another, torch 2.98") < text.index("A GPU 9000, torch 2.99")
