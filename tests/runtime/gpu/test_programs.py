"""Bundles of several graphs on a GPU: the labels, runs and states of a CPU."""

from __future__ import annotations

import random

import numpy as np
import pytest
from runtime.gpu.graph_backends import backends_of
from runtime.gpu.test_interrupted import interrupted
from runtime.programs import (
    CAMERAS,
    MS,
    SIBLING,
    Reference,
    counts,
    frame,
    labels_of,
    write_program,
)

import fuseg
from fuseg.backends import registry
from fuseg.backends.program_gpu import GpuProgramBackend
from fuseg.bundle import Bundle
from fuseg.cuda import open_device
from fuseg.errors import BackendError
from fuseg.runtime.executor import make


@pytest.fixture
def path(make_bundle, color_input, plane_input, tmp_path):
    makers = make_bundle, color_input, plane_input
    return write_program(*makers, tmp_path / "program.fuseg", SIBLING, max_gap_ms=100.0)


@pytest.fixture
def load(path, machine):  # noqa: ARG001
    """``load(kind, binding=)``: the program, each graph on this backend."""

    def make(kind="tensorrt", *, binding="auto", **options):
        opened, device = Bundle.open(path), open_device(binding=binding)
        made = backends_of(opened, kind, device)
        backend = GpuProgramBackend(opened.manifest, made)
        return fuseg.load(opened, backend=backend, **options)

    return make


@pytest.fixture
def cpu(path):
    return lambda: fuseg.load(path, backend="onnxruntime")


def same(found, wanted):
    np.testing.assert_array_equal(found.labels, wanted.labels)
    assert found.sources == wanted.sources
    assert (found.degraded, found.reason) == (wanted.degraded, wanted.reason)


def events(seed, count):
    """Frames of two cameras whose depth comes and goes, gaps, and resets."""
    rng, chance = np.random.default_rng(seed), random.Random(seed)
    at, gone, camera = 0, False, 0
    for _ in range(count):
        at += 33 if chance.random() < 0.97 else 101
        gone ^= chance.random() < 0.05
        camera ^= chance.random() < 0.02
        depth = not gone and chance.random() < 0.6
        words = {"stamp_ns": at * MS, "size": CAMERAS[0]}
        given = frame(rng, at, depth=depth, size=CAMERAS[camera])
        yield given, words, chance.random() < 0.02


def test_labels_runs_and_states_are_those_of_a_cpu_and_no_frame_is_lost(
    kind, load, cpu, machine
):
    segmenter, other = load(kind), cpu()
    states = set()
    for given, words, anew in events(1, 1000 if kind == "tensorrt" else 200):
        if anew:
            segmenter.reset()
            other.reset()
        found = segmenter(**given, **words)
        same(found, other(**given, **words))
        states.add(found.sources["depth"].state)
    assert states == {"fresh", "held", "absent"}
    assert counts(segmenter) == counts(other)
    assert min(counts(segmenter).values()) > 20
    if kind == "tensorrt":
        assert segmenter.cuda_graph_disabled_reason is None
        assert machine.counts["launch_graph"] > 800
        assert machine.counts["begin_capture"] < 40
    machine.check()


def test_frames_given_before_the_last_result_is_taken(load, cpu):
    segmenter, other = load(), cpu()
    waiting = []
    for given, words, _ in events(2, 200):
        if len(waiting) == 2:
            ticket, wanted = waiting.pop(0)
            same(segmenter.result(ticket), wanted)
        waiting.append((segmenter.submit(**given, **words), other(**given, **words)))


def test_a_state_lives_in_each_clone_until_it_is_reset(kind, load):
    segmenter, rng, reference = load(kind), np.random.default_rng(3), Reference()
    twin, of_twin = None, None
    for number in range(30):
        if number == 12:
            twin, of_twin = segmenter.clone(), Reference()
        if number == 21:
            segmenter.reset()
            reference.memory[:] = 0
        given = frame(rng, 33 * number, depth=True)
        tensors = segmenter.preprocess(**given)
        for one, of_one in ((segmenter, reference), (twin, of_twin)):
            if one is not None:
                wanted = labels_of(of_one.label(tensors))
                np.testing.assert_array_equal(one(**given).labels, wanted)


@pytest.mark.parametrize("meanwhile", ["nothing", "reset", "gap"])
@pytest.mark.parametrize("to", ["gpu", "cpu"])
def test_states_go_along_from_a_gpu_to_another_backend(load, path, to, meanwhile):
    """As from ONNX Runtime's CUDA provider to TensorRT, once its engines are built."""
    segmenter, reference, at = load(), Reference(), 0
    session, rng = segmenter._session, np.random.default_rng(8)
    for number in range(9):
        at += 33
        if number == 5:
            if meanwhile == "reset":
                segmenter.reset()
            if meanwhile == "gap":
                at += 101
            if meanwhile != "nothing":
                reference.memory[:] = 0
            backend = segmenter.backend.clone()
            if to == "cpu":
                opened = Bundle.open(path)
                backend = registry.load(opened, "onnxruntime", opened.manifest.full)
            session.loop.switch(make(backend, session.manifest, session.preprocessor))
        given = frame(rng, at, depth=number not in (1, 6))
        wanted = reference.label(segmenter.preprocess(**given))
        np.testing.assert_array_equal(segmenter(**given).labels, labels_of(wanted))


