"""The network that copies, through both bindings of the double and on the CUDA module
compiled for the CPU; and what is measured beside an engine."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import copy_network
import doubles
import engine_overhead
import numpy as np
import pytest
from doubles.arrays import OnMachine

from fuseg.cuda import launch

SMALL = Path(__file__).parents[1] / "data" / "format1.fuseg"
WAYS = {"one call a frame", "a smaller camera", "submit and result", "a clone"}
WITH_TORCH = {
    *("frames on the GPU", "frames of a side stream", "nine frames on the GPU in turn")
}


@pytest.fixture
def copying(emulated_kernels, monkeypatch):
    monkeypatch.setattr(launch, "kernels", lambda: emulated_kernels)
    return copy_network.Copying(SMALL, "native")


def test_its_labels_are_the_cpus_in_every_way_to_give_frames(copying, some):
    found = copying.check(some)
    assert {found.pop(way) for way in WITH_TORCH} == {None}  # there is none
    assert found.keys() == WAYS
    assert min(found.values()) >= copy_network.LEAST
    faults = copy_network.wrong(found, copying.gpu.cuda_graph_disabled_reason)
    assert [sentence.split(":")[0] for sentence in faults] == ["no CUDA graph"]


@pytest.mark.parametrize("binding", ["native", "pycuda"])
def test_frames_go_through_both_bindings_of_the_double(monkeypatch, some, binding):
    machine = doubles.install(monkeypatch, doubles.Machine())
    copying = copy_network.Copying(SMALL, binding)
    found = copying.check(some)
    assert found == dict.fromkeys(WAYS, 1.0) | dict.fromkeys(WITH_TORCH)
    assert copying.device.name == binding
    assert copy_network.wrong(found, copying.gpu.cuda_graph_disabled_reason) == []
    machine.check()


class PyTorch:
    """As much of it as frames on the GPU need, on the double."""

    def __init__(self, machine):
        self.cuda, self.machine = self, machine
        self.made, self.in_side = [], 0

    def from_numpy(self, array):
        self.made.append(OnMachine(self.machine, array))
        return SimpleNamespace(cuda=lambda: self.made[-1])

    def zeros_like(self, like):
        late = OnMachine(self.machine, np.zeros_like(like.numpy()), stream=self.side)
        late.copy_ = lambda given: self.machine.copy(
            late.base, given.base, given.numpy().nbytes, self.side
        )
        return late

    def rand(self, shape, device):
        assert (shape, device) == ((4096, 4096), "cuda")
        return np.eye(2)

    def synchronize(self):
        for stream in (1, self.side):
            self.machine.synchronize(stream)

    def Stream(self):
        self.side = self.machine.create_stream()
        return self.side

    @contextmanager
    def stream(self, stream):
        assert stream == self.side
        self.in_side += 1
        yield


@pytest.mark.parametrize("binding", ["native", "pycuda"])
def test_frames_on_the_gpu_come_from_nine_buffers_and_from_a_side_stream(
    monkeypatch, some, binding
):
    machine = doubles.install(monkeypatch, doubles.Machine())
    torch = PyTorch(machine)
    monkeypatch.setattr(copy_network, "torch_with_gpu", lambda: torch)
    copying = copy_network.Copying(SMALL, binding)
    found = copying.check(some)
    assert found == dict.fromkeys(WAYS | WITH_TORCH, 1.0)
    assert copy_network.wrong(found, copying.gpu.cuda_graph_disabled_reason) == []
    sensors, late = len(some[0]), torch.in_side * len(some[0])
    assert torch.in_side == len(some)
    assert len({array.base for array in torch.made}) == (3 + 9) * sensors + late
    machine.check()


def test_its_labels_depend_on_every_sensor(copying, some):
    (before, *_) = some
    labels = copying.gpu(**before).labels
    assert len(np.unique(labels)) > 1
    for name, frame in before.items():
        other = before | {name: np.ascontiguousarray(frame[::-1])}
        assert (copying.gpu(**other).labels != labels).mean() > 0.01


def test_a_packing_kernel_that_is_wrong_is_seen(copying, some, monkeypatch):
    upload = copying.device.upload

    def spoiled(to, source, stream):
        if source.nbytes == some[0]["depth"].nbytes:
            source.view(np.uint16)[::4] = 0
        upload(to, source, stream)

    monkeypatch.setattr(copying.device, "upload", spoiled)
    found = copying.check(some)
    assert found["one call a frame"] < copy_network.LEAST
    assert copy_network.wrong(found, None)[0].endswith(" of the labels fit")


def test_a_way_that_fails_loses_no_other(copying, some, monkeypatch):
    def lost(**_):
        raise RuntimeError("lost")

    monkeypatch.setattr(copying.gpu, "submit", lost)
    found = copying.check(some)
    assert found["one call a frame"] >= copy_network.LEAST
    faults = copy_network.wrong(found, None)
    assert faults == ["submit and result failed: RuntimeError: lost"]


@pytest.mark.parametrize("binding", ["native", "pycuda"])
def test_what_is_measured_beside_an_engine_has_all_that_targets_need(
    some, monkeypatch, binding
):
    machine = doubles.install(monkeypatch, doubles.Machine())
    copying = copy_network.Copying(SMALL, binding)
    found = engine_overhead.measure(copying.gpu, some, rounds=2, calls=4)
    assert all(us > 0 for us in found["us"].values())
    assert found["frames"] == 8
    assert [set(bar) for bar in found["bars"]] == [
        {"bar", "reached", "must be", "met"}
    ] * 3
    assert machine.counts["launch_graph"] > 3 * 2 * 4
    machine.check()


def test_a_target_is_met_at_its_limit_and_missed_beyond():
    us = {
        "engine, loop": 110.0,
        "engine, graph": 97.0,
        "copies": 50.0,
        "frame of two in flight": 100.0,
        "frame p50": 177.0,
        "frame p99": 177.0 * 1.2,
    }
    found = engine_overhead.targets(us)
    assert [bar["met"] for bar in found] == [True, True, False]
    assert [bar["reached"] for bar in found] == pytest.approx([0.97, 30.0, 1.2])
    beyond = {"frame of two in flight": 101.0, "frame p50": 178.0, "frame p99": 180.0}
    found = engine_overhead.targets(us | beyond)
    assert [bar["met"] for bar in found] == [False, False, True]
