"""The bench: who is beside whom, when a bar is met, when a run fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Time passes when this clock is read, a microsecond, and when a candidate says so.
CASE = """
import sys
sys.path.insert(0, {folder!r})
import fuseg.bench.timing
import timing
from record import COLD, Bar, compare, report

class Clock:
    now = 0
    def perf_counter_ns(self):
        self.now += 1000
        return self.now
    def perf_counter(self):
        return self.perf_counter_ns() / 1e9
    def passes(self, us):
        def call():
            self.now += us * 1000 - 1000
        return call

timing.time = fuseg.bench.timing.time = clock = Clock()
timing.SWEEP = 4096

def cases():
    assert {right}, "the answer is wrong"
    lasts = {{"ours": 10, "half": 20, "slow": 9000}}
    calls = {{name: clock.passes(us) for name, us in lasts.items()}}
    fastest = Bar({least}, ("half", "slow", "absent"), avx2={least})
    bars = [Bar(900, "slow", avx2=900), fastest]
    compare("left out", calls, 100, seconds=0)
    return compare("a case", calls, read=64, written=4096, bars=bars, seconds=0)

if __name__ == "__main__":
    report("fake", cases)
"""

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="pins itself to a core, as Linux can"
)


@pytest.fixture
def bench(tmp_path):
    def run(*options: str, least: float = 2, right: bool = True):
        script = tmp_path / "bench_fake.py"
        script.write_text(CASE.format(folder=str(BENCHMARKS), least=least, right=right))
        command = [sys.executable, script, "--save", tmp_path / "kept.json", *options]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        kept = tmp_path / "kept.json"
        return done, json.loads(kept.read_text()) if kept.exists() else None

    return run


def test_two_runs_are_kept_with_every_candidate_and_the_floors(bench):
    done, kept = bench("--runs", "2", "--only", "a case", "--strict")
    assert done.returncode == 0, done.stderr
    assert len(kept["runs"]) == 2
    for rows in kept["runs"]:
        names = [row["name"] for row in rows]
        floors = ["floor, warm", "ours, cold", "floor, cold"]
        assert names == ["ours", "half", "slow", *floors]
        assert {row["case"] for row in rows} == {"a case"}
        assert rows[0]["floor_share"] == rows[4]["floor_share"] == 0.1
        assert [row["ratio"] for row in rows[:3]] == [1, 2, 900]
        assert rows[0]["median_us"] == rows[0]["p95_us"] == 10
        first, second = rows[0]["bars"]
        assert first["met"]
        assert first["peer"] == "slow"
        assert second["met"]
        assert second["peer"] == "half"
    assert "2 of 2" in done.stdout


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--strict",), 1)])
def test_a_missed_bar_fails_a_strict_run_only(bench, options, status):
    done, kept = bench(*options, least=50)
    assert done.returncode == status
    assert [bar["met"] for bar in kept["runs"][0][0]["bars"]] == [True, False]
    assert "MISSED" in done.stdout
    assert "0 of 1" in done.stdout


def test_a_wrong_answer_fails_and_keeps_nothing(bench):
    done, kept = bench(right=False)
    assert done.returncode != 0
    assert "the answer is wrong" in done.stderr
    assert kept is None
