"""gpu_check.py without a GPU: it explains, refuses, and tries out what it can."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gpu_bars
import gpu_compare
import gpu_frames
import gpu_place
import numpy as np
import pytest

HERE = Path(__file__).parent
SMALL = HERE.parent / "data" / "format1.fuseg"
SECTIONS = (
    *("unpack", "machine", "build", "tests", "native", "times"),
    *("onnxruntime", "tensorrt", "sanitizer"),
)
without_gpu = pytest.mark.skipif(gpu_place.gpus() > 0, reason="there is a GPU here")


@pytest.fixture
def check(tmp_path):
    def run(*words):
        command = [sys.executable, HERE / "gpu_check.py", "--work", tmp_path / "work"]
        return subprocess.run(
            [*command, *words],
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | {"OUT": str(tmp_path)},
        )

    return run


@pytest.fixture
def frames(tmp_path):
    """The sections about whole frames, on a bundle that has float32 alone."""
    (tmp_path / "rgbd.fuseg").write_bytes(SMALL.read_bytes())
    made = gpu_frames.Frames(gpu_place.Place(tmp_path, dry=True))
    yield made
    made.team.close()


@without_gpu
def test_without_a_gpu_each_section_is_explained_and_the_end_is_one_sentence(
    check, tmp_path
):
    done = check()
    assert done.returncode == 1
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert heads == list(SECTIONS)
    assert done.stdout.count("would run: ") == done.stdout.count("needs: ") == 9
    assert done.stderr.startswith("gpu-check needs an NVIDIA GPU and CUDA shows none")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "work").exists()


@without_gpu
def test_only_the_sections_that_were_asked_for_are_explained(check):
    done = check("--only", "tensorrt", "--only", "native")
    heads = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert (done.returncode, heads) == (1, ["native", "tensorrt"])


def test_a_section_that_does_not_exist_is_refused(check):
    done = check("--dry-run", "--only", "speed")
    assert done.returncode == 2
    assert "--only must be one of unpack, machine, build" in done.stderr


def test_a_section_that_fails_loses_no_other_and_calls_add_up(check, tmp_path):
    done = check("--dry-run", "--only", "unpack", "--only", "native")
    assert done.returncode == 1
    assert "native" in done.stdout
    assert "rgbd.fuseg must be there, or unpacked" in done.stdout
    record = json.loads(next(tmp_path.glob("gpu-check--*--dry-run.json")).read_text())
    assert record["unpack"]["skipped"] == "no --unpack DIR was given"
    assert record["native"]["error"].endswith("of the archive inputs.")
    folder = tmp_path / "chunks"
    folder.mkdir()
    (folder / "index.json").write_text("{}")
    done = check("--dry-run", "--only", "unpack", "--unpack", folder)
    assert done.returncode == 0
    record = json.loads(next(tmp_path.glob("gpu-check--*--dry-run.json")).read_text())
    assert "skipped" not in record["unpack"]
    assert "error" in record["native"]


def test_frames_go_through_both_seams_of_the_double(frames):
    record = {}
    frames.native(record)
    assert record["equal labels"] is True
    for seam in ("native", "pycuda"):
        assert record[seam]["seam"] == seam
        shares = record[seam]["labels as the CPU's"]
        ways = ("one call a frame", "a smaller camera", "submit and result", "a clone")
        assert [shares[way] for way in ways] == [1.0] * 4


class Answers:
    """In place of a program: what `Frames` asks of it, answered."""

    def __init__(self, **ways):
        self.ways = {"a clone": 1.0, "without graph": None, **ways}

    def ask(self, do, seconds):
        assert (do, seconds) == ("check", 60)
        return dict(self.ways)


@pytest.mark.parametrize(
    ("ways", "sentence"),
    [
        ({"a clone": 0.5}, r"^native, a clone: 0\.50000 of the labels fit; pycuda"),
        ({"a clone": "failed: lost"}, "^native, a clone failed: lost"),
        ({"without graph": "refused"}, "^native: no CUDA graph: refused"),
    ],
)
def test_what_is_wrong_with_a_seam_fails_its_section(
    frames, monkeypatch, ways, sentence
):
    monkeypatch.setattr(frames.team, "begin", lambda *_: Answers(**ways))
    monkeypatch.setattr(frames.team, "set_up", lambda *_: {})
    monkeypatch.setattr(frames.team, "labels", lambda *_: np.zeros(1))
    with pytest.raises(RuntimeError, match=sentence):
        frames.native({})


def test_seams_with_different_labels_fail_the_section(frames, monkeypatch):
    labels = iter([np.zeros(4), np.array([0, 0, 1, 0])])
    monkeypatch.setattr(frames.team, "begin", lambda *_: Answers())
    monkeypatch.setattr(frames.team, "set_up", lambda *_: {})
    monkeypatch.setattr(frames.team, "labels", lambda *_: next(labels))
    record = {}
    with pytest.raises(RuntimeError, match=r"^the two seams give different labels$"):
        frames.native(record)
    assert record["equal labels"] is False


def test_tensorrt_variants_that_fail_lose_no_other_one(frames, monkeypatch):
    pytest.importorskip("cv2")
    monkeypatch.setattr(gpu_compare, "TORCH", ())
    record = {}
    with pytest.raises(RuntimeError, match="'fp16'"):
        frames.tensorrt(record)
    assert set(record["failed"]) == {
        "fuseg, tensorrt, int8-trt8",
        "fuseg, tensorrt, fp16",
    }
    row = record["fuseg, tensorrt, fp32"]
    assert row["labels as fuseg on the CPU, fp32"] == 1.0
    assert row["engine"]["io_formats"]["rgb"] == "float32 linear"
    assert 0 <= row["miou"] <= 1
    assert set(row["alone"]["split_ms"]) == {"pack", "network", "label", "total"}
    assert len(row["bars"]) == 4
    assert row["power"]["kind"] in ("jetson", "nvidia", "other")
    timed = record["frames_ms"]
    assert set(timed) == {
        "fuseg, tensorrt, fp32",
        "OpenCV, NumPy, ONNX Runtime CPU",
    }
    assert all(0 < t["p50"] <= t["p90"] <= t["p99"] for t in timed.values())


def test_onnxruntime_runs_on_its_double_and_a_missing_variant_is_told(
    frames, monkeypatch
):
    pytest.importorskip("cv2")
    monkeypatch.setattr(gpu_compare, "TORCH", ())
    record = {}
    with pytest.raises(RuntimeError, match="'fp16'"):
        frames.onnxruntime(record)
    row = record["fuseg, onnxruntime-cuda, fp32"]
    assert row["backend"] == "onnxruntime-cuda"
    assert row["labels as fuseg on the CPU, fp32"] == 1.0
    assert row["alone"]["power"]["kind"] in ("jetson", "nvidia", "other")
    assert "unavailable" in record["fuseg, onnxruntime-cuda, fp16"]
    assert "fuseg, onnxruntime-cuda, fp16" not in record["frames_ms"]


def test_a_bar_is_met_at_its_limit_and_missed_beyond():
    us = {
        "engine, loop": 110.0,
        "engine, graph": 97.0,
        "copies": 50.0,
        "transfers": 20.0,
        "pipelined frame": 100.0,
        "frame p50": 177.0,
        "frame p99": 177.0 * 1.2,
    }
    found = {bar["bar"]: bar for bar in gpu_bars.bars(us)}
    assert [bar["met"] for bar in found.values()] == [True, True, False, False]
    assert found["frames, two in flight, of the engine's rate"]["reached"] == 0.97
    assert found["us beyond engine and copies"]["reached"] == 30.0
    assert found["us beyond engine and transfers alone"]["reached"] == 60.0
    missed = gpu_bars.bars(us | {"pipelined frame": 101.0, "frame p50": 178.0})
    assert [bar["met"] for bar in missed][:2] == [False, False]


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """``worker(code)``: a process that runs this in place of gpu_worker.py."""
    import gpu_team

    made = []

    def make(code):
        script = tmp_path / f"worker{len(made)}.py"
        script.write_text(code)
        monkeypatch.setattr(gpu_team, "WORKER", script)
        log = tmp_path / f"{len(made)}.log"
        made.append(gpu_team.Worker(f"program {len(made)}", {}, log, environment={}))
        return made[-1]

    yield make
    gpu_team.stop_all(made)


GOOD = """import json, sys
for line in sys.stdin:
    print(json.dumps({"ms": 2.0}), flush=True)
