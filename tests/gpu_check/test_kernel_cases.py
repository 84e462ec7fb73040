"""What is timed on a GPU gives its peer's answer: on the CPU, and on the emulator."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import kernel_cases
import kernel_times

from fuseg.cuda import launch


@pytest.fixture(scope="module")
def cases():
    return kernel_cases.all_cases(np.random.default_rng(11), "cpu", 16)


@pytest.fixture(scope="module")
def odd_cases():
    return kernel_cases.odd_cases(np.random.default_rng(11), "cpu", 16)


class OnEmulator:
    """A tensor that says it lies on a GPU."""

    def __init__(self, tensor):
        self.described = tensor.numpy().__array_interface__

    @property
    def __cuda_array_interface__(self):
        kept = {k: self.described[k] for k in ("shape", "typestr", "data", "strides")}
        return kept | {"version": 3, "stream": None}


def test_every_case_is_right_on_the_cpu(cases):
    assert {c.name: w for c in cases if (w := kernel_times.wrong(c))} == {}


def test_odd_cases_have_odd_sizes_addresses_and_rows(cases, odd_cases):
    assert len(odd_cases) == 3 * len(cases)
    assert len({case.name for case in odd_cases}) == len(odd_cases)
    frames = [c.inputs[c.frame] for c in odd_cases if c.frame is not None]
    assert {c.name.split()[0] for c in odd_cases if c.frame is not None} == {
        *("pack_color", "pack_depth", "overlay")
    }
    assert all(frame.shape[0] % 2 == frame.shape[1] % 2 == 1 for frame in frames)
    pitches = [frame.stride(0) * frame.element_size() for frame in frames]
    assert all(pitch % 16 for pitch in pitches)
    outs = [case.out.data_ptr() % 16 for case in odd_cases]
    assert {1, 2, 4, 8} <= set(outs)
    assert 0 not in outs


@pytest.mark.parametrize("kind", ["cases", "odd_cases"])
def test_every_case_is_right_on_the_emulator(
    request, kind, emulated_kernels, monkeypatch
):
    monkeypatch.setattr(launch, "kernels", lambda: emulated_kernels)
    wrong = {}
    for case in request.getfixturevalue(kind):
        ours, out = case.ours, case.out
        out.view(torch.uint8).fill_(0 if "chw4" in case.name else 0xA5)
        if case.name.startswith("confusion_matrix"):
            out.zero_()  # it adds

        def on_emulator(out, *inputs, stream, ours=ours):
            ours(OnEmulator(out), *map(OnEmulator, inputs), stream=stream)

        case.ours = on_emulator
        if difference := kernel_times.wrong(case):
            wrong[case.name] = difference
        case.ours = ours
    assert wrong == {}


def test_each_layout_stands_beside_its_linear_form(cases):
    names = [case.name for case in cases]
    layouts = [case for case in cases if case.linear]
    assert {case.name.split()[0] for case in layouts} == {
        *("pack_color", "pack_depth", "upsample_argmax")
    }
    for case in layouts:
        assert names.index(case.linear) < names.index(case.name)
        rows = [{"case": case.linear, "warm_us": 4.0}]
        row = {"case": case.name, "warm_us": 3.0}
        kernel_times.beside_linear(row, case, rows)
        assert row["of_linear"] == 0.75
        assert row["linear_case"] == case.linear


@pytest.mark.parametrize("name", ["int8 chw4", "float16 chw4", "hwc8"])
def test_one_wrong_element_in_fifty_is_seen(cases, name):
    (case, *_) = (c for c in cases if c.name.endswith(name))
    ours = case.ours

    def spoiled(out, *inputs, stream):
        ours(out, *inputs, stream=stream)
        out.view(-1)[::50] += 50

    case.ours = spoiled
    assert kernel_times.wrong(case) is not None
    case.ours = ours
