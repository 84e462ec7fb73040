"""The emulator finds what a GPU would punish, and runs threads in many orders."""

from __future__ import annotations

import signal
import subprocess
import sys

import native
import numpy as np
import pytest

from fuseg import ops

RUN = """
import ctypes, sys
library, kernel, seed = sys.argv[1:]
loaded = ctypes.CDLL(library)
ctypes.c_uint64.in_dll(loaded, "fuseg_emulator_seed").value = int(seed)
words = 96 + 16
room = (ctypes.c_uint32 * (words + 4))()
start = (ctypes.addressof(room) + 15) // 16 * 16
memory = (ctypes.c_uint32 * words).from_address(start)
status = loaded.run(kernel.encode(), memory)
print(*memory[:96])
sys.exit(status)
"""


def run(kernel, seed):
    words = [
        sys.executable,
        "-c",
        RUN,
        native.test_kernels("faulty_kernels"),
        kernel,
        str(seed),
    ]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def memory_after(kernel, seed):
    done = run(kernel, seed)
    assert done.returncode == 0, done.stdout
    return [int(word) for word in done.stdout.split()]


def test_a_kernel_without_a_mistake_is_right(seed):
    wanted = [(i ^ 1) + 32 if i < 64 else (i ^ 1) - 64 for i in range(96)]
    assert memory_after("without_a_mistake", seed) == wanted


@pytest.mark.parametrize(
    "kernel", ["misaligned_load", "misaligned_store", "beyond_an_array"]
)
def test_an_access_that_is_not_the_languages_ends_the_process(kernel, seed):
    assert run(kernel, seed).returncode == -signal.SIGILL


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        ("mask_of_half_a_warp", "a mask names other lanes than those that are there"),
        ("mask_with_lanes_that_left", "a mask names other lanes than those that"),
    ],
)
def test_a_mask_names_the_lanes_that_are_there(kernel, words, seed):
    done = run(kernel, seed)
    assert done.returncode == 1
    assert done.stdout.startswith(words)


def test_what_threads_share_is_nonsense_as_a_block_begins(seed):
    assert set(memory_after("sum_of_what_nobody_wrote", seed)) == {0xA5A5A5A5}


@pytest.mark.parametrize(
    "kernel", ["neighbours_without_a_barrier", "warps_without_a_barrier"]
)
def test_a_missing_barrier_shows_and_a_seed_repeats_it(kernel, seed):
    found = memory_after(kernel, seed)
    assert 0xA5A5A5A5 in found
    assert memory_after(kernel, seed) == found
    others = [memory_after(kernel, seed + k) for k in range(1, 8)]
    assert any(other != found for other in others)  # six orders of warps


def sectors_per_load(state, call):
    state.counting.value, state.loads.value, state.sectors.value = 1, 0, 0
    call()
    state.counting.value = 0
    return state.sectors.value / state.loads.value


@pytest.mark.parametrize(
    ("pixel", "most"), [("RGB", 12), ("RGBA", 12), ("uint16", 12), ("float32", 12)]
)
def test_a_warp_packs_pixels_side_by_side(on_emulator, emulated, poison, pixel, most):
    """Every other pixel of a camera's rows, two rows at a time: were the pixels of a
    thread side by side, each load would touch 32 sectors."""
    state = native.Emulator(emulated)
    size, camera = (48, 128), (108, 384)
    if pixel.startswith("RGB"):
        frame = on_emulator.put(poison((*camera, len(pixel)), np.uint8))
        out = on_emulator.put(poison((3, *size), np.float32))
        pack = ops.PackColor(size=size, channels=pixel)
    else:
        frame = on_emulator.put(np.ones(camera, pixel))
        out = on_emulator.put(poison(size, np.float32))
        pack = ops.PackDepth(pixel, size=size, filter="bilinear")
    assert sectors_per_load(state, lambda: pack(frame, out)) <= most
    loads = state.loads.value
    if pixel == "RGBA":  # 4 pixels around each of the 48 x 128, of 32 at once
        assert loads <= 4 * 48 * 128 / 32


def results(gpu, rng, poison):
    """Of every kernel, at sizes that end within a block."""
    frame = rng.integers(0, 256, (21, 70, 3), dtype=np.uint8)
    depth = rng.integers(0, 9, (21, 70)).astype(np.uint16)
    scores = rng.standard_normal((19, 9, 11)).astype(np.float32)
    labels = rng.integers(0, 19, (19, 131), dtype=np.uint8)
    palette = rng.integers(0, 256, (19, 3), dtype=np.uint8)
    size = (19, 131)
    planes, plane = poison((3, *size), np.float32), poison(size, np.float32)
    maps = [gpu.put(scores), gpu.put(scores[:, :5].copy())]
    given = {name: gpu.put(poison(size, np.uint8)) for name in ("out", "source")}
    given["confidence"] = gpu.put(poison(size, np.float32))
    label = {name: given[name] for name in ("out", "confidence")}
    out = gpu.put(planes)
    ops.pack_color(gpu.put(frame), size=size, out=out)
    yield out
    out, valid = gpu.put(plane), gpu.put(poison(size, np.uint8))
    ops.pack_depth(gpu.put(depth), size=size, filter="bilinear", out=out, valid=valid)
    yield from (out, valid)
    ops.upsample_argmax(maps[0], size=size, **label)
    yield from label.values()
    ops.fuse_argmax(maps, size=size, **given)
    yield from given.values()
    out = gpu.put(poison((*size, 3), np.uint8))
    ops.overlay(gpu.put(labels), palette=palette, out=out)
    yield out
    out = gpu.put(np.zeros((19, 19), np.int64))
    ops.confusion_matrix(gpu.put(labels), gpu.put(labels), classes=19, out=out)
    yield out


@pytest.mark.parametrize(
    "orders", [3, pytest.param(100, marks=pytest.mark.slow)], ids=str
)
def test_results_do_not_depend_on_the_order_of_threads(
    on_emulator, emulated, seed, poison, orders
):
    state = native.Emulator(emulated)
    first = None
    for other in range(orders):
        state.seed.value = seed + other
        found = [
            on_emulator.get(out).tobytes()
            for out in results(on_emulator, np.random.default_rng(seed), poison)
        ]
        first = first or found
        assert found == first, f"FUSEG_SEED={seed}, order {other}"