"""


def test_a_program_that_ends_is_told_with_its_last_words(worker):
    from gpu_team import WorkerError

    dead = worker("import sys; sys.stdin.readline(); sys.exit('out of paper')")
    with pytest.raises(WorkerError, match=r"^program 0 ended with 1: out of paper$"):
        dead.ask("time", 20)


def test_a_program_that_hangs_is_ended(worker):
    from gpu_team import WorkerError

    hung = worker("import time; time.sleep(600)")
    with pytest.raises(WorkerError, match=r"^program 0 took more than 0 s"):
        hung.ask("time", 0.3)
    assert hung._process.returncode != 0


def test_a_program_that_fails_in_between_stops_no_other(worker):
    from gpu_team import interleave

    good, bad = worker(GOOD), worker("import sys; sys.stdin.readline()")
    found = interleave([good, bad], 2, 5, 60)
    good_row = {"p50": 2.0, "p90": 2.0, "p99": 2.0, "rounds": 5}
    assert found["program 0"] == good_row
    assert found["program 1"]["error"].startswith("program 1 ended with 0")


def test_kernels_of_other_sources_are_refused(tmp_path):
    from gpu_build import add_carried_kernels
    from gpu_sources import digest

    place = gpu_place.Place(tmp_path, dry=False)
    folder = place.unpacked / "tensorrt-python"
    (folder / "kernels").mkdir(parents=True)
    (place.site / "fuseg").mkdir(parents=True)
    library = "_kernels.cpython-311-x86_64-linux-gnu.so"
    (folder / "kernels" / library).write_text("")
    made_of = folder / "kernels" / "sources.json"
    made_of.write_text(json.dumps({"kernels": "0123456789abcdef"}))
    with pytest.raises(RuntimeError, match="must hold kernels of these sources"):
        add_carried_kernels(place)
    made_of.write_text(json.dumps({"kernels": digest("kernels")}))
    add_carried_kernels(place)
    assert (place.site / "fuseg" / library).exists()


def test_a_wheel_is_used_only_where_this_python_has_none(tmp_path):
    place = gpu_place.Place(tmp_path, dry=False)
    wheels = place.unpacked / "inputs" / "wheels"
    for name in ("numpy", "surely_not_there"):
        (wheels / name).mkdir(parents=True)
    path = place.python_path().split(os.pathsep)
    assert str(wheels / "surely_not_there") in path
    assert str(wheels / "numpy") not in path
    shutil.rmtree(wheels)
