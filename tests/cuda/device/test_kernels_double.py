"""The double of the CUDA module has its functions; kernels run when a GPU's would."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from doubles import Machine, install, kernels_cuda
from doubles.arrays import OnMachine
from doubles.memory import POISON

from fuseg import ops


def named(module):
    """Names of the functions, and of their parameters."""
    functions = {n: getattr(module, n) for n in dir(module) if not n.startswith("_")}
    return {n: parameters(f) for n, f in functions.items() if callable(f)}


def parameters(function):
    if inspect.isfunction(function):
        return [
            name.removesuffix("_") for name in inspect.signature(function).parameters
        ]
    inside = function.__doc__.partition("(")[2].rpartition(") ->")[0]
    return re.findall(r"(?:^|, )(\w+): ", inside)


def test_it_has_the_functions_of_the_module_with_their_parameters(emulated):
    assert named(kernels_cuda.make(Machine())) == named(emulated)


def test_the_module_says_what_its_parameters_are_called(emulated):
    assert parameters(emulated.copy) == ["to", "source", "size", "stream"]
    assert parameters(emulated.device_count) == []
    assert parameters(emulated.launch) == ["kernel", "views", "stream"]


@pytest.fixture
def gpu(monkeypatch, machine):
    install(monkeypatch, machine)
    return machine


@pytest.fixture
def put(gpu):
    return lambda array: OnMachine(gpu, array)


@pytest.fixture
def blank(gpu):
    def make(shape, dtype):
        array = np.empty(shape, dtype)
        array.view(np.uint8)[...] = POISON
        return OnMachine(gpu, array)

    return make


@pytest.fixture
def done(gpu):
    """Wait for the default stream and look."""

    def look(array):
        gpu.synchronize(1)
        return array.numpy()

    return look


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_settings_are_those_of_the_call_though_the_work_is_late(
    gpu, put, blank, done, rng
):
    labels = rng.integers(0, 4, (8, 9), dtype=np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    given, out = palette.copy(), blank((8, 9, 3), np.uint8)
    paint = ops.Overlay(given)
    paint(put(labels), out=out)
    given[...] = 0
    np.testing.assert_array_equal(done(out), palette[labels])
    assert gpu.counts["overlay_cuda"] == gpu.counts["kernel"] == 1


def test_a_kernel_works_on_pinned_memory_as_on_an_integrated_gpu(gpu, done, rng):
    labels = rng.integers(0, 4, (8, 9), dtype=np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    given = OnMachine(gpu, labels, pinned=True)
    out = OnMachine(gpu, np.zeros((8, 9, 3), np.uint8), pinned=True)
    ops.overlay(given, palette=palette, out=out)
    np.testing.assert_array_equal(done(out), palette[labels])


def test_a_kernel_that_does_not_start_is_told_in_fusegs_words(gpu, put, blank):
    gpu.fail("overlay_cuda")
    with pytest.raises(RuntimeError, match="overlay could not be started on the GPU"):
        ops.overlay(
            put(np.zeros((2, 2), np.uint8)),
            palette=np.zeros((4, 3), np.uint8),
            out=blank((2, 2, 3), np.uint8),
        )
