"""Frames with a backend beside its peers, on a bundle whose network is known."""

from __future__ import annotations

from pathlib import Path

import doubles
import doubles.onnxruntime_cuda
import frame_peers
import frame_times
import numpy as np
import pytest

import fuseg
from fuseg.bundle import Bundle

SMALL = Path(__file__).parents[1] / "data" / "format1.fuseg"
CHECKPOINT = SMALL.parents[2] / "export" / "checkpoints" / "rgbd.safetensors"
CPU = frame_times.CPU


@pytest.fixture(scope="module")
def small():
    return Bundle.open(SMALL)


@pytest.fixture
def on_cpu(small):
    return fuseg.load(small, backend="onnxruntime")


@pytest.fixture
def others(on_cpu):
    return {CPU: lambda: lambda frames: on_cpu(**frames).labels}


def checked(segmenters, others, frames, record, **ways):
    record["ours"] = list(segmenters)
    truth = np.zeros((len(frames), 48, 64), np.uint8)
    ways = {"rounds": 2, "calls": 3} | ways
    return frame_times.check(segmenters, others, frames, truth, record, **ways)


def test_a_backend_is_compared_with_the_cpu_and_timed(small, others, some):
    kept = []
    record = {"fuseg": {"variant": "fp32"}}
    ours = {"fuseg": fuseg.load(small, backend="onnxruntime")}
    failed = checked(ours, others, some, record, keep=lambda: kept.append(len(record)))
    assert failed == []
    row = record["fuseg"]
    assert row[f"labels as {CPU}"] == 1.0
    assert 0 <= row["miou"] <= 1
    assert row["alone"]["stages_ms"].keys() == {"pack", "network", "label", "total"}
    assert row["alone"]["power"]["kind"] in ("jetson", "nvidia", "other")
    (times,) = record["frames_ms"].values()  # the CPU only says what is right
    assert 0 < times["p50"] <= times["p90"] <= times["p99"]
    assert len(kept) == 2


def test_a_peer_that_fails_is_told_and_loses_no_other(others, some, on_cpu):
    def absent():
        raise ImportError("no such library")

    record = {"fuseg": {"variant": "fp32"}}
    others |= {"a peer": absent}
    assert checked({"fuseg": on_cpu}, others, some, record) == []
    assert record["a peer"] == {"unavailable": "ImportError: no such library"}
    assert list(record["frames_ms"]) == ["fuseg"]


def test_labels_that_are_not_the_cpus_are_an_error(others, some):
    class Wrong:
        cuda_graph_disabled_reason, backend_name = None, "wrong"

        def __call__(self, **_):
            labels = np.full((48, 64), 3, np.uint8)
            timing = fuseg.Timing(0.1, 0.1, 0.1, 0.4)
            return type("Result", (), {"labels": labels, "timing": timing})

    record = {"fuseg": {"variant": "fp32"}}
    (fault,) = checked({"fuseg": Wrong()}, others, some, record)
    assert fault.startswith("fuseg: 0.")
    assert fault.endswith(" of the labels are the CPU's")


def test_a_variant_that_cannot_be_loaded_is_an_error_and_loses_no_other(
    rgbd, with_variants, onnx_of, monkeypatch
):
    machine = doubles.install(monkeypatch, doubles.Machine())
    double = doubles.onnxruntime_cuda.make(machine)
    monkeypatch.setitem(frame_times.sys.modules, "onnxruntime", double)
    broken = onnx_of(rgbd, np.zeros(3))  # four classes, and a bias for three
    path = with_variants(rgbd.path, {"fp32": None, "fp16": broken, "int8-trt": None})
    record = {}
    found = frame_times.load_all(Bundle.open(path), "onnxruntime-cuda", record)
    assert list(found) == ["fuseg, onnxruntime-cuda, fp32"]
    assert found.popitem()[1].backend_name == "onnxruntime-cuda"
    names = [f"fuseg, onnxruntime-cuda, {name}" for name in ("fp32", "fp16")]
    assert list(record) == names  # the third is meant for TensorRT
    (fault,) = frame_times.wrong(names[1:], record)
    assert fault.startswith(names[1])


def test_the_usual_recipe_gives_the_labels_of_fuseg(small, on_cpu):
    pytest.importorskip("cv2")
    frames, _ = frame_times.rooms(2, 60, 80)
    label = frame_peers.recipe(small, "CPUExecutionProvider")
    for given in frames:
        assert (label(given) == on_cpu(**given).labels).mean() > 0.98


@pytest.mark.slow
def test_pytorch_gives_the_labels_of_fuseg(rgbd_bundle):
    bundle = Bundle.open(rgbd_bundle)
    segmenter = fuseg.load(bundle, backend="onnxruntime")
    label = frame_peers.pytorch(bundle, CHECKPOINT, "eager", device="cpu")
    frames, _ = frame_times.rooms(2, 240, 320)
    for given in frames:
        assert (label(given) == segmenter(**given).labels).mean() > 0.999
