"""Two frame sets at a time: results in any order, each of its own frames."""

from __future__ import annotations

import numpy as np
import pytest

import fuseg
from fuseg import errors
from fuseg.backends.tensorrt.backend import TensorRtBackend
from fuseg.errors import ArgumentError, DeviceError

CAMERA = (40, 52)
MS = 1_000_000


@pytest.fixture(params=["gpu", "cpu"])
def segmenter(both, on_gpu, request):
    if request.param == "gpu":
        return on_gpu(both)
    return fuseg.load(both.path, backend="onnxruntime")


@pytest.fixture
def wanted(both, frames):
    cpu = fuseg.load(both.path, backend="onnxruntime")
    return lambda seed: cpu(**frames(seed, *CAMERA)).labels


def test_a_pipelined_loop_gives_every_frame_its_labels_in_order(
    segmenter, frames, wanted, machine
):
    waiting, found = [], []
    for seed in range(8):
        if len(waiting) == 2:
            found.append(segmenter.result(waiting.pop(0)).labels)
        waiting.append(segmenter.submit(**frames(seed, *CAMERA)))
    found += [segmenter.result(ticket).labels for ticket in waiting]
    for seed, labels in enumerate(found):
        np.testing.assert_array_equal(labels, wanted(seed), err_msg=str(seed))
    machine.check()


def test_results_may_be_taken_in_another_order(segmenter, frames, wanted):
    for seed in range(0, 6, 2):
        first, second = (segmenter.submit(**frames(seed + i, *CAMERA)) for i in (0, 1))
        np.testing.assert_array_equal(segmenter.result(second).labels, wanted(seed + 1))
        np.testing.assert_array_equal(segmenter.result(first).labels, wanted(seed))


def test_frames_may_be_overwritten_once_they_are_submitted(segmenter, frames, wanted):
    for seed in range(4):
        given = frames(seed, *CAMERA)
        ticket = segmenter.submit(**given)
        for array in given.values():
            array[:] = 0
        np.testing.assert_array_equal(segmenter.result(ticket).labels, wanted(seed))


def test_a_call_between_takes_the_free_place(segmenter, frames, wanted):
    ticket = segmenter.submit(**frames(1, *CAMERA))
    result = segmenter(**frames(2, *CAMERA))
    np.testing.assert_array_equal(result.labels, wanted(2))
    np.testing.assert_array_equal(segmenter.result(ticket).labels, wanted(1))


def test_a_third_moment_is_refused_and_nothing_is_lost(segmenter, frames, wanted):
    tickets = [segmenter.submit(**frames(seed, *CAMERA)) for seed in (1, 2)]
    for call in (segmenter.submit, segmenter):
        with pytest.raises(ArgumentError, match="at most 2 frame sets unfinished"):
            call(**frames(3, *CAMERA))
    for seed, ticket in zip((1, 2), tickets, strict=True):
        np.testing.assert_array_equal(segmenter.result(ticket).labels, wanted(seed))


def test_a_ticket_is_good_once_and_here(segmenter, frames):
    ticket = segmenter.submit(**frames(1, *CAMERA))
    with pytest.raises(ArgumentError, match="ticket must be one that submit of this"):
        segmenter.clone().result(ticket)
    segmenter.result(ticket)
    with pytest.raises(ArgumentError, match="was not taken yet"):
        segmenter.result(ticket)


def test_out_and_confidence_are_those_that_were_asked_for(segmenter, frames, wanted):
    outs = [np.full(CAMERA, 0x77, np.uint8) for _ in range(2)]
    tickets = [
        segmenter.submit(**frames(seed, *CAMERA), out=out, confidence=seed == 1)
        for seed, out in enumerate(outs)
    ]
    results = [segmenter.result(ticket) for ticket in tickets]
    for seed, (result, out) in enumerate(zip(results, outs, strict=True)):
        assert result.labels is out
        np.testing.assert_array_equal(out, wanted(seed))
        assert (result.confidence is None) == (seed == 0)


def test_what_is_held_goes_from_slot_to_slot(held_either_way, on_gpu, frames, machine):
    held, options = held_either_way
    segmenter = on_gpu(held, **options)
    cpu = fuseg.load(held.path, backend="onnxruntime", **options)
    waiting, compared = [], 0
    rng = np.random.default_rng(5)
    for step in range(40):
        names = [n for n in ("rgb", "depth") if rng.random() < 0.6]
        given = frames(step, *CAMERA)
        given = {n: fuseg.Frame(given[n], step * 20 * MS) for n in names}
        words = {"stamp_ns": step * 20 * MS, "size": CAMERA}
        wanted = cpu(**given, **words)
        if len(waiting) == 2 or (waiting and rng.random() < 0.4):
            ticket, expected = waiting.pop(int(rng.integers(len(waiting))))
            result = segmenter.result(ticket)
            assert result.sources == expected.sources
            np.testing.assert_array_equal(result.labels, expected.labels)
            compared += 1
        waiting.append((segmenter.submit(**given, **words), wanted))
    assert compared > 30
    assert machine.counts["stream_wait"] > 5
    machine.check()


