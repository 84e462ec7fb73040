"""``fuseg tune`` where there is a GPU, and what ``fuseg.load`` makes of it later."""

from __future__ import annotations

import io
import json
import sys

import doubles
import doubles.onnxruntime_cuda
import numpy as np
import pytest
from typer.testing import CliRunner

import fuseg
from fuseg import errors
from fuseg.backends import registry
from fuseg.cli import app, tune

TENSORRT, ORT = "tensorrt", "onnxruntime-cuda"
FEW = {"fp16": None, "int8-cpu": None}


@pytest.fixture
def ort(machine, monkeypatch):
    made = doubles.onnxruntime_cuda.make(machine)
    monkeypatch.setitem(sys.modules, "onnxruntime", made)
    return made.state


@pytest.fixture
def base(sampled):
    """A bundle of fp32, made while there is no GPU."""
    return sampled()


@pytest.fixture
def path(base, with_variants):
    """As few variants as a build takes long."""
    return with_variants(base, FEW)


@pytest.fixture
def run(path, builds, ort, monkeypatch):  # noqa: ARG001
    """``run(path, {"tensorrt fp16": 1.0}, ...)``: the command's JSON, with a GPU and
    with these milliseconds; what is not named takes 10."""

    def call(path, times, *words):
        def time_frames(programs, frames, turns):
            count = len(list(turns))
            for program in programs.values():
                program(frames[0])
            return {name: [times.get(name, 10.0)] * count for name in programs}

        monkeypatch.setattr(tune, "time_frames", time_frames)
        found = CliRunner().invoke(
            app, ["tune", str(path), "--json", *words], catch_exceptions=False
        )
        assert found.exit_code == 0, found.stderr
        return json.loads(found.stdout)

    return call


def ran(segmenter):
    return segmenter.backend_name, segmenter.variant.name


def measured(report):
    return [(row["backend"], row["variant"]) for row in report["rows"]]


def test_engines_of_the_gpu_are_measured_with_the_variants_that_they_take(
    base, with_variants, run, builds, ort, frames
):
    variants = {"fp32": None, "fp16": None, "int8-trt": None, "int8-cpu": None}
    path = with_variants(base, variants)
    report = run(path, {"tensorrt fp16": 1.0, "onnxruntime-cuda fp16": 2.0})
    assert measured(report)[:5] == [
        *((TENSORRT, "int8-trt"), (TENSORRT, "fp16"), (TENSORRT, "fp32")),
        *((ORT, "fp16"), (ORT, "fp32")),
    ]
    assert ("onnxruntime", "int8-cpu") in measured(report)
    assert builds() == 3
    assert len(ort.sessions) == 2
    assert report["gpu"] == "Pretend GPU, 1024 MiB, driver 12.6"
    assert report["versions"]["tensorrt"] == "10.3.0"
    assert all(row["agreement"] == 1.0 for row in report["rows"])
    assert [r["variant"] for r in report["rows"] if r["chosen"]] == ["fp16"]
    assert report["rows"][1]["speedup"] == 10.0

    segmenter = fuseg.load(path)
    assert ran(segmenter) == (TENSORRT, "fp16")
    cpu = fuseg.load(path, backend="onnxruntime", variant="fp32")
    given = frames(3, 60, 80)
    np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
    assert builds() == 3  # it was kept


def test_what_was_the_fastest_is_loaded_though_it_is_not_the_first_choice(path, run):
    run(path, {"onnxruntime-cuda fp16": 1.0, "onnxruntime int8-cpu": 2.0})
    assert ran(fuseg.load(path)) == (ORT, "fp16")
    assert ran(fuseg.load(path, variant="int8-cpu")) == ("onnxruntime", "int8-cpu")
    run(path, {"onnxruntime int8-cpu": 1.0})
    assert ran(fuseg.load(path)) == ("onnxruntime", "int8-cpu")


def test_a_gpu_that_is_gone_leaves_the_next_best(path, run, machine):
    run(path, {"tensorrt fp16": 1.0, "onnxruntime int8-cpu": 2.0})
    machine.devices = 0
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "int8-cpu")
    assert segmenter.fallback is None


def test_an_engine_that_is_gone_leaves_the_defaults(path, run, monkeypatch, caplog):
    caplog.set_level("INFO", logger="fuseg")
    run(path, {"tensorrt fp16": 1.0, "onnxruntime int8-cpu": 2.0})
    monkeypatch.delitem(sys.modules, "tensorrt")
    assert ran(fuseg.load(path)) == (ORT, "fp16")
    assert "what was tuned is of other versions" in caplog.text


@pytest.mark.parametrize("change", [{"name": "Other"}, {"driver_version": 13000}])
def test_another_gpu_or_driver_is_not_tuned(path, run, machine, change):
    run(path, {"onnxruntime int8-cpu": 1.0})
    for name, value in change.items():
        setattr(machine, name, value)
    assert ran(fuseg.load(path)) == (TENSORRT, "fp16")


