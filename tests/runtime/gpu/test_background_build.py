"""Another backend labels frames while TensorRT's is built; then it takes over."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import pytest

import fuseg
from fuseg import manifest

CAMERA = (60, 80)
MS = 1_000_000


@pytest.fixture
def path(sampled, with_variants):
    return with_variants(sampled(), {"fp32": None, "fp16": None})


def wait_for(segmenter, frame, seconds=120):
    """Label until the switch has happened; the labels of each call, in order."""
    results = []
    ends = time.monotonic() + seconds
    while segmenter.backend_name != "tensorrt":
        assert time.monotonic() < ends, "no switch"
        results.append(segmenter(**frame(len(results))))
        time.sleep(0.005)
    return results


def test_labels_come_at_once_and_every_frame_once_across_the_switch(
    path, builds, frames, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, logger="fuseg")
    cpu = fuseg.load(path, backend="onnxruntime")
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_SECONDS", "2")
    segmenter = fuseg.load(path, serve_while_building=True)
    first = segmenter(**frames(0, *CAMERA), stamp_ns=0)
    assert segmenter.backend_name == "onnxruntime"
    results = [first]
    ends = time.monotonic() + 120
    after = 0
    while after < 5:
        assert time.monotonic() < ends, "no switch"
        index = len(results)
        results.append(segmenter(**frames(index % 7, *CAMERA), stamp_ns=index * MS))
        after += segmenter.backend_name == "tensorrt"
        time.sleep(0.01)
    assert [r.stamp_ns for r in results] == [i * MS for i in range(len(results))]
    assert len(results) > 6
    for index, result in enumerate(results):
        wanted = cpu(**frames(index % 7, *CAMERA), stamp_ns=index * MS)
        np.testing.assert_array_equal(result.labels, wanted.labels)
    assert builds() == 1
    messages = [
        r.message for r in caplog.records if "from the next frame on" in r.message
    ]
    assert len(messages) == 1
    assert "variant fp16 on tensorrt" in messages[0]


def test_moments_that_were_submitted_before_the_switch_are_not_lost(
    path, builds, frames, monkeypatch
):
    cpu = fuseg.load(path, backend="onnxruntime")
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_SECONDS", "0.5")
    segmenter = fuseg.load(path, serve_while_building=True)
    waiting, done, kinds = [], 0, set()
    ends = time.monotonic() + 120
    while len(kinds) < 2 or done < 20:
        assert time.monotonic() < ends, "no switch"
        if len(waiting) == 2:
            seed, ticket = waiting.pop(0)
            found = segmenter.result(ticket).labels
            wanted = cpu(**frames(seed, *CAMERA)).labels
            np.testing.assert_array_equal(found, wanted)
            done += 1
        seed = (done + len(waiting)) % 5
        waiting.append((seed, segmenter.submit(**frames(seed, *CAMERA))))
        kinds.add(segmenter.backend_name)
    assert kinds == {"onnxruntime", "tensorrt"}
    assert builds() == 1


def test_what_was_held_is_held_after_the_switch(
    builds, make_bundle, color_input, plane_input, frames, monkeypatch
):
    hold = manifest.Missing("hold", 3_600_000, "refuse")
    made = make_bundle(color_input(), plane_input(missing=hold))
    cpu = fuseg.load(made.path, backend="onnxruntime")
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_SECONDS", "0.5")
    segmenter = fuseg.load(made.path, serve_while_building=True)
    for each in (cpu, segmenter):
        each(**frames(0, *CAMERA), stamp_ns=0)
    assert segmenter.backend_name == "onnxruntime"
    rgb = frames(1, *CAMERA)["rgb"]
    results = wait_for(segmenter, lambda i: {"rgb": rgb, "stamp_ns": (i + 1) * MS})
    result = segmenter(rgb=rgb, stamp_ns=(len(results) + 1) * MS)
    wanted = cpu(rgb=rgb, stamp_ns=(len(results) + 1) * MS)
    assert result.sources == wanted.sources
    assert result.sources["depth"].state == "held"
    np.testing.assert_array_equal(result.labels, wanted.labels)
    assert builds() == 1


def test_a_build_that_fails_leaves_the_other_engine_and_says_why(
    path, builds, frames, monkeypatch, caplog
):
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_FAULT", "kill")
    segmenter = fuseg.load(path, serve_while_building=True)
    ends = time.monotonic() + 120
    while segmenter.fallback is None:
        assert time.monotonic() < ends
        segmenter(**frames(0, *CAMERA))
        time.sleep(0.01)
    assert segmenter.backend_name == "onnxruntime"
    assert "was killed" in segmenter.fallback
    assert [r.levelname for r in caplog.records if "it stays as" in r.message] == [
        "WARNING"
    ]
    assert builds() == 1
    monkeypatch.delenv("FUSEG_TENSORRT_DOUBLE_FAULT")
    again = fuseg.load(path, serve_while_building=True)
    wait_for(again, lambda _: frames(0, *CAMERA))
    assert builds() == 2


def test_an_engine_that_is_there_serves_from_the_first_frame(path, builds):
    fuseg.load(path)
    threads = threading.active_count()
    segmenter = fuseg.load(path, serve_while_building=True)
    assert segmenter.backend_name == "tensorrt"
    assert threading.active_count() == threads
    assert builds() == 1


@pytest.mark.usefixtures("builds")
def test_tensorrt_that_was_asked_for_is_served_for_too(path, frames):
    segmenter = fuseg.load(path, backend="tensorrt", serve_while_building=True)
    assert segmenter.backend_name == "onnxruntime"
    wait_for(segmenter, lambda _: frames(0, *CAMERA))
    assert segmenter.variant.name == "fp16"


@pytest.mark.usefixtures("builds")
def test_where_no_variant_is_for_a_cpu_the_engine_is_waited_for(sampled, with_variants):
    path = with_variants(sampled(), {"int8-trt": None})
    segmenter = fuseg.load(path, serve_while_building=True)
    assert segmenter.backend_name == "tensorrt"


@pytest.mark.usefixtures("builds")
def test_a_gpu_that_fails_at_once_gives_way_and_is_told(path, machine):
    machine.fail("device_properties", lost=True)
    machine.fail("init", lost=True)
    segmenter = fuseg.load(path, serve_while_building=True)
    assert segmenter.backend_name == "onnxruntime"
    assert "variant fp16 does not run on tensorrt" in segmenter.fallback


def test_without_a_gpu_nothing_is_built(path, monkeypatch, builds):
    from fuseg.backends import registry

    monkeypatch.setattr(registry, "gpu_count", lambda: 0)
    segmenter = fuseg.load(path, serve_while_building=True)
    assert segmenter.backend_name == "onnxruntime"
    assert not [t for t in threading.enumerate() if t.name == "fuseg-build"]
    assert builds() == 0
