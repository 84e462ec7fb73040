"""The double of the CUDA module has its functions; kernels run when a GPU's would."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from doubles import Machine, install, kernels_cuda
from doubles.arrays import OnMachine

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


@pytest.mark.parametrize("pinned", [False, True])
def test_a_kernel_runs_late_with_the_settings_of_the_call(monkeypatch, machine, pinned):
    """On pinned memory too, as on an integrated GPU."""
    gpu, rng = install(monkeypatch, machine), np.random.default_rng(5)
    labels = rng.integers(0, 4, (8, 9), dtype=np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    given, out = palette.copy(), OnMachine(gpu, np.zeros((8, 9, 3), np.uint8), pinned)
    paint = ops.Overlay(given)
    paint(OnMachine(gpu, labels, pinned), out=out)
    given[...] = 0
    gpu.synchronize(1)
    np.testing.assert_array_equal(out.numpy(), palette[labels])
    assert gpu.counts["overlay_cuda"] == gpu.counts["kernel"] == 1