def test_the_second_of_two_gpus(path, run, ort, machine, monkeypatch):
    machine.devices = 2
    unlike = {0: "One", 1: "Another"}.get
    monkeypatch.setattr(registry, "gpu_name", unlike)
    report = run(path, {"onnxruntime-cuda fp16": 1.0}, "--device", "1")
    assert report["settings"]["device"] == 1
    assert report["gpu"] == "Another"
    assert {options["device_id"] for options in ort.sessions} == {"1"}
    segmenter = fuseg.load(path, device=1)
    assert ran(segmenter) == (ORT, "fp16")
    assert segmenter.backend.device.ordinal == 1
    assert ran(fuseg.load(path, device=0)) == (TENSORRT, "fp16")
    found = CliRunner().invoke(app, ["tune", str(path), "--device", "2"])
    assert (found.exit_code, found.stdout) == (2, "")


def test_an_engine_that_cannot_be_built_is_a_row_with_the_reason(
    path, run, monkeypatch
):
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_FAULT", "kill")
    report = run(path, {"onnxruntime-cuda fp16": 1.0})
    rows = [row for row in report["rows"] if row["backend"] == TENSORRT]
    assert len(rows) == 1
    assert all("was killed" in row["rejected"] for row in rows)
    assert ran(fuseg.load(path)) == (ORT, "fp16")


def test_labels_that_are_wrong_on_the_gpu_are_not_timed(
    base, with_variants, onnx_of, rgbd, run, machine
):
    wrong = onnx_of(rgbd, bias=rgbd.bias + np.float32([3, 0, 0, 0]))
    path = with_variants(base, {"int8-cpu": None, "fp16": wrong})
    report = run(path, {"onnxruntime int8-cpu": 1.0})
    for row in report["rows"]:
        assert (row["rejected"] is None) == (row["variant"] == "int8-cpu")
        assert (row["p50_ms"] is None) == (row["variant"] == "fp16")
    assert {TENSORRT, ORT} <= {backend for backend, _ in measured(report)}
    assert report["gpu"] is not None
    assert machine.live() == {}


def test_a_gpu_that_is_full_is_a_row_with_the_reason(path, run, machine):
    run(path, {})  # builds
    hog = machine.allocate(machine.memory()[0] - 512)
    report = run(path, {"onnxruntime fp16": 1.0})
    on_gpu = [r for r in report["rows"] if registry.runs_on_gpu(r["backend"])]
    assert len(on_gpu) == 2
    assert all("MiB" in row["rejected"] for row in on_gpu)
    machine.free(hog)
    assert ran(fuseg.load(path)) == ("onnxruntime", "fp16")


def test_a_bundle_that_only_a_gpu_runs_can_be_tuned(
    base, with_variants, run, builds, ort
):
    path = with_variants(base, {"int8-trt": None})
    report = run(path, {"tensorrt int8-trt": 1.0})
    assert measured(report) == [(TENSORRT, "int8-trt")]
    assert (report["rows"][0]["speedup"], report["rows"][0]["chosen"]) == (None, True)
    assert ran(fuseg.load(path)) == (TENSORRT, "int8-trt")
    assert builds() == 1
    assert ort.runs == []


def test_tensorrt_that_cannot_be_asked_is_left_out_with_a_warning(
    path, monkeypatch, run, capsys
):
    def broken(bundle, name):
        if name == TENSORRT:
            raise errors.BuildError("TensorRT cannot be imported: libnvinfer.so.10.")
        return real(bundle, name)

    real = registry.variants_for
    monkeypatch.setattr(registry, "variants_for", broken)
    report = run(path, {"onnxruntime-cuda fp16": 1.0})
    assert TENSORRT not in {backend for backend, _ in measured(report)}
    assert capsys.readouterr().out == ""


def test_doctor_tells_what_was_tuned_on_a_gpu(path, run):
    from fuseg.cli import doctor

    run(path, {"tensorrt fp16": 1.0})
    (row,) = doctor._tuned()
    assert (row["backend"], row["variant"], row["outdated"]) == (
        TENSORRT,
        "fp16",
        False,
    )


def test_people_read_which_gpu_it_was(path, run, monkeypatch):
    run(path, {})
    monkeypatch.setattr("fuseg.bench.frames.PAUSE_S", 0.0)
    done = CliRunner().invoke(app, ["tune", str(path), "--rounds", "1"])
    assert done.stdout.splitlines()[1] == "GPU 0: Pretend GPU, 1024 MiB, driver 12.6"


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_what_is_being_prepared(monkeypatch, terminal):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", stream)
    with tune._busy("preparing tensorrt fp16"):
        pass
    assert ("preparing tensorrt fp16" in stream.getvalue()) == terminal
    assert bool(stream.getvalue()) == terminal
