"""Which backend and variant a bundle gets, and whether its labels are believed."""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

import fuseg
from fuseg import errors, load
from fuseg.bundle import Bundle
from fuseg.selection import tuning_cache
from fuseg.selection.tuning_cache import Measured


@pytest.fixture
def wrong(rgbd, onnx_of):
    """The network of ``rgbd`` but for one class, which now wins too often."""
    return onnx_of(rgbd, bias=rgbd.bias + np.float32([3, 0, 0, 0]))


@pytest.fixture
def nearly(rgbd, onnx_of):
    """The network of ``rgbd``, slightly off: most labels stay."""
    return onnx_of(rgbd, bias=rgbd.bias + np.float32([1e-4, 0, 0, 0]))


@pytest.fixture
def log(caplog):
    """``log()``: level and sentence of what reached the logger ``fuseg``, newest
    last; then it is empty again."""
    caplog.set_level(logging.INFO, logger="fuseg")

    def read():
        logged = [(r.levelname, r.getMessage()) for r in caplog.records]
        caplog.clear()
        return logged

    return read


def ran(segmenter):
    return segmenter.backend_name, segmenter.variant.name


def test_the_first_variant_for_a_cpu_is_the_default(sampled, with_variants, log):
    path = with_variants(sampled(), {"int8-trt": None, "int8-cpu": None, "fp32": None})
    log()
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "int8-cpu")
    assert segmenter.fallback is None
    assert [level for level, _ in log()] == ["INFO"]


def test_a_variant_for_tensorrt_runs_here_if_it_is_asked_for(sampled, with_variants):
    path = with_variants(sampled(), {"int8-trt": None})
    assert fuseg.load(path, variant="int8-trt").variant.name == "int8-trt"
    with pytest.raises(errors.ArgumentError, match="must be named, one of int8-trt"):
        fuseg.load(path)


def test_what_was_tuned_is_taken_for_what_the_user_leaves_open(
    sampled, with_variants, log
):
    path = with_variants(sampled(), {"fp32": None, "fp16": None, "int8-cpu": None})
    rows = [
        Measured("onnxruntime", "fp32", 9.0),
        Measured("onnxruntime", "int8-cpu", 4.0),
        Measured("openvino", "fp16", 3.0),
        Measured("openvino", "int8-cpu", 3.5),
    ]
    tuning_cache.store(Bundle.open(path).digest, 1, rows)
    for words, found in (
        ({}, ("openvino", "fp16")),
        ({"backend": "onnxruntime"}, ("onnxruntime", "int8-cpu")),
        ({"variant": "int8-cpu"}, ("openvino", "int8-cpu")),
        ({"variant": "fp32"}, ("onnxruntime", "fp32")),
        ({"backend": "openvino", "variant": "fp32"}, ("openvino", "fp32")),
    ):
        log()
        assert ran(fuseg.load(path, threads=1, **words)) == found, words
        why = "as asked" if len(words) == 2 else "the fastest here by fuseg tune: "
        assert log()[0][1].startswith(
            f"{path}: variant {found[1]} on {found[0]}, {why}"
        )
    assert ran(fuseg.load(path, threads=2)) == ("onnxruntime", "fp32")


def test_what_was_tuned_with_other_versions_is_not_taken(
    sampled, with_variants, monkeypatch, log
):
    path = with_variants(sampled(), {"fp32": None, "fp16": None})
    digest = Bundle.open(path).digest
    tuning_cache.store(digest, None, [Measured("onnxruntime", "fp16", 1.0)])
    assert fuseg.load(path).variant.name == "fp16"
    monkeypatch.setattr(tuning_cache, "versions", lambda: {"fuseg": "9"})
    log()
    assert fuseg.load(path).variant.name == "fp32"
    assert log()[0][1].endswith(
        "what was tuned is of other versions (fuseg tune again)"
    )


def test_a_variant_with_other_labels_gives_way_to_fp32(
    sampled, with_variants, wrong, frames, log
):
    path = with_variants(sampled(), {"int8-cpu": wrong, "fp32": None})
    wanted = fuseg.load(sampled())(**frames(5)).labels
    for _ in range(2):  # what fails is not remembered
        log()
        segmenter = fuseg.load(path)
        assert ran(segmenter) == ("onnxruntime", "fp32")
        (_, (level, sentence)) = log()
        assert level == "WARNING"
        assert sentence == f"{path}: fp32 on onnxruntime instead: {segmenter.fallback}"
        assert segmenter.fallback.startswith(
            "variant int8-cpu does not run on onnxruntime: 0."
        )
        assert segmenter.fallback.endswith("of a sample agree, 0.995 must.")
        assert segmenter.clone().fallback == segmenter.fallback
        np.testing.assert_array_equal(segmenter(**frames(5)).labels, wanted)


