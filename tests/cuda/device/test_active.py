"""Whose GPU the calling thread's is, before, inside and after."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from doubles import Machine, Misuse, install
from doubles.arrays import OnMachine

from fuseg import ops
from fuseg.cuda import launch, open_device, pycuda
from fuseg.errors import ArgumentError


@pytest.fixture
def machine():
    return Machine(devices=3)


def test_memory_is_taken_on_the_device_that_was_opened(machine, binding):
    with open_device(2, binding=binding).active():
        assert machine.current_device() == 2
        assert launch.kernels().current_device() == 2
    assert machine.current_device() == 0


def test_what_was_current_before_is_so_again(binding, machine):
    first, second = open_device(1, binding=binding), open_device(2, binding=binding)
    with first.active():
        with second.active():
            with first.active():
                assert machine.current_device() == 1
            assert machine.current_device() == 2
        assert machine.current_device() == 1
    machine.use_device(2)
    with pytest.raises(KeyError), first.active():
        raise KeyError
    assert machine.current_device() == 2


def test_each_thread_has_its_own(binding, machine):
    device, seen = open_device(2, binding=binding), []

    def look():
        seen.append(machine.current_device())
        with device.active():
            seen.append(machine.current_device())

    with device.active():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == [0, 2]


def test_pycuda_contexts_of_others_come_back(monkeypatch, machine):
    install(monkeypatch, machine)
    import pycuda.driver as cuda

    ours = open_device(1, binding="pycuda")
    theirs = cuda.Device(0).retain_primary_context()
    theirs.push()
    with ours.active():
        assert machine.current_device() == 1
    assert cuda.Context.get_current() is theirs
    assert machine.current_device() == 0
    theirs.pop()
    assert machine.contexts == []


def test_no_context_is_made_beside_the_primary_one(monkeypatch, machine):
    install(monkeypatch, machine)
    device = open_device(1, binding="pycuda")
    with device.active():
        device.free(device.allocate(1))
    assert machine.counts["retain_primary_context"] == 1


def test_a_context_is_retained_once_and_let_go_at_the_end(monkeypatch, machine):
    install(monkeypatch, machine)
    first, again = (open_device(1, binding="pycuda") for _ in range(2))
    with first.active():
        there = first.allocate(1)
    with again.active():
        first.free(there)
    assert machine.counts["retain_primary_context"] == 1
    before = machine.counts["detach"]
    pycuda._detach()
    pycuda._detach()
    assert machine.counts["detach"] == before + 1


def test_without_active_pycuda_is_misused(monkeypatch, machine):
    install(monkeypatch, machine)
    device = open_device(binding="pycuda")
    with device.active():
        stream = device.create_stream()
    with pytest.raises(Misuse, match="no context of pycuda is active on this thread"):
        device.synchronize(stream)


def test_memory_of_one_device_is_not_used_on_another(binding):
    one, two = open_device(0, binding=binding), open_device(1, binding=binding)
    with one.active():
        there = one.allocate(10)
    with two.active():
        stream, host = two.create_stream(), two.pinned(10)
        with pytest.raises(Misuse, match="is on another device"):
            two.upload(there, host.array, stream)


def test_an_op_runs_on_the_gpu_of_its_arrays_and_so_does_what_it_waits_for(
    monkeypatch, machine
):
    install(monkeypatch, machine)
    machine.use_device(1)
    side, stream = machine.create_stream(), machine.create_stream()
    labels, out = (
        OnMachine(machine, np.zeros(shape, np.uint8), stream=side)
        for shape in [(2, 3), (2, 3, 3)]
    )
    machine.use_device(2)
    ops.overlay(labels, palette=np.full((1, 3), 7, np.uint8), out=out, stream=stream)
    assert labels.asked == out.asked == [(stream, 1)]
    assert machine.current_device() == 2
    machine.synchronize(stream)
    assert (out.numpy() == 7).all()


def test_arrays_of_two_gpus_are_refused(monkeypatch, machine):
    install(monkeypatch, machine)
    labels = OnMachine(machine, np.zeros((2, 3), np.uint8))
    machine.use_device(1)
    out = OnMachine(machine, np.zeros((2, 3, 3), np.uint8))
    words = (
        "overlay must be given arrays on one GPU, got some on GPU 0 and some on GPU 1"
    )
    with pytest.raises(ArgumentError, match=words):
        ops.overlay(labels, palette=np.zeros((1, 3), np.uint8), out=out)
    assert machine.counts["kernel"] == 0
    assert machine.current_device() == 1


def test_memory_that_was_given_back_is_refused(monkeypatch, machine):
    install(monkeypatch, machine)
    labels = OnMachine(machine, np.zeros((2, 3), np.uint8))
    out = OnMachine(machine, np.zeros((2, 3, 3), np.uint8))
    machine.free(labels.base)
    words = (
        rf"overlay .* can reach, got one at address {labels.address:#x}, which is in no"
    )
    with pytest.raises(ArgumentError, match=words):
        ops.overlay(labels, palette=np.zeros((1, 3), np.uint8), out=out)
