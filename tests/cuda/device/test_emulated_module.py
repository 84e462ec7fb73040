"""The real binding of the device half, over the emulated runtime."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import numpy as np
import pytest

from fuseg import _kernels, ops
from fuseg.cuda import launch
from fuseg.cuda.array_view import view_at
from fuseg.errors import ArgumentError


@pytest.fixture
def module(emulated, monkeypatch):
    monkeypatch.setattr(launch, "kernels", lambda: emulated)
    return emulated


@pytest.fixture
def strange(module):
    """Addresses on no GPU, and on GPU 0 in somebody else's context."""
    memory = [np.zeros(64, np.uint8) for _ in range(2)]
    tell = ctypes.CDLL(module.__file__).fuseg_emulator_strange
    tell.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for array, what in zip(memory, (-1, -2), strict=True):
        tell(array.ctypes.data, 64, what)
    yield [array.ctypes.data for array in memory]
    for array in memory:
        tell(array.ctypes.data, 0, 0)


def test_its_facts(module):
    assert module.device_count() == 2
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
        ("use_device", (2,), "cudaSetDevice: cudaErrorInvalidDevice: emulated"),
        ("device_properties", (2,), "cudaGetDeviceProperties: cudaErrorInvalidDevice"),
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


@pytest.fixture
def on_second(module):
    """Three addresses and a stream of GPU 1, while GPU 0 is the thread's."""
    module.use_device(1)
    addresses, stream = [module.allocate(256) for _ in range(3)], module.create_stream()
    module.use_device(0)
    yield addresses, stream
    module.destroy_stream(stream)
    for address in addresses:
        module.free(address)
    assert module.current_device() == 0


def test_it_knows_whose_memory_an_address_is(module, on_second, strange):
    (address, *_), _ = on_second
    host, pinned = module.allocate_pinned(256)
    assert [module.device_of(a) for a in (address + 255, pinned + 9)] == [1, -1]
    module.free_pinned(host)
    nobodys, of_another_context = strange
    assert [module.device_of(a) for a in (nobodys, of_another_context)] == [-2, -2]


def test_an_op_waits_for_a_stream_of_its_arrays_gpu(module, on_second):
    """CUDA records an event on no stream but of the GPU that it was made on."""
    (given, painted, _), stream = on_second
    ctypes.memset(given, 0, 6)
    labels = replace(view_at(given, (2, 3), np.uint8), stream=stream)
    out, palette = view_at(painted, (2, 3, 3), np.uint8), np.full((1, 3), 7, np.uint8)
    ops.overlay(labels, palette=palette, out=out, stream=2)
    assert module.current_device() == 0
    assert ctypes.string_at(painted, 18) == bytes([7] * 18)


@pytest.mark.parametrize("which", [0, 1])
def test_an_op_refuses_memory_that_its_gpu_cannot_reach(module, strange, which):
    out = view_at(np.zeros(18, np.uint8).ctypes.data, (2, 3, 3), np.uint8)
    labels = view_at(strange[which], (2, 3), np.uint8)
    assert module.current_device() == 0
    with pytest.raises(ArgumentError, match=f"got one at address {strange[which]:#x}"):
        ops.overlay(labels, palette=np.zeros((1, 3), np.uint8), out=out)


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
