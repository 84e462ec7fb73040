"""The pretend GPU is strict: each misuse that is planted here is caught."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from doubles import Misuse
from doubles.memory import view

from fuseg import _kernels
from fuseg.cuda.array_view import view_at

MISUSES = {}


def misuse(words):
    """Register a function that must raise Misuse with these words."""

    def register(function):
        MISUSES[function.__name__] = (function, words)
        return function

    return register


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
    b.machine.stream_wait(other, b.stream)
    b.machine.end_capture(b.stream)


@misuse("captures and cannot wait for")
def a_capture_that_waits_for_what_is_not_in_it(b):
    other = b.machine.create_stream()
    b.machine.begin_capture(b.stream)
    b.machine.stream_wait(b.stream, other)


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
    scores = view_at(b.there + 2, (2, 3, 3), np.float32)
    label(b, scores, shape=(2, 3, 3), dtype=np.dtype(np.float32), pitch=0)


@misuse("is no multiple of 16 bytes")
def scores_in_groups_of_eight_between_sixteens(b):
    scores = view_at(b.there + 8, (3, 3, 8), np.float16)
    label(b, scores, shape=(5, 3, 3), dtype=np.dtype(np.float16), pitch=8)


def label(b, scores, **settings):
    kernel = _kernels.UpsampleArgmax(
        size=(3, 3), rows=(0, 1, 1), columns=(0, 1, 1), threads=1, **settings
    )
    labels = view_at(b.there + 512, (3, 3), np.uint8)
    b.kernels.launch(kernel, (scores, labels, None, None), b.stream)


@misuse("split the elements")
def rows_that_split_elements(b):
    kernel = _kernels.PackDepth(
        frame_dtype=np.dtype(np.uint16),
        height=2,
        width=3,
        placement=(0, 0, 2, 3, 0, 2, 3, 0, 0, 2, 3),
        filter=0,
        invalid=[],
        below=0.0,
        above=9e9,
        multiply=1.0,
        add=0.0,
        fill=0.0,
        out_dtype=np.dtype(np.float32),
        chw4_channel=-1,
        threads=1,
    )
    frame = replace(view_at(b.there, (2, 3), np.uint16), strides=(7, 2))
    out = view_at(b.there + 512, (2, 3), np.float32)
    b.kernels.launch(kernel, (frame, out, None), b.stream)


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


@pytest.mark.parametrize("name", MISUSES)
def test_it_is_caught(bench, name):
    plant, words = MISUSES[name]
    with pytest.raises(Misuse, match=words):
        plant(bench)
