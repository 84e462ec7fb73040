"""Every CUDA kernel does what the CPU's does: fresh inputs, poisoned outputs."""

from __future__ import annotations

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


def poison(shape, dtype):
    """An array of nonsense."""
    array = np.empty(shape, dtype)
    array.view(np.uint8)[...] = 0xA5
    return array


def scene(rng, shape, dtype, patch=5):
    """Class scores as a network gives them: patches, and some noise."""
    *front, height, width = shape
    coarse = rng.standard_normal((*front, -(-height // patch), -(-width // patch)))
    fine = coarse.repeat(patch, -2).repeat(patch, -1)[..., :height, :width] * 5
    return (fine + rng.standard_normal(shape) * 0.1).astype(dtype)


def noise(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def tied(rng, shape, dtype):
    """Whole numbers: every sum of them is exact."""
    return rng.integers(-2, 3, shape).astype(dtype)


def spoiled(rng, shape, dtype):
    scores = noise(rng, shape, dtype)
    for value in (np.nan, np.inf, -np.inf, 0.0):
        scores[rng.random(shape) < 0.01] = value
    return scores


KINDS = {f.__name__: f for f in (scene, noise, tied, spoiled)}


def share_of(kind, grids, size, exact=True):
    """How many labels may differ: none where all sums are exact; with ties that
    rounding decides, some; else those where two classes are as good as equal."""
    if kind != "tied":
        return 2e-3
    whole = all(
        low == 1 or (high % low == 0 and (high // low).bit_count() == 1)
        for grid in grids
        for low, high in zip(grid, size, strict=True)
    )
    return 0 if whole and exact else 5e-2


def few_differ(got, wanted, share=2e-3):
    """Labels of pixels where two classes are as good as equal."""
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    assert (got != wanted).mean() <= share


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((5, 9, 11), (72, 88)),
        ((19, 16, 24), (64, 96)),
        ((3, 7, 5), (50, 33)),
        ((1, 6, 6), (48, 48)),
        ((300, 4, 5), (33, 40)),
        ((4, 1, 9), (8, 72)),
        ((4, 9, 1), (72, 8)),
        ((7, 10, 12), (10, 12)),
        ((7, 10, 12), (7, 9)),
        ((6, 20, 20), (31, 30)),
        ((2, 2, 2), (65, 129)),
        ((2, 4, 6, 5), (30, 41)),
    ],
)
def test_upsample_argmax(gpu, rng, shape, size, dtype, kind):
    scores = KINDS[kind](rng, shape, dtype)
    for align_corners in (False, True):
        label = ops.UpsampleArgmax(shape, dtype, size=size, align_corners=align_corners)
        sure = poison(label.shape, np.float32)
        wanted = label(scores, confidence=sure)
        out = gpu.put(poison(label.shape, label.dtype))
        assert label(gpu.put(scores), out=out) is out
        share = share_of(kind, [shape[-2:]], size, not align_corners)
        few_differ(gpu.get(out), wanted, share)
        out = gpu.put(poison(label.shape, label.dtype))
        confidence = gpu.put(poison(label.shape, np.float32))
        label(gpu.put(scores), out=out, confidence=confidence)
        few_differ(gpu.get(out), wanted, share)
        np.testing.assert_allclose(
            gpu.get(confidence), sure, rtol=0, atol=2e-5, equal_nan=True
        )


def test_upsample_argmax_of_a_letterboxed_network(gpu, rng):
    scores = scene(rng, (6, 16, 16), np.float32)
    settings = {"size": (60, 100), "crop": (6, 0, 52, 64), "input_size": (64, 64)}
    wanted = ops.upsample_argmax(scores, **settings)
    out = gpu.put(poison((60, 100), np.uint8))
    ops.upsample_argmax(gpu.put(scores), out=out, **settings)
    few_differ(gpu.get(out), wanted)


@pytest.mark.parametrize("kind", ["scene", "tied", "spoiled"])
@pytest.mark.parametrize("how", ["add", "multiply", "max"])
@pytest.mark.parametrize(
    ("shapes", "dtypes", "size"),
    [
        ([(5, 9, 11)] * 2, [np.float32] * 2, (72, 88)),
        ([(4, 6, 8), (4, 3, 4)], [np.float32, np.float16], (25, 41)),
        ([(3, 5, 5), (3, 10, 9), (3, 1, 1)], [np.float16] * 3, (20, 31)),
        ([(6, 7, 9)] * 4, [np.float32] * 4, (7, 9)),
        ([(300, 3, 4)] * 2, [np.float32] * 2, (12, 70)),
    ],
)
def test_fuse_argmax(gpu, rng, shapes, dtypes, size, how, kind):
    maps = [KINDS[kind](rng, s, d) for s, d in zip(shapes, dtypes, strict=True)]
    if how == "multiply":
        maps = [np.abs(m) for m in maps]
    planes = [(rng.random(s[1:]) < 0.8).astype(np.uint8) for s in shapes]
    classes = shapes[0][0]
    by_class = [rng.integers(0, 3, classes).tolist() for _ in maps]
    for valid, weights in (
        (None, None),
        ([planes[0], *[None] * (len(maps) - 1)], [1.0] * len(maps)),
        (planes, by_class if classes < 224 else [0.5] * len(maps)),
    ):
        grids = [s[1:] for s in shapes]
        label = ops.FuseArgmax(classes, grids, size=size, mode=how, weights=weights)
        sure, whose = poison(size, np.float32), poison(size, np.uint8)
        wanted = label(maps, valid=valid, confidence=sure, source=whose)
        out = gpu.put(poison(size, label.dtype))
        confidence = gpu.put(poison(size, np.float32))
        source = gpu.put(poison(size, np.uint8))
        label(
            [gpu.put(m) for m in maps],
            valid=valid and [v if v is None else gpu.put(v) for v in valid],
            out=out,
            confidence=confidence,
            source=source,
        )
        share = share_of(kind, grids, size, how != "multiply")
        few_differ(gpu.get(out), wanted, share)
        few_differ(gpu.get(source), whose, 2 * share)
        np.testing.assert_allclose(
            gpu.get(confidence), sure, rtol=0, atol=2e-5, equal_nan=True
        )


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("channels", ["RGB", "BGR", "RGBA", "BGRA", "GRAY"])
@pytest.mark.parametrize(
    "filter", ["nearest", "nearest-exact", "bilinear", "bilinear-antialias"]
)
def test_pack_color(gpu, rng, filter, channels, view):
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


@pytest.mark.parametrize("layout", ["linear", "half", "hwc8"])
@pytest.mark.parametrize("classes", [1, 5, 19])
def test_samples_without_a_softmax_are_counted(gpu, rng, classes, layout):
    dtype = np.float32 if layout == "linear" else np.float16
    scores = rng.standard_normal((classes, 9, 13)).astype(dtype)
    scores[0, 3, 4], scores[-1, 8, 12], scores[:, 0, 0] = np.nan, np.inf, -np.inf
    scores[0, 5] = -np.inf  # of one class among others no fault
    wanted = 2 if classes == 1 else 3
    words = {"layout": "hwc8"} if layout == "hwc8" else {}
    label = ops.UpsampleArgmax((classes, 9, 13), dtype, size=(31, 40), **words)
    if layout == "hwc8":
        padded = np.zeros((9, 13, -(-classes // 8) * 8), np.float16)
        padded[..., :classes] = scores.transpose(1, 2, 0)
        padded[..., classes:] = np.nan  # does not count
        scores = padded
    for given, count in ((scores, wanted), (np.zeros_like(scores), 0)):
        labels, found = gpu.put(poison((31, 40), np.uint8)), gpu.put(np.ones(1, "i4"))
        label(gpu.put(given), out=labels, nan_samples=found)
        assert gpu.get(found)[0] == count


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("filter", ["nearest", "nearest-exact", "bilinear"])
def test_pack_depth(gpu, rng, filter, dtype, view):
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
def test_overlay(gpu, rng, ignore, view):
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


def test_overlay_leaves_a_label_without_a_colour_as_it_leaves_ignore(gpu, rng):
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


def test_confusion_matrix_leaves_out_labels_beyond_the_classes(gpu):
    truth = np.array([0, 1, 2, 1], np.uint8)
    guess = np.array([0, 1, 1, 7], np.uint8)
    out = gpu.put(np.zeros((2, 2), np.int64))
    ops.confusion_matrix(gpu.put(truth), gpu.put(guess), classes=2, out=out)
    assert gpu.get(out).tolist() == [[1, 0], [0, 1]]