def test_held_channels_of_a_shared_tensor_go_from_slot_to_slot(stacked, on_gpu, frames):
    options = {
        "missing": {"rgb": {"policy": "hold", "max_age_ms": 100, "then": "refuse"}}
    }
    segmenter = on_gpu(stacked, **options)
    cpu = fuseg.load(stacked.path, backend="onnxruntime", **options)
    whole, depth = frames(0, *CAMERA), frames(1, *CAMERA)["depth"]
    stories = [
        {n: fuseg.Frame(a, MS) for n, a in whole.items()},
        {"depth": fuseg.Frame(depth, 2 * MS)},
    ]
    words = {"size": CAMERA}
    tickets = [segmenter.submit(**given, **words) for given in stories]
    for ticket, given in zip(tickets, stories, strict=True):
        found, wanted = segmenter.result(ticket), cpu(**given, **words)
        assert found.sources == wanted.sources
        np.testing.assert_array_equal(found.labels, wanted.labels)


def test_without_hold_the_slots_share_nothing(held_either_way, on_gpu, frames, machine):
    held, options = held_either_way
    segmenter = on_gpu(held, hold=False, **options)
    whole, other = frames(0, *CAMERA), frames(1, *CAMERA)
    tickets = [segmenter.submit(**whole), segmenter.submit(rgb=other["rgb"])]
    for ticket, state in zip(tickets, ("fresh", "substituted"), strict=True):
        assert segmenter.result(ticket).sources["depth"].state == state
    alone = on_gpu(held, **options)(rgb=other["rgb"]).labels
    segmenter(**whole, stamp_ns=5)  # a clock of its own
    np.testing.assert_array_equal(segmenter(rgb=other["rgb"]).labels, alone)
    assert machine.counts["stream_wait"] == 0
    machine.check()


def test_the_second_slot_is_made_when_it_is_needed(both, on_gpu, frames, machine):
    segmenter = on_gpu(both)
    segmenter(**frames(0, *CAMERA))
    assert machine.live()["streams"] == 1
    tickets = [segmenter.submit(**frames(seed, *CAMERA)) for seed in range(2)]
    assert machine.live()["streams"] == 2
    for ticket in tickets:
        segmenter.result(ticket)


def test_the_first_frame_is_still_computed_while_the_second_is_given(
    both, on_gpu, frames, machine, monkeypatch
):
    streams, create = [], machine.create_stream
    monkeypatch.setattr(
        machine, "create_stream", lambda: streams.append(create()) or streams[-1]
    )
    segmenter = on_gpu(both)
    (stream,) = streams
    waits = machine.counts["synchronize"]
    first = segmenter.submit(**frames(0, *CAMERA))
    assert machine.counts["synchronize"] == waits
    assert "enqueue" in machine.pending(stream)
    segmenter.result(first)
    assert machine.pending(stream) == []


def test_a_lost_gpu_is_told_at_the_result_and_again(both, on_gpu, frames, machine):
    segmenter = on_gpu(both)
    tickets = [segmenter.submit(**frames(seed, *CAMERA)) for seed in range(2)]
    machine.fail("synchronize", lost=True)
    for ticket in tickets:
        with pytest.raises(DeviceError):
            segmenter.result(ticket)
    with pytest.raises(DeviceError):
        segmenter(**frames(0, *CAMERA))


def test_a_frame_that_fails_while_the_next_one_needs_its_slot_says_so_at_its_result(
    both, on_gpu, frames, machine, wanted, monkeypatch
):
    monkeypatch.setattr(TensorRtBackend, "slots", 1)
    segmenter = on_gpu(both)
    first = segmenter.submit(**frames(0, *CAMERA))
    machine.fail("synchronize")
    second = segmenter.submit(**frames(1, *CAMERA))
    with pytest.raises(DeviceError):
        segmenter.result(first)
    np.testing.assert_array_equal(segmenter.result(second).labels, wanted(1))


def test_refused_frames_take_no_place(segmenter, frames):
    for _ in range(3):
        with pytest.raises(errors.FrameError):
            segmenter.submit(rgb=frames(0, *CAMERA)["rgb"])
    tickets = [segmenter.submit(**frames(seed, *CAMERA)) for seed in (1, 2)]
    for ticket in tickets:
        segmenter.result(ticket)


def test_close_gives_all_memory_back_at_once(both, on_gpu, frames, machine):
    segmenter = on_gpu(both)
    tickets = [segmenter.submit(**frames(seed, *CAMERA)) for seed in range(2)]
    assert machine.live()["streams"] == 2
    segmenter.close()
    assert machine.live() == {}
    with pytest.raises(ArgumentError, match="was closed"):
        segmenter.result(tickets[0])


def test_a_ticket_that_is_dropped_gives_its_place_back(segmenter, frames, wanted):
    for seed in range(5):
        segmenter.submit(**frames(seed, *CAMERA))
    np.testing.assert_array_equal(segmenter(**frames(7, *CAMERA)).labels, wanted(7))
