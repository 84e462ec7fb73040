"""upsample_argmax: labels, ties, what is not finite, confidence, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg import _kernels
from fuseg.errors import ArgumentError, DTypeError, FusegError, LayoutError, ShapeError
from fuseg.ops import UpsampleArgmax, upsample_argmax
from fuseg.ops.placement import place

# classes, grid, labels: one sample, slivers, cells wider than a piece of 64 columns,
# ends in mid-vector, odd ratios, smaller, equal, pieces of more cells than 64.
SIZES = [
    (2, (1, 1), (1, 1)),
    (3, (1, 1), (7, 9)),
    (5, (1, 6), (1, 41)),
    (5, (6, 1), (41, 1)),
    (4, (2, 2), (130, 300)),
    (7, (3, 5), (17, 29)),
    (12, (15, 20), (60, 80)),
    (19, (9, 13), (72, 104)),
    (5, (10, 14), (31, 53)),
    (6, (37, 53), (17, 29)),
    (6, (5, 400), (7, 90)),
    (6, (5, 90), (12, 100)),
    (4, (8, 12), (8, 12)),
    (4, (8, 12), (8, 31)),
    (4, (8, 12), (31, 12)),
    (150, (5, 7), (20, 28)),
    (255, (4, 6), (13, 17)),
    (3, (4, 33), (9, 49)),
    (3, (17, 70), (17, 66)),
    (2, (3, 9), (9, 27)),
    (300, (3, 4), (10, 37)),
]
LEVELS = _kernels.levels()
WIDEST = LEVELS[-1]
CORNERS = pytest.mark.parametrize("align_corners", [False, True])


@pytest.fixture(autouse=True, params=LEVELS, ids="level{}".format)
def level(request: pytest.FixtureRequest) -> Iterator[int]:
    """Every test runs on every instruction set."""
    _kernels.use_level(request.param)
    yield request.param
    _kernels.use_level(WIDEST)


def position(i, samples, length, align_corners, part):
    """Where output pixel i lies on the grid, before clamping."""
    half = Fraction(1, 2)
    if part is not None:
        first, extent, whole = part
        at = first + (i + half) * extent / length - half
        if not align_corners:
            return (at + half) * samples / whole - half
        return at * Fraction(samples - 1, whole - 1) if whole > 1 else Fraction(0)
    if align_corners:
        return Fraction(i * (samples - 1), length - 1) if length > 1 else Fraction(0)
    return (i + half) * samples / length - half


def taps(samples, length, align_corners, part=None):
    """First sample, second sample and weight of the second, per output position."""
    found = []
    for i in range(length):
        at = position(i, samples, length, align_corners, part)
        at = min(max(at, Fraction(0)), Fraction(samples - 1))
        first = at.numerator // at.denominator
        found.append((first, min(first + 1, samples - 1), float(at - first)))
    first, second, weight = zip(*found, strict=True)
    return np.array(first), np.array(second), np.array(weight)


def resized(scores, size, align_corners, parts=(None, None)):
    """Every class at every pixel, float64; a sample of weight 0 is not read."""
    y0, y1, wy = taps(scores.shape[1], size[0], align_corners, parts[0])
    x0, x1, wx = taps(scores.shape[2], size[1], align_corners, parts[1])
    wy = wy[:, None]
    s = scores.astype(np.float64)
    with np.errstate(invalid="ignore"):
        s = np.where(wx == 0, s[:, :, x0], (1 - wx) * s[:, :, x0] + wx * s[:, :, x1])
        return np.where(wy == 0, s[:, y0], (1 - wy) * s[:, y0] + wy * s[:, y1])


def argmax(dense):
    """The smallest class of the largest score; NaN never wins; 0 if nothing does."""
    return np.where(np.isnan(dense), -np.inf, dense).argmax(0)


def agreed(scores, size, align_corners):
    """Where the four samples around a pixel are won by the same class."""
    winners = argmax(scores)
    y0, y1, _ = taps(scores.shape[1], size[0], align_corners)
    x0, x1, _ = taps(scores.shape[2], size[1], align_corners)
    corners = [winners[ys][:, xs] for ys in (y0, y1) for xs in (x0, x1)]
    return (np.array(corners) == corners[0]).all(0), corners[0]


def assert_as_defined(labels, scores, size, align_corners=False):
    """Exact where corners agree, and elsewhere but for scores within 1e-6."""
    dense = resized(scores, size, align_corners)
    wanted = argmax(dense)
    given = np.take_along_axis(dense, labels[None].astype(int), 0)[0]
    best = np.take_along_axis(dense, wanted[None], 0)[0]
    assert labels.dtype == (np.uint8 if len(scores) <= 255 else np.uint16)
    assert labels.shape == size
    close = best - given <= 1e-6 * np.abs(scores).max() + 1e-43  # denormals
    assert (close | (labels == wanted)).all()
    same, winner = agreed(scores, size, align_corners)
    np.testing.assert_array_equal(labels[same], winner[same])


def blobs(classes, grid, rng):
    """Scores as a network gives them: smooth, one class over many samples."""
    noise = rng.standard_normal((classes, *grid)).astype(np.float32)
    smooth = [cv2.GaussianBlur(plane, (0, 0), 3) for plane in noise]
    return np.stack(smooth).reshape(noise.shape) * np.float32(40)


@CORNERS
def test_matches_the_definition(align_corners, rng):
    for classes, grid, size in SIZES:
        for scores in (
            rng.standard_normal((classes, *grid), dtype=np.float32),
            blobs(classes, grid, rng),
        ):
            before = scores.copy()
            labels = upsample_argmax(scores, size=size, align_corners=align_corners)
            assert_as_defined(labels, scores, size, align_corners)
            np.testing.assert_array_equal(scores, before)


@settings(max_examples=100, deadline=None)
@given(
    classes=st.integers(1, 9),
    grid=st.tuples(st.integers(1, 12), st.integers(1, 90)),
    size=st.tuples(st.integers(1, 60), st.integers(1, 200)),
    align_corners=st.booleans(),
    smooth=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_size(classes, grid, size, align_corners, smooth, seed):
    rng = np.random.default_rng(seed)
    make = blobs if smooth else lambda c, g, r: r.standard_normal((c, *g), np.float32)
    scores = make(classes, grid, rng)
    labels = upsample_argmax(scores, size=size, align_corners=align_corners)
    if classes == 1:
        scores = np.concatenate([np.zeros_like(scores), scores])
    assert_as_defined(labels, scores, size, align_corners)


@CORNERS
def test_torch_then_argmax_gives_the_same(align_corners, rng):
    for classes, grid, size in SIZES:
        scores = blobs(classes, grid, rng)
        dense = torch.nn.functional.interpolate(
            torch.from_numpy(scores)[None].double(),
            size,
            mode="bilinear",
            align_corners=align_corners,
        )[0]
        top = dense.topk(2, dim=0).values
        clear = (top[0] - top[1] > 1e-5).numpy()
        labels = upsample_argmax(scores, size=size, align_corners=align_corners)
        np.testing.assert_array_equal(labels[clear], dense.argmax(0).numpy()[clear])


def test_opencv_then_argmax_gives_the_same(rng):
    for classes, grid, size in SIZES:
        scores = blobs(classes, grid, rng)
        dense = np.stack([cv2.resize(plane, size[::-1]) for plane in scores])
        top = np.sort(dense, axis=0)
        clear = top[-1] - top[-2] > 1e-3
        labels = upsample_argmax(scores, size=size)
        np.testing.assert_array_equal(labels[clear], dense.argmax(0)[clear])


@pytest.mark.parametrize("classes", [2, 3, 8, 40])
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("times", [1, 2, 4, 8])
def test_smallest_class_wins_every_tie(classes, steps, times, rng):
    """Small whole scores at ratios of two: the arithmetic is exact, ties are many."""
    scores = rng.integers(0, steps, (classes, 13, 21), endpoint=True).astype(np.float32)
    size = (13 * times, 21 * times)
    dense = resized(scores, size, False)
    best = dense.max(0)
    assert ((dense == best).sum(0) > 1).any()
    np.testing.assert_array_equal(upsample_argmax(scores, size=size), argmax(dense))


@CORNERS
def test_a_copy_of_a_class_never_wins(align_corners, rng):
    scores = blobs(5, (9, 14), rng)
    twice = np.concatenate([scores, scores[::-1]])
    for size in [(31, 53), (36, 56), (5, 6), (9, 14)]:
        labels = upsample_argmax(twice, size=size, align_corners=align_corners)
        alone = upsample_argmax(scores, size=size, align_corners=align_corners)
        np.testing.assert_array_equal(labels, alone)


@pytest.mark.parametrize("base", [0.0, 1.0, -1000.0, 1e30])
def test_the_smallest_lead_at_four_corners_is_a_lead_between_them(base, rng):
    scores = rng.standard_normal((3, 6, 7)).astype(np.float32) + np.float32(base)
    scores[0] = scores.max(0)
    scores[2] = np.nextafter(scores[0], np.float32(np.inf))
    for size in [(41, 50), (3, 4), (6, 7)]:
        assert (upsample_argmax(scores, size=size) == 2).all()


@CORNERS
@pytest.mark.parametrize("size", [(9, 14), (31, 53), (72, 112), (4, 6)])
@pytest.mark.parametrize("share", [0.002, 0.05, 0.5])
def test_scores_that_are_not_finite(share, size, align_corners, rng):
    scores = rng.standard_normal((4, 9, 14)).astype(np.float32)
    for value in (np.nan, np.inf, -np.inf):
        scores[rng.random(scores.shape) < share] = value
    labels = upsample_argmax(scores, size=size, align_corners=align_corners)
    dense = resized(scores, size, align_corners)
    np.testing.assert_array_equal(labels, argmax(dense))


@pytest.mark.parametrize(
    "make",
    [
        lambda a: np.ndarray(a.shape, a.dtype, bytes(3) + a.tobytes(), 3),
        lambda a: np.repeat(a, 2, axis=2)[..., ::2],
        np.asfortranarray,
    ],
    ids=["at an odd address", "every second", "fortran"],
)
def test_scores_that_are_refused_are_taken_when_copied_as_told(make, rng):
    scores = rng.standard_normal((3, 4, 5)).astype(np.float32)
    odd = make(scores)
    with pytest.raises(LayoutError) as caught:
        upsample_argmax(odd, size=(8, 40))
    advice = str(caught.value).split(": ")[-1].removesuffix(".")
    copied = eval(advice, {"np": np, "scores": odd})
    np.testing.assert_array_equal(
        upsample_argmax(copied, size=(8, 40)), upsample_argmax(scores, size=(8, 40))
    )


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("confidence", [False, True])
def test_samples_without_a_softmax_are_counted(confidence, half, rng):
    for classes, grid, size in SIZES:
        dtype = np.float16 if half else np.float32
        label = UpsampleArgmax((classes, *grid), dtype, size=size)
        out = np.empty(size, np.uint8 if classes <= 255 else np.uint16)
        sure = np.empty(size, np.float32) if confidence else None
        count = np.full(1, 77, np.int32)
        scores = rng.standard_normal((classes, *grid)).astype(dtype)
        last = tuple(n - 1 for n in grid)
        for value, where, wanted in (
            (0.0, (0, 0, 0), 0),
            (-np.inf, (0, 0, 0), 0),
            (np.nan, (classes - 1, *last), 1),
            (np.inf, (0, *last), 1),
            (-np.inf, (slice(None), 0, 0), 1),
            (np.nan, slice(None), grid[0] * grid[1]),
        ):
            given = scores.copy()
            given[where] = value
            label(given, out=out, confidence=sure, nan_samples=count)
            if size[0] >= grid[0] and size[1] >= grid[1]:
                assert count[0] == wanted
            else:  # some of the samples are needed by no label
                assert count[0] <= wanted
            if confidence and not count[0]:
                assert np.isfinite(sure).all()
        label(scores, out=out, confidence=sure, nan_samples=count)
        assert count[0] == 0


def test_of_one_class_against_nothing_minus_infinity_is_a_score():
    label = UpsampleArgmax((1, 3, 4), np.float32, size=(6, 40))
    count = np.ones(1, np.int32)
    scores = np.full((1, 3, 4), -np.inf, np.float32)
    assert not label(scores, nan_samples=count).any()
    assert count[0] == 0
    scores[0, 1, 2] = np.nan
    label(scores, nan_samples=count)
    assert count[0] == 1


def test_samples_beside_the_crop_do_not_count():
    scores = np.zeros((3, 4, 8), np.float32)
    scores[:, :, :2] = np.nan
    count = np.ones(1, np.int32)
    crop = {"crop": (0, 48, 32, 16), "input_size": (32, 64)}
    UpsampleArgmax((3, 4, 8), np.float32, size=(32, 40), **crop)(
        scores, nan_samples=count
    )
    assert count[0] == 0


def test_the_count_of_samples_without_a_softmax_needs_its_buffer():
    label, scores = (
        UpsampleArgmax((2, 2, 2), np.float32, size=(4, 40)),
        np.zeros((2, 2, 2), "f"),
    )
    with pytest.raises(DTypeError, match="nan_samples must be int32"):
        label(scores, nan_samples=np.zeros(1, np.int64))


def test_nan_never_wins():
    scores = np.full((3, 4, 5), np.nan, np.float32)
    assert not upsample_argmax(scores, size=(9, 10)).any()
    scores[2] = -5.0
    assert (upsample_argmax(scores, size=(9, 10)) == 2).all()
    assert (upsample_argmax(scores, size=(4, 5)) == 2).all()


def test_nothing_above_minus_infinity_is_0():
    scores = np.full((3, 4, 5), -np.inf, np.float32)
    assert not upsample_argmax(scores, size=(9, 10)).any()
    assert not upsample_argmax(scores, size=(4, 5)).any()


def test_infinity_minus_infinity_never_wins():
    scores = np.array([[[np.inf, -np.inf]], [[-1.0, -1.0]]], np.float32)
    assert upsample_argmax(scores, size=(1, 4)).tolist() == [[0, 1, 1, 1]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_of_weight_0_is_not_read(bad):
    scores = np.zeros((2, 3, 3), np.float32)
    scores[1, :, :] = 1.0
    scores[0, 1, 1] = bad
    labels = upsample_argmax(scores, size=(5, 5), align_corners=True)
    dense = resized(scores, (5, 5), True)
    np.testing.assert_array_equal(labels, argmax(dense))
    assert (labels[[0, 4]] == 1).all()
    assert (labels[:, [0, 4]] == 1).all()
    confidence = np.empty((5, 5), np.float32)
    upsample_argmax(scores, size=(5, 5), align_corners=True, confidence=confidence)
    assert np.isfinite(confidence[[0, 4]]).all()
    assert np.isnan(confidence[1:4, 1:4]).all()


def test_equal_size_is_a_plain_argmax(rng):
    scores = rng.integers(0, 4, (6, 37, 53)).astype(np.float32)
    for align_corners in (False, True):
        labels = upsample_argmax(scores, size=(37, 53), align_corners=align_corners)
        np.testing.assert_array_equal(labels, scores.argmax(0))


def test_one_class_is_a_threshold_at_0(rng):
    scores = blobs(1, (9, 14), rng)
    scores[0, 3, 4] = 0.0
    for size in [(9, 14), (31, 53), (4, 6)]:
        dense = resized(scores, size, False)[0]
        labels = upsample_argmax(scores, size=size)
        clear = (abs(dense) > 1e-5) | (dense == 0)
        np.testing.assert_array_equal(labels[clear], (dense > 0)[clear])
    special = np.array([[[np.nan, np.inf, -np.inf, 0.0, -0.0]]], np.float32)
    assert upsample_argmax(special, size=(1, 5)).tolist() == [[0, 1, 0, 0, 0]]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
def test_one_class_is_two_of_which_the_first_scores_0(share, rng):
    scores = blobs(1, (19, 24), rng)
    for value in (np.nan, np.inf, -np.inf):
        scores[rng.random(scores.shape) < share] = value
    two = np.concatenate([np.zeros_like(scores), scores])
    for size in [(19, 24), (50, 77), (76, 96), (8, 9)]:
        one_sure, two_sure = np.empty(size, np.float32), np.empty(size, np.float32)
        labels = upsample_argmax(scores, size=size, confidence=one_sure)
        wanted = upsample_argmax(two, size=size, confidence=two_sure)
        np.testing.assert_array_equal(labels, wanted)
        np.testing.assert_array_equal(one_sure, two_sure)


def softmax_top(dense):
    with np.errstate(invalid="ignore"):
        shifted = np.exp(dense - dense.max(0))
        return (shifted / shifted.sum(0)).max(0)


@CORNERS
def test_confidence_is_the_largest_softmax(align_corners, rng):
    for classes, grid, size in SIZES:
        for scale in (0.1, 3.0, 30.0):
            scores = rng.uniform(-scale, scale, (classes, *grid)).astype(np.float32)
            confidence = np.full(size, -1, np.float32)
            options = {"size": size, "align_corners": align_corners}
            labels = upsample_argmax(scores, confidence=confidence, **options)
            wanted = softmax_top(resized(scores, size, align_corners))
            assert np.abs(confidence - wanted).max() < 1e-5
            np.testing.assert_array_equal(labels, upsample_argmax(scores, **options))


def test_confidence_of_one_class_is_a_sigmoid(rng):
    scores = blobs(1, (9, 14), rng)
    confidence = np.empty((31, 53), np.float32)
    upsample_argmax(scores, size=(31, 53), confidence=confidence)
    dense = np.abs(resized(scores, (31, 53), False)[0])
    np.testing.assert_allclose(confidence, 1 / (1 + np.exp(-dense)), atol=1e-5)


def test_confidence_of_huge_scores_is_still_a_probability():
    scores = np.array([[[3e38, -3e38]], [[-3e38, 3e38]], [[0, 0]]], np.float32)
    confidence = np.empty((1, 6), np.float32)
    upsample_argmax(scores, size=(1, 6), confidence=confidence)
    assert ((confidence >= 1 / 3) & (confidence <= 1)).all()
    assert confidence[0, 0] == 1


def test_confidence_of_scores_that_are_not_finite():
    nan, inf = np.nan, np.inf
    scores = np.array(
        [[[nan, inf, -inf, -inf, 1.0]], [[0.0, 0.0, 0.0, -inf, 1.0]]], np.float32
    )
    confidence = np.empty((1, 5), np.float32)
    labels = upsample_argmax(scores, size=(1, 5), confidence=confidence)
    assert labels.tolist() == [[1, 0, 1, 0, 0]]
    np.testing.assert_array_equal(confidence, np.float32([[nan, nan, 1, nan, 0.5]]))


@CORNERS
def test_stays_inside_its_arrays(align_corners, fenced, rng):
    for classes, grid, size in SIZES:
        scores = fenced((classes, *grid), np.float32)
        scores[...] = rng.standard_normal(scores.shape)
        out = fenced(size, np.uint8 if classes <= 255 else np.uint16)
        confidence = fenced(size, np.float32)
        options = {"size": size, "align_corners": align_corners}
        labels = upsample_argmax(scores, out=out, confidence=confidence, **options)
        assert labels is out
        np.testing.assert_array_equal(out, upsample_argmax(scores.copy(), **options))
        scores[:, 0, 0] = np.nan
        upsample_argmax(scores, out=out, confidence=confidence, **options)


def side_by_side(scores, beyond):
    """Scores (C, h, w) as (h, w, P) float16, with nonsense beyond the classes."""
    classes, height, width = scores.shape
    laid = np.empty((height, width, -(-classes // 8) * 8), np.float16)
    laid[...] = beyond
    laid[..., :classes] = scores.transpose(1, 2, 0)
    return laid


@CORNERS
@pytest.mark.parametrize(("classes", "grid", "size"), [*SIZES, (1, (6, 7), (40, 50))])
def test_in_hwc8_labels_are_those_of_planes(
    classes, grid, size, align_corners, level, poisoned, rng
):
    kinds = [blobs(classes, grid, rng), rng.integers(-2, 3, (classes, *grid))]
    spoiled = rng.standard_normal((classes, *grid))
    for value in (np.nan, np.inf, -np.inf):
        spoiled[rng.random(spoiled.shape) < 0.05] = value
    for scores in (*kinds, spoiled):
        half = scores.astype(np.float16)
        options = {"size": size, "align_corners": align_corners}
        sure = np.empty(size, np.float32)
        _kernels.use_level(0)
        wanted = upsample_argmax(half, confidence=sure, **options)
        _kernels.use_level(level)
        for beyond in (np.nan, np.inf, 60000.0):
            laid = side_by_side(half, beyond)
            out = poisoned(size, wanted.dtype)
            confidence = poisoned(size, np.float32)
            hwc8 = {"layout": "hwc8", "classes": classes}
            buffers = {"out": out, "confidence": confidence}
            assert upsample_argmax(laid, **options, **hwc8, **buffers) is out
            np.testing.assert_array_equal(out, wanted)
            np.testing.assert_array_equal(confidence, sure)


def test_an_upsample_argmax_in_hwc8_labels_frame_after_frame_and_a_crop(level, rng):
    options = {"size": (31, 53), "crop": (3, 0, 26, 40), "input_size": (32, 40)}
    label = UpsampleArgmax((9, 8, 10), np.float16, layout="hwc8", threads=2, **options)
    assert label.shape == (31, 53)
    for _ in range(3):
        half = blobs(9, (8, 10), rng).astype(np.float16)
        _kernels.use_level(0)
        wanted = upsample_argmax(half, **options)
        _kernels.use_level(level)
        laid = side_by_side(half, np.inf)
        out = np.empty((31, 53), np.uint8)
        assert label(laid, out=out) is out
        np.testing.assert_array_equal(out, wanted)
        np.testing.assert_array_equal(label(laid), wanted)
        for wrong, error, words in [
            (half, ShapeError, r"scores must have shape \(8, 10, 16\), got \(9, 8, 10"),
            (laid[..., :9], ShapeError, r"\(8, 10, 16\), got \(8, 10, 9\)"),
            (laid[None], ShapeError, r"\(8, 10, 16\), got \(1, 8, 10, 16\)"),
            (laid.astype(np.float32), DTypeError, "float16, got float32"),
            (np.asfortranarray(laid), LayoutError, "scores must be C-contiguous"),
        ]:
            with pytest.raises(error, match=words):
                label(wrong, out=out)


@pytest.mark.parametrize("classes", [1, 8, 13])
def test_in_hwc8_it_stays_inside_its_arrays(classes, fenced, rng):
    scores = rng.standard_normal((classes, 7, 9)).astype(np.float16)
    laid = fenced((7, 9, -(-classes // 8) * 8), np.float16)
    laid[...] = side_by_side(scores, 0)
    out, confidence = fenced((31, 43), np.uint8), fenced((31, 43), np.float32)
    hwc8 = {"layout": "hwc8", "classes": classes}
    for size, buffers in [
        ((31, 43), {"out": out, "confidence": confidence}),
        ((5, 4), {}),
    ]:
        upsample_argmax(laid, size=size, **hwc8, **buffers)


def halves(*shape):
    return np.zeros(shape, np.float16)


@pytest.mark.parametrize(
    ("scores", "options", "error", "words"),
    [
        (halves(3, 4, 8), {"layout": "nhwc"}, ArgumentError, "'hwc8', got 'nhwc'"),
        (
            halves(3, 4, 8),
            {"classes": 5},
            ArgumentError,
            "classes must be omitted unless layout is 'hwc8', got 5",
        ),
        (
            halves(3, 4, 8),
            {"layout": "hwc8"},
            ArgumentError,
            "classes must be a whole number from 1 to 65535, got None",
        ),
        (
            halves(3, 4, 8),
            {"layout": "hwc8", "classes": 0},
            ArgumentError,
            "classes must be a whole number from 1 to 65535, got 0",
        ),
        (
            halves(3, 4, 8),
            {"layout": "hwc8", "classes": 9},
            ShapeError,
            r"scores must have shape \(3, 4, 16\), got \(3, 4, 8\)",
        ),
        (
            halves(3, 4, 16),
            {"layout": "hwc8", "classes": 8},
            ShapeError,
            r"scores must have shape \(3, 4, 8\), got \(3, 4, 16\)",
        ),
        (
            halves(1, 3, 4, 8),
            {"layout": "hwc8", "classes": 8},
            ShapeError,
            r"scores must have shape \(h, w, P\), got \(1, 3, 4, 8\)",
        ),
        (
            halves(3, 4, 8).astype(np.float32),
            {"layout": "hwc8", "classes": 8},
            DTypeError,
            "scores must be float16, got float32",
        ),
    ],
)
def test_refuses_what_hwc8_is_not(scores, options, error, words):
    with pytest.raises(error, match=words) as caught:
        upsample_argmax(scores, size=(6, 8), **options)
    assert str(caught.value).count("\n") == 0


def test_fills_its_buffers_and_nothing_else(poisoned, rng):
    scores = rng.standard_normal((5, 9, 14), dtype=np.float32)
    out, confidence = poisoned((31, 53), np.uint8), poisoned((31, 53), np.float32)
    labels = upsample_argmax(scores, size=(31, 53), out=out, confidence=confidence)
    assert labels is out
    assert_as_defined(out, scores, (31, 53))
    assert ((confidence > 0.2 - 1e-6) & (confidence <= 1)).all()


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def scored(kind, shape, rng):
    """Scores of a kind that a test is about."""
    if kind == "blobs":
        return blobs(shape[0], shape[1:], rng)
    scores = rng.standard_normal(shape).astype(np.float32)
    if kind == "ties":
        scores = np.rint(scores)
    elif kind == "flat":
        scores = scores[:, :1, :1] + np.zeros(shape, np.float32)
    elif kind == "negative":
        scores = -np.abs(scores) - 1
    elif kind == "denormal":
        scores *= np.float32(1e-41)
    elif kind == "huge":
        scores *= np.float32(1e37)
    elif kind == "non_finite":
        scores[rng.random(shape) < 0.003] = np.nan
        scores[rng.random(shape) < 0.003] = np.inf
        scores[rng.random(shape) < 0.003] = -np.inf
    return np.ascontiguousarray(scores)


KINDS = ["blobs", "noise", "ties", "flat", "negative", "denormal", "huge", "non_finite"]


@CORNERS
@pytest.mark.parametrize("kind", [*KINDS[:4], "negative", "denormal", "huge"])
def test_any_kind_of_scores(kind, align_corners, rng):
    for shape, size in [((6, 9, 23), (50, 99)), ((3, 5, 40), (9, 67))]:
        scores = scored(kind, shape, rng)
        labels = upsample_argmax(scores, size=size, align_corners=align_corners)
        assert_as_defined(labels, scores, size, align_corners)


@CORNERS
@pytest.mark.parametrize(
    ("crop", "input_size"),
    [
        ((0, 0, 48, 64), (48, 64)),
        ((6, 0, 36, 64), (48, 64)),
        ((0, 9, 48, 30), (48, 64)),
        ((13, 17, 1, 2), (48, 64)),
        ((1, 2, 9, 11), (12, 16)),
        ((0, 0, 1, 1), (1, 1)),
    ],
)
def test_a_crop_is_a_part_of_the_networks_input(crop, input_size, align_corners, rng):
    for grid in [(12, 16), (5, 33), (1, 1)]:
        scores = blobs(5, grid, rng)
        parts = [(crop[i], crop[i + 2], input_size[i]) for i in (0, 1)]
        for size in [(36, 64), (50, 37), (5, 4)]:
            labels = upsample_argmax(
                scores,
                size=size,
                align_corners=align_corners,
                crop=crop,
                input_size=input_size,
            )
            dense = resized(scores, size, align_corners, parts)
            best = dense.max(0)
            given = np.take_along_axis(dense, labels[None].astype(int), 0)[0]
            assert (best - given <= 1e-6 * np.abs(scores).max()).all()
            confidence = np.empty(size, np.float32)
            upsample_argmax(
                scores,
                size=size,
                align_corners=align_corners,
                crop=crop,
                input_size=input_size,
                confidence=confidence,
            )
            assert np.abs(confidence - softmax_top(dense)).max() < 1e-5


def test_the_whole_input_is_no_crop(rng):
    scores = blobs(5, (12, 16), rng)
    whole = upsample_argmax(
        scores, size=(50, 70), crop=(0, 0, 96, 128), input_size=(96, 128)
    )
    np.testing.assert_array_equal(whole, upsample_argmax(scores, size=(50, 70)))


def test_a_letterbox_is_undone():
    """A frame of 30 x 40 in an input of 64 x 64: 48 rows of picture from row 8 on."""
    where = place((30, 40), (64, 64), fit="letterbox")
    assert where.picture == (8, 0, 48, 64)
    scores = np.zeros((2, 64, 64), np.float32)
    scores[1, :8] = scores[1, 56:] = 5.0
    scores[0, 8:32] = 1.0
    scores[1, 32:56] = 1.0
    labels = upsample_argmax(
        scores, size=(30, 40), crop=where.picture, input_size=(64, 64)
    )
    assert not labels[1:15].any()
    assert (labels[15:] == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_float16_scores_are_those_numbers(kind, rng):
    for shape, size in [
        ((6, 9, 23), (50, 99)),
        ((3, 5, 3), (5, 3)),
        ((1, 4, 9), (8, 7)),
    ]:
        with np.errstate(over="ignore"):
            halves = scored(kind, shape, rng).astype(np.float16)
        confidence = np.empty((2, *size), np.float32)
        labels = upsample_argmax(halves, size=size, confidence=confidence[0])
        wanted = upsample_argmax(
            halves.astype(np.float32), size=size, confidence=confidence[1]
        )
        np.testing.assert_array_equal(labels, wanted)
        np.testing.assert_array_equal(*confidence)


@pytest.mark.parametrize("classes", [255, 256, 1000])
def test_two_bytes_where_one_is_too_few(classes, rng):
    scores = rng.integers(0, 9, (classes, 4, 6)).astype(np.float32)
    scores[-1, 2:, 3:] = 10.0
    scores[-2, :2, :3] = 10.0
    labels = upsample_argmax(scores, size=(16, 48))
    assert labels.dtype == (np.uint8 if classes == 255 else np.uint16)
    assert labels[-1, -1] == classes - 1
    assert labels[0, 0] == classes - 2
    np.testing.assert_array_equal(labels, argmax(resized(scores, (16, 48), False)))


@pytest.mark.parametrize("kind", ["blobs", "noise", "non_finite"])
def test_a_batch_is_its_images(kind, rng):
    scores = np.stack([scored(kind, (4, 7, 19), rng) for _ in range(3)])
    for size in [(29, 50), (7, 19), (3, 4)]:
        confidence = np.empty((2, 3, *size), np.float32)
        labels = upsample_argmax(scores, size=size, confidence=confidence[0])
        assert labels.shape == (3, *size)
        for i in range(3):
            alone = upsample_argmax(scores[i], size=size, confidence=confidence[1, i])
            np.testing.assert_array_equal(labels[i], alone)
        np.testing.assert_array_equal(*confidence)


@pytest.mark.parametrize("kind", ["blobs", "noise", "non_finite"])
def test_threads_do_not_change_the_result(kind, rng):
    scores = np.stack([scored(kind, (6, 11, 37), rng) for _ in range(2)])
    for size in [(70, 99), (11, 37), (4, 9)]:
        results = []
        for threads in (1, 2, 5, 64):
            confidence = np.empty((2, *size), np.float32)
            labels = upsample_argmax(
                scores, size=size, confidence=confidence, threads=threads
            )
            results.append(labels.tobytes() + confidence.tobytes())
        assert len(set(results)) == 1


def test_an_upsample_argmax_serves_many_frames(rng):
    label = UpsampleArgmax((4, 9, 14), np.float32, size=(31, 53), threads=2)
    out, confidence = np.empty((31, 53), np.uint8), np.empty((31, 53), np.float32)
    for kind in (*KINDS, *KINDS[::-1]):
        scores = scored(kind, (4, 9, 14), rng)
        out[...], confidence[...] = 77, -3
        assert label(scores, out=out, confidence=confidence) is out
        sure = np.empty_like(confidence)
        wanted = upsample_argmax(scores, size=(31, 53), confidence=sure)
        np.testing.assert_array_equal(out, wanted)
        np.testing.assert_array_equal(confidence, sure)
        np.testing.assert_array_equal(label(scores), wanted)


def test_an_upsample_argmax_refuses_other_arrays():
    label = UpsampleArgmax((2, 3, 4), np.float32, size=(6, 8))
    for bad in (zeros(3, 3, 4), zeros(1, 2, 3, 4), zeros(2, 3, 5)):
        with pytest.raises(ShapeError, match=r"scores must have shape \(2, 3, 4\)"):
            label(bad)
    with pytest.raises(DTypeError, match="scores must be float32, got float16"):
        label(zeros(2, 3, 4, dtype=np.float16))
    with pytest.raises(DTypeError, match="out must be uint8"):
        label(zeros(2, 3, 4), out=zeros(6, 8, dtype=np.uint16))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"shape": (2, 3)}, ShapeError, r"shape must be \(C, h, w\) or"),
        ({"shape": (2, 0, 3)}, ShapeError, "each above 0"),
        ({"shape": 7}, ShapeError, "got 7"),
        ({"dtype": np.int8}, DTypeError, "dtype must be float32 or float16, got int8"),
        ({"threads": 0}, ArgumentError, "threads must be a whole number from 1 to 64"),
        ({"threads": 1.5}, ArgumentError, "threads must be a whole number"),
        (
            {"layout": "hwc"},
            ArgumentError,
            "layout must be one of 'linear', 'hwc8', got 'hwc'",
        ),
        (
            {"layout": "hwc8"},
            DTypeError,
            "dtype must be float16 for the layout 'hwc8', got float32",
        ),
        (
            {"layout": "hwc8", "dtype": np.float16, "shape": (2, 2, 3, 4)},
            ShapeError,
            r"shape must be \(C, h, w\) for the layout 'hwc8', got \(2, 2, 3, 4\)",
        ),
        ({"crop": (0, 0, 2, 2)}, ArgumentError, "crop and input_size must be given"),
        ({"input_size": (2, 2)}, ArgumentError, "crop and input_size must be given"),
        (
            {"crop": (0, 0, 3, 2), "input_size": (2, 2)},
            ArgumentError,
            "crop must be .* of a part of the 2 x 2 pixels",
        ),
        (
            {"crop": (0, 0, 1, 1), "input_size": (0, 2)},
            ArgumentError,
            "input_size must be two whole numbers above 0",
        ),
    ],
)
def test_an_upsample_argmax_refuses_settings(options, error, words):
    given = {"shape": (2, 3, 4), "dtype": np.float32, "size": (6, 8)} | options
    with pytest.raises(error, match=words):
        UpsampleArgmax(given.pop("shape"), given.pop("dtype"), **given)


@pytest.mark.parametrize(
    ("scores", "error", "words"),
    [
        (zeros(2, 3), ShapeError, r"scores must have shape \(C, h, w\), got \(2, 3\)"),
        (zeros(1, 1, 2, 3, 4), ShapeError, r"scores must have shape \(C, h, w\)"),
        (zeros(65536, 1, 1), ShapeError, "1 to 65535 classes, got 65536"),
        (zeros(0, 2, 3, 4), ShapeError, "scores must not be empty"),
        (zeros(0, 3, 4), ShapeError, "scores must not be empty"),
        (zeros(3, 0, 4), ShapeError, "scores must not be empty"),
        (zeros(2, 3, 4, dtype=np.float64), DTypeError, "float32 or float16, got float"),
        (zeros(2, 3, 4, dtype=np.int8), DTypeError, "float32 or float16, got int8"),
        (zeros(2, 3, 8)[..., ::2], LayoutError, r"np.ascontiguousarray\(scores\)"),
        (zeros(3, 4, 2).transpose(2, 0, 1), LayoutError, "C-contiguous"),
        ([[[0.0]]], DTypeError, "scores must be a NumPy array, got list"),
    ],
)
def test_refuses_scores(scores, error, words):
    with pytest.raises(error, match=words):
        upsample_argmax(scores, size=(6, 8))


@pytest.mark.parametrize("name", ["out", "confidence"])
def test_refuses_a_buffer_it_cannot_fill(name):
    dtype = np.uint8 if name == "out" else np.float32
    scores = zeros(2, 3, 4)

    def refused(buffer, error, words):
        with pytest.raises(error, match=f"^{name} must {words}"):
            upsample_argmax(scores, size=(6, 8), **{name: buffer})

    refused(zeros(8, 6, dtype=dtype), ShapeError, r"have shape \(6, 8\), got \(8, 6\)")
    refused(zeros(6, 8, dtype=np.int64), DTypeError, f"be {np.dtype(dtype)}, got int64")
    refused(zeros(6, 16, dtype=dtype)[:, ::2], LayoutError, "be C-contiguous")
    locked = zeros(6, 8, dtype=dtype)
    locked.flags.writeable = False
    refused(locked, ArgumentError, "be writable")
    scores = zeros(3, 6, 8)
    own = scores.view(dtype).ravel()[:48].reshape(6, 8)
    refused(own, ArgumentError, "not share memory with scores")


def test_refuses_one_buffer_for_both_results():
    block = zeros(6, 8)
    out = block.view(np.uint8).ravel()[:48].reshape(6, 8)
    with pytest.raises(
        ArgumentError, match="confidence must not share memory with out"
    ):
        upsample_argmax(zeros(2, 3, 4), size=(6, 8), out=out, confidence=block)


@pytest.mark.parametrize("size", [(0, 8), (6,), 6, (6.0, 8.0), None])
def test_refuses_a_size(size):
    with pytest.raises(ArgumentError, match="size must be two whole numbers above 0"):
        upsample_argmax(zeros(2, 3, 4), size=size)


shapes = st.lists(st.integers(0, 5), min_size=2, max_size=5).map(tuple)
dtypes = st.sampled_from([np.float32] * 6 + [np.float16, np.float64, np.int8])


@st.composite
def arrays(draw, shape, dtype):
    """An array near what is asked for: sometimes off in one way or another."""
    shape = draw(st.just(shape) | st.just(shape) | st.just(shape) | shapes)
    dtype = draw(st.just(dtype) | st.just(dtype) | st.just(dtype) | dtypes)
    array = np.full(shape, 7, dtype)
    change = draw(st.integers(0, 12))
    if change == 0:
        array = np.full((*shape[:-1], 2 * shape[-1]), 7, dtype)[..., ::2]
    elif change == 1:
        array.flags.writeable = False
    elif change == 2:
        array = np.frombuffer(b"\7" * (array.nbytes + 1), np.uint8)[1:]
        array = array.copy().view(dtype).reshape(shape) if array.size else array
    elif change == 3:
        array = array[::-1]
    elif change == 4:
        array = draw(st.sampled_from([None, 3, [[1.0]], "scores"]))
    return array


@pytest.mark.parametrize("level", LEVELS[-1:], indirect=True)
@settings(max_examples=2000, deadline=None)
@given(data=st.data())
def test_misuse(data):
    """Any call gives labels, or an error of ours and untouched buffers."""
    draw = data.draw
    shape = draw(st.sampled_from([(2, 3, 4), (1, 2, 3, 4), (3, 2, 2, 5), (1, 1, 1)]))
    scores = draw(arrays(shape, np.float32))
    size = draw(
        st.sampled_from([(6, 8)] * 8 + [(0, 3), (1, 1), None, (2.0, 3), 5, (2, -1)])
    )
    labels = (*shape[:-3], *(size if isinstance(size, tuple) else (6, 8)))
    labels = tuple(max(int(n), 0) for n in labels)
    out = draw(st.none() | arrays(labels, np.uint8))
    confidence = draw(st.none() | arrays(labels, np.float32))
    if isinstance(scores, np.ndarray) and draw(st.integers(0, 9)) == 0:
        out = scores.view(np.uint8).ravel() if scores.flags.c_contiguous else scores
    box = st.sampled_from([None] * 4 + [(0, 0, 2, 2), (1, 1, 9, 9), (0,), "no", 3])
    extra = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "align_corners": st.booleans(),
                "threads": st.sampled_from([1, 2, 0, 65, -1, 1.5, "2", None]),
                "crop": box,
                "layout": st.sampled_from(["linear", "hwc8", "chw4", None, 8]),
                "classes": st.sampled_from([None, 1, 4, 9, 0, -1, "2", 2**40]),
                "input_size": st.sampled_from([None, (4, 4), (0, 4), 4]),
            },
        )
    )
    buffers = [b for b in (out, confidence) if isinstance(b, np.ndarray)]
    before = [b.tobytes() for b in buffers]
    try:
        result = upsample_argmax(
            scores, size=size, out=out, confidence=confidence, **extra
        )
    except FusegError as error:
        words, result = str(error), None
    if result is None:
        assert words.endswith(".")
        assert [b.tobytes() for b in buffers] == before
    else:
        assert result.shape == (*scores.shape[:-3], *size)
        assert int(result.max()) < max(scores.shape[-3], 2)
