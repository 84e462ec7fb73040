"""The first script on a GPU, on the double: right answers pass, wrong ones are told."""

from __future__ import annotations

import doubles
import kernel_smoke
import numpy as np
import pytest

from fuseg.cuda import open_device


@pytest.fixture
def machine(monkeypatch):
    return doubles.install(monkeypatch, doubles.Machine())


def smokes():
    return list(kernel_smoke.all_kernels(np.random.default_rng(5)))


def test_every_kernel_is_launched_captured_and_replayed(machine, tmp_path, monkeypatch):
    saved = tmp_path / "smoke.json"
    monkeypatch.setattr("sys.argv", ["kernel_smoke.py", "--save", str(saved)])
    assert kernel_smoke.main() == 0
    assert '"wrong": []' in saved.read_text()
    assert machine.counts["launch_graph"] == len(smokes()) == 7
    assert not machine.live()
    machine.check()


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("smoke", smokes(), ids=lambda smoke: smoke.name)
def test_an_answer_that_is_not_the_cpus_is_told(smoke):
    device = open_device(0, binding="native")
    right = smoke.call

    def other(*inputs, **more):
        if "stream" not in more:
            inputs = [inputs[0][::-1].copy(), *inputs[1:]]
        return right(*inputs, **more)

    smoke.call = other
    faults = kernel_smoke.check(device, smoke, device.create_stream())
    assert [fault.split(":")[0] for fault in faults] == [
        f"{smoke.name}, launched",
        f"{smoke.name}, replayed",
    ]
