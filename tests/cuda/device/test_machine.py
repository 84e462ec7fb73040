"""When the pretend GPU does what it was given, in which order, and with which bytes."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from doubles import Misuse, Refused
from doubles.arrays import OnMachine
from doubles.memory import POISON, view

from fuseg import ops
from fuseg.cuda.array_view import as_view


def test_what_is_right_is_let_pass(bench):
    graph, machine = bench.graph(), bench.machine
    other = machine.create_stream()
    machine.launch_graph(graph, bench.stream)
    machine.stream_wait(other, bench.stream)
    machine.copy(bench.pinned, bench.there, 1000, other)
    machine.synchronize(other)
    machine.destroy_graph(graph)
    for stream in (bench.stream, other):
        machine.synchronize(stream)
        machine.destroy_stream(stream)
    machine.free(bench.there)
    machine.free_pinned(bench.pinned)
    machine.check()
    assert not machine.live()


def test_nothing_runs_before_somebody_waits(bench):
    view(bench.pinned, (1000,))[:] = 1
    bench.upload()
    there = view(bench.there, (1000,))
    assert (there == POISON).all()
    assert bench.machine.pending(bench.stream) == ["upload"]
    bench.machine.synchronize(bench.stream)
    assert (there == 1).all()


def test_a_stream_that_waits_lets_the_other_come_first_but_not_further(bench):
    machine, seen = bench.machine, []
    later = machine.create_stream()
    for name in ("first", "second"):
        machine.enqueue(bench.stream, name, lambda name=name: seen.append(name))
        if name == "first":
            machine.stream_wait(later, bench.stream)
    machine.enqueue(later, "third", lambda: seen.append("third"))
    machine.synchronize(later)
    assert seen == ["first", "third"]


def test_a_graph_does_again_what_was_recorded_with_the_bytes_of_then(bench):
    graph, machine = bench.graph(), bench.machine
    assert (view(bench.there, (1000,)) == POISON).all()
    for value in (3, 4):
        view(bench.pinned, (1000,))[:] = value
        machine.launch_graph(graph, bench.stream)
        machine.synchronize(bench.stream)
        assert (view(bench.there, (1000,)) == value).all()


def test_a_graph_reads_what_the_gpu_wrote_for_it_in_the_meantime(bench):
    graph, machine = bench.graph(), bench.machine
    view(bench.pinned, (1000,))[:] = 3
    machine.launch_graph(graph, bench.stream)
    fives = OnMachine(machine, np.full(1000, 5, np.uint8))
    machine.copy(bench.pinned, fives.address, 1000, bench.stream)
    machine.launch_graph(graph, bench.stream)
    machine.synchronize(bench.stream)
    assert (view(bench.there, (1000,)) == 5).all()


def test_a_stream_does_not_forget_how_far_it_has_seen_another_come(bench):
    machine = bench.machine
    first, second = machine.create_stream(), machine.create_stream()
    machine.stream_wait(first, bench.stream)
    bench.upload()
    machine.stream_wait(second, bench.stream)
    machine.stream_wait(second, first)
    machine.copy(bench.pinned, bench.there, 1000, second)


def test_a_capture_follows_the_streams_that_it_leads_to(bench):
    machine, seen = bench.machine, []
    other = machine.create_stream()
    machine.begin_capture(bench.stream)
    machine.stream_wait(other, bench.stream)
    machine.enqueue(other, "aside", lambda: seen.append("aside"))
    machine.stream_wait(bench.stream, other)
    machine.enqueue(bench.stream, "after", lambda: seen.append("after"))
    graph = machine.end_capture(bench.stream)
    assert not machine.is_capturing(other)
    machine.launch_graph(graph, bench.stream)
    machine.synchronize(bench.stream)
    assert seen == ["aside", "after"]


def test_another_thread_may_allocate_while_this_one_captures(bench):
    bench.machine.begin_capture(bench.stream)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(bench.machine.allocate(10)))
    thread.start()
    thread.join()
    assert taken


def test_a_refusal_spoils_the_capture_and_leaves_the_stream_usable(bench):
    machine, kernels = bench.machine, bench.kernels
    machine.fail("upload", error=Refused())
    kernels.begin_capture(bench.stream)
    with pytest.raises(RuntimeError, match="cudaMemcpyAsync: cudaErrorLaunchFailure"):
        kernels.copy(bench.there, bench.pinned, 1000, bench.stream)
    with pytest.raises(RuntimeError, match="cudaErrorStreamCaptureInvalidated"):
        kernels.end_capture(bench.stream)
    kernels.copy(bench.there, bench.pinned, 1000, bench.stream)
    kernels.synchronize(bench.stream)


def test_a_graph_that_is_not_made_leaves_the_stream_usable(bench):
    bench.machine.fail("end_capture")
    with pytest.raises(Refused):
        bench.graph()
    bench.machine.launch_graph(bench.graph(), bench.stream)


def test_freed_memory_reads_as_poison(bench):
    view(bench.there, (1000,))[:] = 1
    bench.machine.free(bench.there)
    assert (view(bench.there, (1000,)) == POISON).all()


def test_eight_threads_do_not_disturb_each_other(bench):
    machine, wrong = bench.machine, []

    def frames(seed):
        rng = np.random.default_rng(seed)
        stream, there = machine.create_stream(), machine.allocate(5000)
        host, back = (machine.allocate_pinned(5000) for _ in range(2))
        for _ in range(30):
            given = view(host, (5000,))
            given[:] = rng.integers(0, 256, 5000)
            machine.copy(there, host, 5000, stream)
            machine.copy(back, there, 5000, stream)
            machine.synchronize(stream)
            if (view(back, (5000,)) != given).any():
                wrong.append(seed)

    threads = [threading.Thread(target=frames, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert machine.counts["upload"] == 240


def test_an_op_reads_what_it_was_given_and_nothing_more(bench):
    frame = OnMachine(bench.machine, np.zeros((4, 5, 3), np.uint8))
    out = OnMachine(bench.machine, np.zeros((3, 2, 2), np.float32))
    frame = replace(as_view("frame", frame), shape=(5, 5, 3))
    with pytest.raises(Misuse, match=r"pack_color_cuda: .* reach beyond the device"):
        ops.pack_color(frame, size=(2, 2), out=out, stream=bench.stream)
