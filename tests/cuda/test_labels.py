"""CUDA labels as the CPU does: of scores in planes and in TensorRT's hwc8."""

from __future__ import annotations

import numpy as np
import pytest

from fuseg import ops


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


def in_hwc8(rng, planes):
    """The scores of each pixel side by side, and nonsense up to a multiple of eight."""
    classes, height, width = planes.shape
    laid = np.empty((height, width, -(-classes // 8) * 8), np.float16)
    laid[..., :classes] = planes.transpose(1, 2, 0)
    laid[..., classes:] = rng.choice([np.nan, np.inf, 6e4], laid[..., classes:].shape)
    return laid


SIZES = [
    ((5, 9, 11), (72, 88)),
    ((19, 16, 24), (64, 96)),
    ((3, 7, 5), (50, 33)),
    ((8, 7, 5), (50, 33)),
    ((1, 6, 6), (48, 48)),
    ((300, 4, 5), (33, 40)),
    ((4, 1, 9), (8, 72)),
    ((9, 9, 1), (72, 8)),
    ((7, 10, 12), (10, 12)),
    ((7, 10, 12), (7, 9)),
    ((17, 20, 20), (31, 30)),
    ((2, 2, 2), (65, 129)),
]
BATCH = ((2, 4, 6, 5), (30, 41))  # which hwc8 has none of
CASES = [
    *((form, *each) for form in ("float32", "float16") for each in (*SIZES, BATCH)),
    *(("hwc8", *each) for each in SIZES),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("form", "shape", "size"), CASES)
def test_upsample_argmax(gpu, rng, poison, shape, size, form, kind):
    dtype = np.float32 if form == "float32" else np.float16
    scores = KINDS[kind](rng, shape, dtype)
    given, layout = scores, "linear"
    if form == "hwc8":
        given, layout = in_hwc8(rng, scores), "hwc8"
    for align_corners in (False, True):
        words = {"size": size, "align_corners": align_corners}
        planes = ops.UpsampleArgmax(shape, dtype, **words)
        label = ops.UpsampleArgmax(shape, dtype, layout=layout, **words)
        sure = poison(label.shape, np.float32)
        wanted = planes(scores, confidence=sure)
        out = gpu.put(poison(label.shape, label.dtype))
        assert label(gpu.put(given), out=out) is out
        share = share_of(kind, [shape[-2:]], size, not align_corners)
        few_differ(gpu.get(out), wanted, share)
        out = gpu.put(poison(label.shape, label.dtype))
        confidence = gpu.put(poison(label.shape, np.float32))
        label(gpu.put(given), out=out, confidence=confidence)
        few_differ(gpu.get(out), wanted, share)
        np.testing.assert_allclose(
            gpu.get(confidence), sure, rtol=0, atol=2e-5, equal_nan=True
        )
        if form == "hwc8":
            same = gpu.put(poison(label.shape, label.dtype))
            planes(gpu.put(scores), out=same)
            np.testing.assert_array_equal(gpu.get(out), gpu.get(same))


def test_upsample_argmax_of_a_letterboxed_network(gpu, rng, poison):
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
        ([(4, 9, 11), (4, 3, 4)], [np.float32] * 2, (37, 131)),
        ([(300, 3, 4)] * 2, [np.float32] * 2, (12, 70)),
    ],
)
def test_fuse_argmax(gpu, rng, poison, shapes, dtypes, size, how, kind):
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


@pytest.mark.parametrize("layout", ["linear", "half", "hwc8"])
@pytest.mark.parametrize("classes", [1, 5, 19])
def test_samples_without_a_softmax_are_counted(gpu, rng, poison, classes, layout):
    dtype = np.float32 if layout == "linear" else np.float16
    scores = rng.standard_normal((classes, 9, 13)).astype(dtype)
    scores[0, 3, 4], scores[-1, 8, 12], scores[:, 0, 0] = np.nan, np.inf, -np.inf
    scores[0, 5] = -np.inf  # of one class among others no fault
    wanted = 2 if classes == 1 else 3
    words = {"layout": "hwc8"} if layout == "hwc8" else {}
    label = ops.UpsampleArgmax((classes, 9, 13), dtype, size=(31, 40), **words)
    if layout == "hwc8":
        scores = in_hwc8(rng, scores)  # whose nonsense does not count
    for given, count in ((scores, wanted), (np.zeros_like(scores), 0)):
        labels, found = gpu.put(poison((31, 40), np.uint8)), gpu.put(np.ones(1, "i4"))
        label(gpu.put(given), out=labels, nan_samples=found)
        assert gpu.get(found)[0] == count