def test_a_variant_with_other_labels_that_was_asked_for_is_refused(
    sampled, with_variants, wrong
):
    path = with_variants(sampled(), {"int8-cpu": wrong, "fp32": None})
    with pytest.raises(errors.BackendError, match="int8-cpu does not run on onnxrun"):
        fuseg.load(path, variant="int8-cpu")


def test_without_fp32_nothing_takes_the_place(sampled, with_variants, wrong):
    path = with_variants(sampled(), {"int8-cpu": wrong})
    with pytest.raises(errors.BackendError, match="of a sample agree"):
        fuseg.load(path)


def test_a_variant_the_backend_cannot_read_gives_way_too(
    sampled, with_variants, onnx_of, rgbd
):
    broken = onnx_of(rgbd).replace(b"Concat", b"Einsum")
    path = with_variants(sampled(), {"fp16": broken, "fp32": None})
    segmenter = fuseg.load(path)
    assert segmenter.variant.name == "fp32"
    assert "ONNX Runtime refuses the network" in segmenter.fallback
    with pytest.raises(errors.BackendError, match="refuses the network"):
        fuseg.load(path, variant="fp16")


def test_a_backend_that_was_tuned_and_broke_gives_way_to_onnxruntime(
    sampled, monkeypatch
):
    path = sampled()
    monkeypatch.setattr(
        "fuseg.backends.registry.installed",
        lambda: {"onnxruntime": "1", "openvino": "2"},
    )
    tuning_cache.store(
        Bundle.open(path).digest, None, [Measured("openvino", "fp32", 1.0)]
    )
    monkeypatch.setitem(sys.modules, "openvino", None)
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "fp32")
    assert "OpenVINO cannot be imported" in segmenter.fallback
    with pytest.raises(errors.BackendError, match="OpenVINO cannot be imported"):
        fuseg.load(path, backend="openvino")


def test_without_samples_only_fp32_is_believed(rgbd, with_variants):
    path = with_variants(rgbd.path, {"int8-cpu": None, "fp32": None})
    segmenter = fuseg.load(path)
    assert segmenter.variant.name == "fp32"
    assert "holds no samples" in segmenter.fallback


def replays(monkeypatch):
    """How often the samples were read since."""
    read, real = [], Bundle.samples
    monkeypatch.setattr(Bundle, "samples", lambda self: read.append(1) or real(self))
    return read


def test_the_samples_are_replayed_once_for_each_backend_and_variant(
    sampled, with_variants, nearly, monkeypatch, user_cache
):
    path = with_variants(sampled(), {"int8-cpu": nearly, "fp16": None, "fp32": None})
    read = replays(monkeypatch)
    others = {*user_cache.glob("passed-*.json")}
    for words, count in (
        ({}, 1),
        ({}, 1),
        ({"variant": "int8-cpu"}, 1),
        ({"variant": "fp16"}, 2),
        ({"backend": "openvino"}, 3),
        ({"backend": "openvino"}, 3),
        ({"variant": "fp32"}, 4),
        ({"variant": "fp32", "threads": 1}, 4),
    ):
        fuseg.load(path, **words)
        assert len(read) == count, words
    assert len({*user_cache.glob("passed-*.json")} - others) == 4
    monkeypatch.setattr(tuning_cache, "__version__", "9")
    fuseg.load(path)
    assert len(read) == 5


def test_where_nothing_can_be_kept_the_samples_are_replayed_each_time(
    sampled, with_variants, monkeypatch, user_cache, log
):
    user_cache.parent.write_bytes(b"")
    path = with_variants(sampled(), {"int8-cpu": None, "fp32": None})
    read = replays(monkeypatch)
    for count in (1, 2):
        log()
        assert fuseg.load(path).variant.name == "int8-cpu"
        assert len(read) == count
        logged = log()
        assert {level for level, _ in logged} == {"INFO"}
        assert "the next load will replay the samples again" in logged[-1][1]


def test_the_users_units_are_not_for_the_samples(sampled, with_variants):
    path = with_variants(sampled(), {"int8-cpu": None, "fp32": None})
    segmenter = fuseg.load(path, units={"depth": "m"}, channels={"rgb": "BGR"})
    assert segmenter.fallback is None


def test_the_replay_leaves_no_held_frame_and_no_clock(sampled, with_variants, frames):
    path = with_variants(sampled(), {"int8-cpu": None, "fp32": None})
    segmenter = fuseg.load(path)
    stamped = {name: fuseg.Frame(a, 5) for name, a in frames(1).items()}
    assert segmenter(**stamped).stamp_ns == 5


def test_a_backend_object_is_taken_as_it_is(sampled, with_variants, wrong):
    path = with_variants(sampled(), {"int8-cpu": wrong, "fp32": None})
    backend = fuseg.load(path).backend.clone()
    segmenter = load(Bundle.open(path), backend=backend)
    assert (segmenter.variant.name, segmenter.fallback) == ("int8-cpu", None)
