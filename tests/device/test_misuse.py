"""The pretend GPU is strict: each misuse that is planted here is caught."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from doubles import Machine, Misuse, Refused, install
from doubles.arrays import OnMachine
from doubles.memory import POISON, view

from fuseg import _device, ops

MISUSES = {}


def misuse(words):
    """Register a function that must raise Misuse with these words."""

    def register(function):
        MISUSES[function.__name__] = (function, words)
        return function

    return register


class Bench:
    """A machine with the usual things on it."""

    def __init__(self, monkeypatch, machine):
        self.machine = install(monkeypatch, machine)
        self.kernels = _device.kernels()
        self.stream = machine.create_stream()
        self.there = machine.allocate(1000)
        self.pinned = machine.allocate_pinned(1000)

    def upload(self):
        self.machine.copy(self.there, self.pinned, 1000, self.stream)

    def graph(self):
        self.machine.begin_capture(self.stream)
        self.upload()
        return self.machine.end_capture(self.stream)

    def work(self, **touches):
        self.machine.enqueue(self.stream, "work", lambda: None, **touches)


@misuse("an address is 0: it was never set")
def an_address_that_was_never_set(b):
    b.work(reads=[(0, 4)])


@misuse("is an address of nobody's here")
def an_address_of_somebody_else(b):
    b.work(writes=[(np.zeros(4).ctypes.data, 4)])


@misuse("is in freed device memory")
def memory_that_was_freed(b):
    b.machine.free(b.there)
    b.work(reads=[(b.there, 4)])


@misuse("reach beyond the device memory of 1000 bytes")
def a_byte_too_many(b):
    b.work(reads=[(b.there + 1, 1000)])


@misuse("reach beyond the device memory")
def a_byte_too_early(b):
    b.work(reads=[(b.there - 1, 4)])


@misuse("is in freed device memory")
def freeing_twice(b):
    b.machine.free(b.there)
    b.machine.free(b.there)


@misuse("is no device allocation")
def freeing_the_middle(b):
    b.machine.free(b.there + 256)


@misuse("is no device allocation")
def freeing_pinned_memory_as_the_gpus(b):
    b.machine.free(b.pinned)


@misuse("'upload' is queued and uses the device memory")
def freeing_what_queued_work_uses(b):
    b.upload()
    b.machine.free(b.there)


@misuse("is queued and uses the pinned memory")
def freeing_what_a_queued_copy_reads(b):
    b.upload()
    b.machine.free_pinned(b.pinned)


@misuse("stream 4096 is unknown")
def a_stream_of_nobody(b):
    b.machine.synchronize(4096)


@misuse("stream 0 is unknown")
def the_stream_that_was_not_given(b):
    b.kernels.copy(b.there, b.pinned, 4, 0)


@misuse("is destroyed")
def a_stream_that_was_destroyed(b):
    b.machine.destroy_stream(b.stream)
    b.upload()


@misuse("is not idle")
def destroying_a_stream_with_work(b):
    b.upload()
    b.machine.destroy_stream(b.stream)


@misuse("captures a graph: nothing runs there")
def waiting_while_a_stream_captures(b):
    b.machine.begin_capture(b.stream)
    b.machine.synchronize(b.stream)


@misuse("this thread captures a graph")
def allocating_while_a_stream_captures(b):
    b.machine.begin_capture(b.stream)
    b.machine.allocate(10)


@misuse("this thread captures a graph")
def freeing_while_a_stream_captures(b):
    b.machine.begin_capture(b.stream)
    b.machine.free(b.there)


@misuse("did not begin one")
def ending_a_capture_that_never_began(b):
    b.machine.end_capture(b.stream)


@misuse("cannot begin one now")
def beginning_a_capture_twice(b):
    b.machine.begin_capture(b.stream)
    b.machine.begin_capture(b.stream)


@misuse("another thread began")
def ending_a_capture_of_another_thread(b):
    thread = threading.Thread(target=b.machine.begin_capture, args=(b.stream,))
    thread.start()
    thread.join()
    b.machine.end_capture(b.stream)


@misuse("did not lead back")
def a_capture_that_leaves_a_stream_behind(b):
    other = b.machine.create_stream()
    b.machine.begin_capture(b.stream)
    b.machine.put_after(other, b.stream)
    b.machine.end_capture(b.stream)


@misuse("captures and cannot wait for")
def a_capture_that_waits_for_what_is_not_in_it(b):
    other = b.machine.create_stream()
    b.machine.begin_capture(b.stream)
    b.machine.put_after(b.stream, other)


@misuse("is in freed device memory")
def a_graph_whose_memory_was_freed(b):
    graph = b.graph()
    b.machine.free(b.there)
    b.machine.launch_graph(graph, b.stream)


@misuse(r"graph \d+ is destroyed")
def a_graph_that_was_destroyed(b):
    graph = b.graph()
    b.machine.destroy_graph(graph)
    b.machine.launch_graph(graph, b.stream)


@misuse("is an address of nobody's here")
def an_upload_from_memory_that_is_not_pinned(b):
    array = np.zeros(10, np.uint8)
    b.kernels.copy(b.there, array.ctypes.data, 10, b.stream)


@misuse("the GPU cannot see the pinned memory")
def a_kernel_on_pinned_memory_that_is_not_mapped(b):
    hidden = b.machine.allocate_pinned(10, mapped=False)
    b.work(reads=[(hidden, 10)])


@misuse("is no multiple of 4 bytes")
def an_address_that_splits_elements(b):
    b.kernels.upsample_argmax_cuda(
        *(b.there + 2, False, (1, 2, 3, 3), b.there + 512, 0, 3, 3),
        *((0, 1, 1), (0, 1, 1), 0, b.stream),
    )


@misuse("is no multiple of 16 bytes")
def scores_in_groups_of_eight_between_sixteens(b):
    b.kernels.upsample_argmax_cuda(
        *(b.there + 8, True, (1, 5, 3, 3), b.there + 512, 0, 3, 3),
        *((0, 1, 1), (0, 1, 1), 8, b.stream),
    )


@misuse("split the elements")
def rows_that_split_elements(b):
    b.kernels.pack_depth_cuda(
        *(b.there, 1, 7, (0, 0, 2, 3, 0, 2, 3, 0, 0, 2, 3), 0, [], 1.0, 0.0, 0.0),
        *(b.there + 512, 0, 0, -1, b.stream),
    )


@misuse("beside the device memory of 1000 bytes")
def a_kernel_that_writes_beside_its_memory(b):
    beyond = view(b.there, (1001,))
    b.machine.enqueue(b.stream, "work", lambda: beyond.fill(0), [], [(b.there, 9)])
    b.machine.synchronize(b.stream)


@misuse("was written")
def the_cpu_writing_to_pinned_memory_that_is_freed(b):
    array = view(b.pinned, (1000,))
    b.machine.free_pinned(b.pinned)
    array[3] = 1
    b.machine.check()


@misuse("were overwritten before it had read them")
def the_next_frame_written_over_one_that_is_being_uploaded(b):
    b.upload()
    view(b.pinned, (1000,))[5] ^= 1
    b.machine.synchronize(b.stream)


@misuse("share memory and nothing orders them")
def two_streams_at_the_same_bytes(b):
    b.upload()
    other = b.machine.create_stream()
    b.machine.copy(b.pinned, b.there, 1000, other)


@misuse("device 1 is current, and stream .* is another's")
def a_kernel_while_another_device_is_current(b):
    b.machine.use_device(1)
    b.work()


@misuse("is no number of bytes")
def taking_nothing(b):
    b.machine.allocate(0)


@misuse("a context of one's own")
def a_context_beside_the_primary_one(b):
    cuda(b).Device(0).make_context()


@misuse("no context of pycuda is active")
def pycuda_on_a_thread_without_a_context(b):
    cuda(b).mem_alloc(10)


@misuse("no context of pycuda is active")
def pycuda_after_its_context_was_popped(b):
    context = cuda(b).Device(0).retain_primary_context()
    context.push()
    stream = cuda(b).Stream(1)
    cuda(b).Context.pop()
    stream.synchronize()


@misuse("another device than the active context's")
def a_device_changed_under_pycuda(b):
    context = cuda(b).Device(0).retain_primary_context()
    context.push()
    b.machine.use_device(1)
    cuda(b).mem_alloc(10)


@misuse("must be non-blocking")
def a_stream_that_the_default_stream_blocks(b):
    cuda(b).Device(0).retain_primary_context().push()
    cuda(b).Stream()


@misuse("stream 0 is unknown")
def a_copy_of_pycuda_on_no_stream(b):
    cuda(b).Device(0).retain_primary_context().push()
    host = cuda(b).pagelocked_empty(10, np.uint8, mem_flags=3)
    cuda(b).memcpy_htod_async(b.there, host)


def cuda(_):
    import pycuda.driver

    pycuda.driver.init()
    return pycuda.driver


@pytest.fixture
def bench(monkeypatch):
    return Bench(monkeypatch, Machine(devices=2))


@pytest.mark.parametrize("name", MISUSES)
def test_it_is_caught(bench, name):
    plant, words = MISUSES[name]
    with pytest.raises(Misuse, match=words):
        plant(bench)


def test_at_least_fourteen_are_planted():
    assert len(MISUSES) >= 14


def test_what_is_right_is_let_pass(bench):
    graph, machine = bench.graph(), bench.machine
    other = machine.create_stream()
    machine.launch_graph(graph, bench.stream)
    machine.put_after(other, bench.stream)
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
            machine.put_after(later, bench.stream)
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
    machine.put_after(first, bench.stream)
    bench.upload()
    machine.put_after(second, bench.stream)
    machine.put_after(second, first)
    machine.copy(bench.pinned, bench.there, 1000, second)


def test_a_capture_follows_the_streams_that_it_leads_to(bench):
    machine, seen = bench.machine, []
    other = machine.create_stream()
    machine.begin_capture(bench.stream)
    machine.put_after(other, bench.stream)
    machine.enqueue(other, "aside", lambda: seen.append("aside"))
    machine.put_after(bench.stream, other)
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
    bench.machine.free(frame.base)
    with pytest.raises(Misuse, match=r"pack_color_cuda: .* is in freed device"):
        ops.pack_color(frame, size=(2, 2), out=out, stream=bench.stream)
