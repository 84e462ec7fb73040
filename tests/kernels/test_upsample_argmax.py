"""upsample_argmax: labels, ties, what is not finite, confidence, refusals."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg.errors import ArgumentError, DTypeError, LayoutError, ShapeError
from fuseg.ops import upsample_argmax

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
]
CORNERS = pytest.mark.parametrize("align_corners", [False, True])


def taps(samples, length, align_corners):
    """First sample, second sample and weight of the second, per output position."""
    found = []
    for i in range(length):
        if align_corners:
            at = Fraction(i * (samples - 1), length - 1) if length > 1 else Fraction(0)
        else:
            at = Fraction(2 * i + 1, 2) * samples / length - Fraction(1, 2)
        at = min(max(at, Fraction(0)), Fraction(samples - 1))
        first = at.numerator // at.denominator
        found.append((first, min(first + 1, samples - 1), float(at - first)))
    first, second, weight = zip(*found, strict=True)
    return np.array(first), np.array(second), np.array(weight)


def resized(scores, size, align_corners):
    """Every class at every pixel, float64; a sample of weight 0 is not read."""
    y0, y1, wy = taps(scores.shape[1], size[0], align_corners)
    x0, x1, wx = taps(scores.shape[2], size[1], align_corners)
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
    assert labels.dtype == np.uint8
    assert labels.shape == size
    close = best - given <= 1e-6 * np.abs(scores).max()
    assert (close | (labels == wanted)).all()
    same, winner = agreed(scores, size, align_corners)
    np.testing.assert_array_equal(labels[same], winner[same])


def blobs(classes, grid, rng):
    """Scores as a network gives them: smooth, one class over many samples."""
    noise = rng.standard_normal((classes, *grid)).astype(np.float32)
    smooth = [cv2.GaussianBlur(plane, (0, 0), 3) for plane in noise]
    return np.stack(smooth).reshape(noise.shape) * np.float32(40)


@CORNERS
@pytest.mark.parametrize(("classes", "grid", "size"), SIZES)
def test_matches_the_definition(classes, grid, size, align_corners, rng):
    for scores in (
        rng.standard_normal((classes, *grid), dtype=np.float32),
        blobs(classes, grid, rng),
    ):
        before = scores.copy()
        labels = upsample_argmax(scores, size=size, align_corners=align_corners)
        assert_as_defined(labels, scores, size, align_corners)
        np.testing.assert_array_equal(scores, before)


@settings(max_examples=150, deadline=None)
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
@pytest.mark.parametrize(("classes", "grid", "size"), SIZES)
def test_torch_then_argmax_gives_the_same(classes, grid, size, align_corners, rng):
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


@pytest.mark.parametrize(("classes", "grid", "size"), SIZES)
def test_opencv_then_argmax_gives_the_same(classes, grid, size, rng):
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
@pytest.mark.parametrize(("classes", "grid", "size"), SIZES)
def test_confidence_is_the_largest_softmax(classes, grid, size, align_corners, rng):
    for scale in (0.1, 3.0, 30.0):
        scores = rng.uniform(-scale, scale, (classes, *grid)).astype(np.float32)
        confidence = np.full(size, -1, np.float32)
        how = {"size": size, "align_corners": align_corners}
        labels = upsample_argmax(scores, confidence=confidence, **how)
        wanted = softmax_top(resized(scores, size, align_corners))
        assert np.abs(confidence - wanted).max() < 1e-5
        np.testing.assert_array_equal(labels, upsample_argmax(scores, **how))


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
@pytest.mark.parametrize(("classes", "grid", "size"), SIZES)
def test_stays_inside_its_arrays(classes, grid, size, align_corners, fenced, rng):
    scores = fenced((classes, *grid), np.float32)
    scores[...] = rng.standard_normal(scores.shape)
    out, confidence = fenced(size, np.uint8), fenced(size, np.float32)
    how = {"size": size, "align_corners": align_corners}
    labels = upsample_argmax(scores, out=out, confidence=confidence, **how)
    assert labels is out
    np.testing.assert_array_equal(out, upsample_argmax(scores.copy(), **how))
    scores[:, 0, 0] = np.nan
    upsample_argmax(scores, out=out, confidence=confidence, **how)


def test_fills_its_buffers_and_nothing_else(poisoned, rng):
    scores = rng.standard_normal((5, 9, 14), dtype=np.float32)
    out, confidence = poisoned((31, 53), np.uint8), poisoned((31, 53), np.float32)
    labels = upsample_argmax(scores, size=(31, 53), out=out, confidence=confidence)
    assert labels is out
    assert_as_defined(out, scores, (31, 53))
    assert ((confidence > 0.2 - 1e-6) & (confidence <= 1)).all()


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("scores", "error", "words"),
    [
        (zeros(2, 3), ShapeError, r"scores must have shape \(C, h, w\), got \(2, 3\)"),
        (zeros(256, 1, 1), ShapeError, "1 to 255 classes, got 256"),
        (zeros(0, 3, 4), ShapeError, "scores must not be empty"),
        (zeros(3, 0, 4), ShapeError, "scores must not be empty"),
        (zeros(2, 3, 4, dtype=np.float64), DTypeError, "float32, got float64"),
        (zeros(2, 3, 4, dtype=np.float16), DTypeError, "float32, got float16"),
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
