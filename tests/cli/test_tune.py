"""``fuseg tune`` and what the other commands make of it; no time here is real."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import fuseg as library
from fuseg.cli import tune


@pytest.fixture
def measured(monkeypatch):
    """``measured({"onnxruntime fp32": 8.0})``: milliseconds of each call; what is not
    named takes 10. Returns the programs that were timed."""

    def make(times):
        timed = []

        def time_frames(programs, frames, rounds):
            for program in programs.values():
                program(frames[0])
            timed[:] = programs
            assert len(list(rounds)) == 4
            return {name: [times.get(name, 10.0)] * 4 for name in programs}

        monkeypatch.setattr(tune, "time_frames", time_frames)
        return timed

    return make


@pytest.fixture
def several(sampled, with_variants, onnx_of, rgbd):
    """A bundle of fp32, a right fp16, an int8-cpu whose labels are wrong, and one for
    TensorRT."""
    wrong = onnx_of(rgbd, bias=rgbd.bias + np.float32([3, 0, 0, 0]))
    networks = {"int8-trt": None, "fp16": None, "int8-cpu": wrong, "fp32": None}
    return with_variants(sampled(), networks)


def run(fuseg, path, *words):
    done = fuseg("tune", path, "--rounds", "4", "--json", *words)
    assert done.code == 0, done.stderr
    return done.json


def test_the_fastest_with_the_right_labels_is_chosen_and_loaded(
    fuseg, several, measured, monkeypatch
):
    installed = {"onnxruntime": "1", "openvino": "2"}
    monkeypatch.setattr("fuseg.backends.registry.installed", lambda: installed)
    timed = measured({"onnxruntime fp32": 8.0, "openvino fp16": 2.0})
    report = run(fuseg, several, "--threads", "1")
    assert list(report) == [
        *("bundle", "digest", "machine", "gpu", "versions", "settings", "rows"),
        "stored",
    ]
    assert report["settings"]["threads"] == 1
    assert report["gpu"] is None
    rows = {(r["backend"], r["variant"]): r for r in report["rows"]}
    assert len(rows) == 6  # nothing for TensorRT
    best = rows["openvino", "fp16"]
    assert best == {
        "backend": "openvino",
        "variant": "fp16",
        "agreement": 1.0,
        "p50_ms": 2.0,
        "p90_ms": 2.0,
        "speedup": 4.0,
        "rejected": None,
        "chosen": True,
    }
    assert rows["onnxruntime", "fp32"]["speedup"] == 1.0
    for backend in installed:
        row = rows[backend, "int8-cpu"]
        assert row["rejected"].endswith("of the labels of a sample agree, 0.995 must.")
        assert (row["p50_ms"], row["speedup"], row["chosen"]) == (None, None, False)
        assert f"{backend} int8-cpu" not in timed
    assert sum(r["chosen"] for r in report["rows"]) == 1

    segmenter = library.load(several, threads=1)
    assert (segmenter.backend_name, segmenter.variant.name) == ("openvino", "fp16")


def test_people_read_one_table(fuseg, several, measured, monkeypatch):
    monkeypatch.setattr(
        "fuseg.backends.registry.installed", lambda: {"onnxruntime": "1"}
    )
    measured({"onnxruntime fp32": 8.0, "onnxruntime fp16": 5.0})
    done = fuseg("tune", several, "--rounds", "4")
    assert done.code == 0
    lines = done.stdout.splitlines()
    (row,) = [line for line in lines if "fp16" in line]
    for words in ("100.0000%", "5.000", "1.60", "chosen"):
        assert words in row
    (row,) = [line for line in lines if "int8-cpu" in line]
    assert "0.995 must." in row
    assert "Stored in" in lines[-1]


def test_an_engine_that_does_not_work_is_a_row_with_the_reason(
    fuseg, sampled, measured, monkeypatch
):
    installed = {"onnxruntime": "1", "openvino": "2"}
    monkeypatch.setattr("fuseg.backends.registry.installed", lambda: installed)
    monkeypatch.setitem(sys.modules, "openvino", None)
    measured({})
    rows = run(fuseg, sampled())["rows"]
    assert [row["chosen"] for row in rows] == [True, False]
    assert "OpenVINO cannot be imported" in rows[1]["rejected"]


def test_where_nothing_is_right_nothing_is_stored(fuseg, sampled, measured, user_cache):
    measured({})
    done = fuseg("tune", sampled(wrong_pixels=48), "--rounds", "4", "--json")
    assert done.code == 1
    assert done.json["stored"] is None
    assert not list(user_cache.glob("tuned-*"))


def test_without_samples_or_variants_for_a_cpu_it_says_so(
    fuseg, rgbd, sampled, with_variants
):
    done = fuseg("tune", rgbd.path)
    assert done.code == 2
    assert "must hold sample frames to tune with, got none." in done.stderr
    done = fuseg("tune", with_variants(sampled(), {"int8-trt": None}))
    assert done.code == 2
    assert "must hold variants for a CPU to tune with, got none." in done.stderr


def test_a_gpu_that_is_not_here_is_refused(fuseg, several):
    done = fuseg("tune", several, "--device", "1")
    assert done.code == 2
    assert "--device must be one of the 0 GPUs that fuseg can use here" in done.stderr


def test_real_rounds_give_real_times(fuseg, sampled, monkeypatch):
    monkeypatch.setattr("fuseg.bench.frames.PAUSE_S", 0.0)
    rows = run(fuseg, sampled(), "--threads", "1")["rows"]
    assert {row["backend"] for row in rows} >= {"onnxruntime"}
    assert all(0 < row["p50_ms"] <= row["p90_ms"] for row in rows)


def test_doctor_tells_what_was_tuned(fuseg, several, measured, monkeypatch):
    measured({"onnxruntime fp16": 2.5})
    assert fuseg("doctor", "--json").json["tuned"] == []
    digest = run(fuseg, several, "--threads", "3")["digest"]
    assert fuseg("doctor", "--json").json["tuned"] == [
        {
            "bundle": digest,
            "threads": 3,
            "allow_spinning": True,
            "backend": "onnxruntime",
            "variant": "fp16",
            "p50_ms": 2.5,
            "outdated": False,
        }
    ]
    line = f"tuned: bundle {digest[:12]}, threads 3: fp16 on onnxruntime, 2.50 ms"
    assert line in fuseg("doctor").stdout.splitlines()
    monkeypatch.setattr("fuseg.selection.tuning_cache.__version__", "9")
    assert f"{line} (other versions: run fuseg tune again)" in fuseg("doctor").stdout


def test_bench_takes_what_was_tuned_or_what_is_named(
    fuseg, several, measured, monkeypatch
):
    monkeypatch.setattr("fuseg.bench.frames.PAUSE_S", 0.0)
    monkeypatch.setattr("fuseg.cli.bench.find_peers", lambda *_: ([], {}))
    measured({"onnxruntime fp16": 2.5})
    run(fuseg, several, "--threads", "1")
    for words, found in (
        ([], ("onnxruntime", "fp16")),
        (["--variant", "fp32"], ("onnxruntime", "fp32")),
        (["--backend", "openvino", "--variant", "fp32"], ("openvino", "fp32")),
    ):
        done = fuseg(
            *("bench", several, "--rounds", "1", "--threads", "1", "--json"), *words
        )
        assert (done.json["backend"], done.json["variant"]) == found


def test_verify_replays_every_variant_for_a_cpu(fuseg, several):
    done = fuseg("verify", several, "--json")
    assert done.code == 1
    found = [
        (s["variant"], s["sample"], s["min_agreement"]) for s in done.json["samples"]
    ]
    assert found == [
        *(("fp16", 0, 0.995), ("fp16", 1, 0.995)),
        *(("int8-cpu", 0, 0.995), ("int8-cpu", 1, 0.995)),
        *(("fp32", 0, 0.9995), ("fp32", 1, 0.9995)),
    ]
    assert len(done.json["failures"]) == 2
    for failure in done.json["failures"]:
        assert failure.startswith("int8-cpu on onnxruntime, sample ")
        assert failure.endswith(" of the labels agree, at least 0.995 must.")
    assert fuseg("verify", several, "--variant", "int8-trt").code == 0
    done = fuseg("verify", several, "--variant", "fp16", "--backend", "openvino")
    assert done.code == 0
    assert done.stdout.startswith("fp16 on openvino, sample 0: 1.0")


def test_inspect_shows_every_variant_and_how_good_it_is(fuseg, several):
    report = fuseg("inspect", several).stdout
    for words in (
        "variant int8-trt, for tensorrt",
        "graph net: int8-trt.onnx",
        "precision int8, activations: ",
        ", calibration: minmax",
        ", rest: float16",
        "precision fp16, float32 nodes: 0",
        "0.997100",
        "0.9510",
    ):
        assert words in report, words
