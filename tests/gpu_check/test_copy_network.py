"""The network that copies, on the CUDA module compiled for the CPU."""

from __future__ import annotations

from pathlib import Path

import doubles
import gpu_bars
import gpu_copying
import numpy as np
import pytest

from fuseg.cuda import array_view

SMALL = Path(__file__).parents[1] / "data" / "format1.fuseg"


@pytest.fixture
def copying(emulated_kernels, monkeypatch):
    monkeypatch.setattr(array_view, "kernels", lambda: emulated_kernels)
    return gpu_copying.Copying(SMALL, "native")


@pytest.fixture
def some():
    rng = np.random.default_rng(5)
    return [
        {
            "rgb": rng.integers(0, 256, (48, 64, 3), dtype=np.uint8),
            "depth": rng.integers(0, 9000, (48, 64)).astype(np.uint16),
        }
        for _ in range(3)
    ]


def test_its_labels_are_the_cpus_in_every_way_to_give_frames(copying, some):
    found = copying.check(some)
    assert found.pop("without graph").endswith("emulated")  # it has no graphs
    assert found.pop("frames on the GPU").startswith("skipped")
    assert set(found) == {
        *("one call a frame", "a smaller camera", "submit and result", "a clone")
    }
    assert min(found.values()) >= gpu_copying.LEAST


def test_its_labels_depend_on_every_sensor(copying, some):
    (before, *_) = some
    labels = copying.label(before)
    assert len(np.unique(labels)) > 1
    for name, frame in before.items():
        other = before | {name: np.ascontiguousarray(frame[::-1])}
        assert (copying.label(other) != labels).mean() > 0.01


def test_a_packing_kernel_that_is_wrong_is_seen(copying, some, monkeypatch):
    upload = copying._device.upload

    def spoiled(to, source, stream):
        if source.dtype == np.uint16:
            source[::4] = 0
        upload(to, source, stream)

    monkeypatch.setattr(copying._device, "upload", spoiled)
    found = copying.check(some)
    assert found["one call a frame"] < gpu_copying.LEAST


@pytest.mark.parametrize("seam", ["native", "pycuda"])
def test_what_is_measured_beside_an_engine_has_all_that_bars_need(
    some, monkeypatch, seam
):
    machine = doubles.install(monkeypatch, doubles.Machine())
    copying = gpu_copying.Copying(SMALL, seam)
    found = gpu_bars.measure(copying._gpu, some, rounds=2, calls=4)
    assert all(us > 0 for us in found["us"].values())
    assert found["frames"] == 8
    assert [set(bar) for bar in found["bars"]] == [
        {"bar", "reached", "must be", "met"}
    ] * 4
    assert machine.counts["launch_graph"] > 3 * 2 * 4
    machine.check()
