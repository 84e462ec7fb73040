"""Every CUDA kernel does what the CPU's does: fresh inputs, poisoned outputs."""

from __future__ import annotations

import native
import numpy as np
import pytest

from fuseg import ops

# Sizes that end in the middle of a block, of sixteen bytes, and of a vector.
SHAPES = [(1, 1), (1, 7), (5, 8), (37, 53), (3, 513), (40, 1100)]

VIEWS = {
    "dense": lambda a: np.ascontiguousarray(a[:37, :53]),
    "a crop": lambda a: a[3:40, 5:58],
    "upside down": lambda a: a[40:3:-1, 5:58],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("channels", ["RGB", "BGR", "RGBA", "BGRA", "GRAY"])
@pytest.mark.parametrize(
    "filter", ["nearest", "nearest-exact", "bilinear", "bilinear-antialias"]
)
def test_pack_color(gpu, rng, poison, filter, channels, view):
    bytes_each = {"RGB": 3, "BGR": 3, "GRAY": 1}.get(channels, 4)
    shape = (60, 70) if bytes_each == 1 else (60, 70, bytes_each)
    frame = VIEWS[view](rng.integers(0, 256, shape, dtype=np.uint8))
    for size, dtype, rotate, fit in (
        ((33, 41), np.float32, 0, "stretch"),
        ((24, 32), np.float16, 90, "letterbox"),
        ((7, 150), np.int8, 180, "letterbox"),
        ((80, 80), np.float32, 270, "stretch"),
    ):
        pack = ops.PackColor(
            size=size,
            channels=channels,
            filter=filter,
            rotate=rotate,
            fit=fit,
            dtype=dtype,
            fill=0.5,
            mean=(0.4, 0.5, 0.6),
            std=(0.2, 0.3, 0.4),
            crop=(2, 3, 30, 40) if rotate == 90 else None,
            out_scale=0.02 if dtype == np.int8 else 1.0,
        )
        wanted = pack(frame)
        out = gpu.put(poison(wanted.shape, dtype))
        assert pack(gpu.put(frame), out) is out
        off = np.abs(gpu.get(out).astype(np.float64) - wanted.astype(np.float64))
        assert off.max() <= {np.float32: 1e-4, np.float16: 4e-3, np.int8: 1}[dtype]
        assert dtype != np.int8 or (off > 0).mean() <= 2e-3


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("filter", ["nearest", "nearest-exact", "bilinear"])
def test_pack_depth(gpu, rng, poison, filter, dtype, view):
    frame = (rng.random((60, 70)) * 250).astype(dtype)
    frame[rng.random(frame.shape) < 0.2] = 0
    if dtype == np.float32:
        frame[rng.random(frame.shape) < 0.05] = np.nan
        frame[rng.random(frame.shape) < 0.05] = np.inf
        frame[rng.random(frame.shape) < 0.05] = 3.4e38
    more = {"valid_range": (2.5, 200.5)} if dtype == np.float32 else {}
    frame = VIEWS[view](frame)
    for size, to, rotate, fit in (
        ((33, 41), np.float32, 0, "stretch"),
        ((24, 32), np.float16, 90, "letterbox"),
        ((7, 150), np.int8, 180, "letterbox"),
        ((80, 80), np.float32, 270, "stretch"),
    ):
        pack = ops.PackDepth(
            dtype,
            size=size,
            filter=filter,
            rotate=rotate,
            fit=fit,
            dtype=to,
            fill=-1,
            mean=3,
            std=2,
            invalid=(0, 7),
            crop=(2, 3, 30, 40) if rotate == 90 else None,
            **more,
        )
        wanted, flags = poison(size, to), poison(size, np.uint8)
        pack(frame, wanted, flags)
        out, valid = gpu.put(poison(size, to)), gpu.put(poison(size, np.uint8))
        assert pack(gpu.put(frame), out, valid) == -1
        np.testing.assert_array_equal(gpu.get(valid), flags)
        if filter != "bilinear":
            np.testing.assert_array_equal(gpu.get(out), wanted)
        off = np.abs(gpu.get(out).astype(np.float64) - wanted.astype(np.float64))
        assert off.max() <= {np.float32: 5e-4, np.float16: 0.13, np.int8: 1}[to]


@pytest.mark.parametrize("view", [None, *VIEWS])
@pytest.mark.parametrize("ignore", [None, 3, 255])
def test_overlay(gpu, rng, poison, ignore, view):
    for shape in SHAPES if view in (None, "dense") else [(37, 53)]:
        labels = rng.integers(0, 11, shape, dtype=np.uint8)
        if ignore == 255:
            labels[rng.random(shape) < 0.2] = 255
        palette = rng.integers(0, 256, (11, 3), dtype=np.uint8)
        frame = None
        if view is not None:
            frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        if view not in (None, "dense"):
            frame = VIEWS[view](rng.integers(0, 256, (60, 70, 3), dtype=np.uint8))
        settings = {"palette": palette, "alpha": 0.3, "ignore": ignore}
        wanted = ops.overlay(labels, frame=frame, **settings)
        out = gpu.put(poison((*shape, 3), np.uint8))
        given = None if frame is None else gpu.put(frame)
        assert ops.overlay(gpu.put(labels), frame=given, out=out, **settings) is out
        np.testing.assert_array_equal(gpu.get(out), wanted)


def test_overlay_leaves_a_label_without_a_colour_as_it_leaves_ignore(gpu, rng, poison):
    labels = rng.integers(0, 11, (37, 53), dtype=np.uint8)
    frame = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    palette = np.full((4, 3), 200, np.uint8)
    out = gpu.put(poison(frame.shape, np.uint8))
    ops.overlay(gpu.put(labels), palette=palette, frame=gpu.put(frame), out=out)
    np.testing.assert_array_equal(gpu.get(out)[labels > 3], frame[labels > 3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("classes", [1, 2, 19, 110, 111, 200])
def test_confusion_matrix(gpu, rng, classes, dtype):
    for pixels in (1, 15, 17, 1000, 70001):
        truth = rng.integers(0, classes, pixels).astype(dtype).repeat(3)[:pixels]
        guess = rng.integers(0, classes, pixels).astype(dtype).repeat(2)[:pixels]
        truth = np.where(rng.random(pixels) < 0.1, dtype(250), truth)
        before = rng.integers(0, 9, (classes, classes))
        settings = {"classes": classes, "ignore": 250}
        wanted = ops.confusion_matrix(truth, guess, out=before.copy(), **settings)
        out = gpu.put(before.copy())
        ops.confusion_matrix(gpu.put(truth), gpu.put(guess), out=out, **settings)
        np.testing.assert_array_equal(gpu.get(out), wanted)


def test_confusion_matrix_has_as_many_blocks_as_run_at_once(on_emulator, emulated):
    """Each adds its whole table. The emulated GPU has one multiprocessor."""
    labels = on_emulator.put(np.zeros(300_000, np.uint8))
    out = on_emulator.put(np.zeros((3, 3), np.int64))
    before = native.Emulator(emulated).blocks.value
    ops.confusion_matrix(labels, labels, classes=3, out=out)
    assert native.Emulator(emulated).blocks.value == before + 4
    assert on_emulator.get(out)[0, 0] == 300_000


def test_confusion_matrix_leaves_out_labels_beyond_the_classes(gpu):
    truth = np.array([0, 1, 2, 1], np.uint8)
    guess = np.array([0, 1, 1, 7], np.uint8)
    out = gpu.put(np.zeros((2, 2), np.int64))
    ops.confusion_matrix(gpu.put(truth), gpu.put(guess), classes=2, out=out)
    assert gpu.get(out).tolist() == [[1, 0], [0, 1]]