def test_a_frame_whose_scores_are_no_numbers_leaves_no_trace_in_a_state(
    load, monkeypatch
):
    segmenter, reference = load(), Reference()
    engine = segmenter.backend._in_order[1]._engine
    run, rng = type(engine)._run, np.random.default_rng(6)

    def spoiled(self, feeds, wanted):
        found = run(self, feeds, wanted)
        return [np.full_like(each, np.nan) for each in found]

    for number in range(8):
        given = frame(rng, 33 * number, depth=True)
        if number in (1, 5):  # directly, and as a CUDA graph
            with monkeypatch.context() as patch:
                patch.setattr(type(engine), "_run", spoiled)
                with pytest.raises(BackendError, match="not numbers"):
                    segmenter(**given)
        wanted = reference.label(segmenter.preprocess(**given))
        np.testing.assert_array_equal(segmenter(**given).labels, labels_of(wanted))


def test_graphs_share_what_crosses_and_the_memory_that_they_work_in(load, machine):
    """A state is the one thing that is copied, once a frame."""
    segmenter = load()
    encoder, net, stand_in = segmenter.backend._in_order
    assert encoder.outputs["d0"] == net.inputs["d0"]
    assert net.outputs["scores"] == stand_in.outputs["scores"]
    assert len({b._context._scratch for b in (encoder, net, stand_in)}) == 1
    rng = np.random.default_rng(0)
    for number in range(5):
        before = machine.counts["copy"]
        segmenter(**frame(rng, number * 33, depth=True))
        if number == 1:  # the one that is captured, too, is put on the stream twice
            assert machine.counts["copy"] - before == 1
    segmenter(**frame(rng, 200, depth=True))
    machine.check()


def test_an_exception_at_any_line_of_a_call_leaves_states_that_are_right(load):
    """The frame was not seen, or it was, or all begins anew."""
    segmenter, at, rng = load(), 0, np.random.default_rng(5)

    def given(depth=True):
        nonlocal at
        at += 33
        return frame(rng, at, depth=depth)

    def follow(references, depth=True):
        """Those that the labels of another frame agree with."""
        more = given(depth)
        tensors = segmenter.preprocess(**more)
        found = segmenter(**more).labels
        wanted = [(r, labels_of(r.label(tensors))) for r in references]
        return [r for r, labels in wanted if np.array_equal(labels, found)]

    line, lasts = 1, []
    while True:
        segmenter.reset()
        before = Reference()
        for _ in range(3):
            assert follow([before])
        lost = given()
        after = Reference()
        after.memory = before.memory.copy()
        after.label(segmenter.preprocess(**lost))
        seen, where = interrupted(lambda lost=lost: segmenter(**lost), line)
        if seen < line:
            break
        possible = {"not seen": before, "seen": after, "anew": Reference()}
        left = follow(possible.values())
        assert len(left) == 1, where
        lasts += [name for name, r in possible.items() if r is left[0]]
        for depth in (True, False, True):
            assert follow(left, depth), where
        line += 7
    assert {*lasts} == {"not seen", "seen", "anew"}


CALLS = (
    *("upload", "download", "synchronize", "enqueue", "execute_async_v3", "copy"),
    *("begin_capture", "end_capture", "launch_graph", "run", "upsample_argmax_cuda"),
)


@pytest.mark.parametrize("call", CALLS)
def test_a_frame_that_failed_leaves_no_trace(call, load, cpu, machine):
    """It is given again. A state goes on, or starts anew where the GPU itself failed:
    nobody knows then what of the frame was done."""

    def story(nth):
        rng, reference, inputs = np.random.default_rng(nth), Reference(), cpu()
        segmenter = load()
        before = machine.counts[call]
        if nth:
            machine.fail(call, nth)
        failed = False
        for number in range(12):
            given = frame(rng, 33 * number, depth=number % 2 == 0)
            try:
                found = segmenter(**given)
            except BackendError:
                failed = True
                given = frame(rng, 33 * number, depth=True)
                found = segmenter(**given)
            tensors = inputs.preprocess(**given)
            same_inputs = inputs(**given)
            assert found.sources == same_inputs.sources
            wanted = labels_of(reference.label(tensors))
            if not np.array_equal(found.labels, wanted):
                assert failed
                assert call in ("synchronize", "run")
                reference = Reference()
                wanted = labels_of(reference.label(tensors))
            np.testing.assert_array_equal(found.labels, wanted)
        machine.mend()
        return failed, machine.counts[call] - before

    _, times = story(0)
    failures = sum(story(nth)[0] for nth in range(1, min(times, 12) + 1))
    assert failures or call in ("begin_capture", "end_capture")
    machine.check()
