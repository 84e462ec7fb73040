"""The real binding of the device half, over the emulated runtime."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from fuseg import _kernels, ops
from fuseg.cuda import launch
from fuseg.cuda.array_view import view_at


@pytest.fixture
def module(emulated, monkeypatch):
    monkeypatch.setattr(launch, "kernels", lambda: emulated)
    return emulated


def test_its_facts(module):
    assert module.device_count() == 1
    assert module.current_device() == 0
    assert module.device_properties(0) == {
        "name": "Emulated GPU",
        "capability": (7, 5),
        "memory_bytes": 1 << 30,
        "integrated": False,
        "driver_version": 12060,
        "runtime_version": 11040,
    }


@pytest.mark.parametrize(
    ("call", "arguments", "words"),
    [
        ("use_device", (1,), "cudaSetDevice: cudaErrorInvalidDevice: emulated"),
        ("device_properties", (1,), "cudaGetDeviceProperties: cudaErrorInvalidDevice"),
        ("free", (4096,), "cudaFree: cudaErrorInvalidValue"),
        ("free_pinned", (4096,), "cudaFreeHost: cudaErrorInvalidValue"),
        ("copy", (4096, 4096, 1, 77), "cudaMemcpyAsync: cudaErrorInvalidResource"),
        ("synchronize", (77,), "cudaStreamSynchronize: cudaErrorInvalidResource"),
        ("destroy_stream", (77,), "cudaStreamDestroy: cudaErrorInvalidResource"),
        ("begin_capture", (1,), "cudaStreamBeginCapture: cudaErrorNotSupported"),
        ("end_capture", (1,), "cudaStreamEndCapture: cudaErrorNotSupported"),
        ("launch_graph", (1, 1), "cudaGraphLaunch: cudaErrorNotSupported"),
        ("destroy_graph", (1,), "cudaGraphExecDestroy: cudaErrorNotSupported"),
        ("stream_wait", (1, 77), "one stream cannot wait .*cudaErrorInvalidResource"),
    ],
)
def test_what_cuda_refuses_is_a_runtime_error_with_its_name(
    module, call, arguments, words
):
    with pytest.raises(RuntimeError, match=words):
        getattr(module, call)(*arguments)


@pytest.mark.parametrize(
    ("call", "words"),
    [("allocate", "cudaMalloc"), ("allocate_pinned", "cudaHostAlloc")],
)
def test_too_much_memory_is_a_memory_error(module, call, words):
    with pytest.raises(MemoryError, match=f"{words}: cudaErrorMemoryAllocation"):
        getattr(module, call)((1 << 30) + 1)


def test_kernels_take_page_locked_memory(module):
    labels = np.arange(72, dtype=np.uint8).reshape(8, 9) % 4
    palette = np.arange(12, dtype=np.uint8).reshape(4, 3)
    host, address = module.allocate_pinned(8 * 9 * 4)
    shared = np.ctypeslib.as_array((ctypes.c_uint8 * (8 * 9 * 4)).from_address(host))
    shared[:72] = labels.ravel()
    kernel = _kernels.Overlay(
        height=8, width=9, palette=palette, alpha=256, ignore=-1, threads=1
    )
    given = view_at(address, (8, 9), np.uint8)
    out = view_at(address + 72, (8, 9, 3), np.uint8)
    module.launch(kernel, (given, None, out), 1)
    painted = shared[72:].reshape(8, 9, 3).copy()
    module.free_pinned(host)
    np.testing.assert_array_equal(painted, ops.overlay(labels, palette=palette))


def test_a_launch_that_cuda_refuses_says_so_and_leaves_no_error(module):
    """No grid of blocks is 65,536 deep; `emulated` looks for the error."""
    label = ops.UpsampleArgmax((65536, 2, 1, 1), np.float32, size=(1, 1))
    scores = view_at(4096, (65536, 2, 1, 1), np.float32)
    labels = view_at(4096 << 10, (65536, 1, 1), np.uint8)
    with pytest.raises(RuntimeError, match="upsample_argmax could not be launched"):
        module.launch(label._kernel, (scores, labels, None, None), 1)
