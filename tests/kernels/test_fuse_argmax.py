"""fuse_argmax: labels, confidence, sources, missing readings, ties, refusals."""

from __future__ import annotations

import functools
import itertools
import random
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
from fuseg.ops import FuseArgmax, fuse_argmax

LEVELS = _kernels.levels()
# classes, grids, labels: one sample, slivers, odd ratios, one grid, whole ratios, ends
# in mid-vector, smaller, equal, many classes.
SIZES = [
    (2, [(1, 1), (1, 1)], (1, 1)),
    (3, [(1, 1), (2, 3)], (7, 9)),
    (5, [(1, 6), (1, 4)], (1, 41)),
    (5, [(6, 1), (3, 1), (1, 1)], (41, 1)),
    (4, [(2, 2), (3, 2)], (40, 150)),
    (12, [(9, 13), (9, 13)], (36, 52)),
    (6, [(9, 13), (9, 13), (9, 13)], (31, 77)),
    (19, [(8, 12), (4, 6)], (64, 96)),
    (3, [(10, 14), (7, 11), (5, 3), (9, 14)], (31, 53)),
    (6, [(37, 53), (12, 19)], (17, 29)),
    (4, [(5, 400), (6, 40)], (7, 90)),
    (4, [(8, 12), (8, 12)], (8, 12)),
    (4, [(8, 12), (5, 31)], (8, 31)),
    (150, [(5, 7), (10, 14)], (20, 28)),
    (255, [(4, 6), (4, 6)], (13, 17)),
    (256, [(4, 6), (3, 3)], (13, 17)),
]
CORNERS = pytest.mark.parametrize("align_corners", [False, True])
MODES = ("add", "multiply", "max")
HOW = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(autouse=True, params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[int]:
    _kernels.use_level(request.param)
    yield request.param
    _kernels.use_level(LEVELS[-1])


@functools.cache
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


def counted(plane, scores, size, align_corners):
    """Where every sample that is read is valid."""
    if plane is None:
        return np.ones(size, bool)
    invalid = (plane[None] == 0).astype(np.float64)
    assert invalid.shape[1:] == scores.shape[1:]
    return resized(invalid, size, align_corners)[0] == 0


class Defined:
    """The definition, in float64, everywhere at once."""

    def __init__(self, maps, *, size, mode="add", weights=None, valid=None, **options):
        corners = options.pop("align_corners", False)
        assert not options
        classes, count = len(maps[0]), len(maps)
        weights = [1.0] * count if weights is None else weights
        valid = [None] * count if valid is None else valid
        own, size_of = [], []
        counts = [
            counted(v, m, size, corners) for v, m in zip(valid, maps, strict=True)
        ]
        for scores, weight, there in zip(maps, weights, counts, strict=True):
            w = np.float32(weight).astype(np.float64) * np.ones(classes)
            w = w[:, None, None]
            dense = resized(scores, size, corners)
            with np.errstate(divide="ignore", invalid="ignore"):
                term = w * (np.log(dense) if mode == "multiply" else dense)
            heard = there & (w != 0)
            own.append(np.where(heard, term, np.nan if mode == "max" else 0))
            self._mark(size_of, scores, w, mode, term, heard)
            own[-1] = (own[-1], heard)
        terms = np.array([t for t, _ in own])
        heard = np.array([np.broadcast_to(h, t.shape) for t, h in own])
        with np.errstate(invalid="ignore"):
            if mode == "max":
                terms = np.where(np.isnan(terms), -np.inf, terms)
                self.fused = np.where(heard, terms, -np.inf).max(0)
            else:
                self.fused = terms.sum(0)
        self.heard, self.terms = heard, terms
        self.there = np.any(counts, axis=0)
        real = np.where(np.isnan(self.fused), -np.inf, self.fused)
        self.label = real.argmax(0)
        self.best = real.max(0)
        self.slack = 1e-6 * np.sum(size_of, axis=0)

    def _mark(self, size_of, scores, weight, mode, term, heard):
        """How large the terms are by which rounding is judged."""
        finite = np.isfinite(term) & heard
        if mode == "multiply":
            size_of.append(np.where(finite, abs(weight) + abs(term), 0).max(0))
        else:
            largest = np.where(np.isfinite(scores), abs(scores.astype(np.float64)), 0)
            largest = (largest * abs(weight)).max()
            size_of.append(np.full(term.shape[1:], largest))

    def source(self, labels):
        """The map that contributed most to each label, and where that is uncertain."""
        pick = np.where(self.there, labels, 0)[None, None].astype(int)
        own = np.take_along_axis(self.terms, pick, 1)[:, 0]
        heard = np.take_along_axis(self.heard, pick, 1)[:, 0]
        own = np.where(heard & ~np.isnan(own), own, -np.inf)
        wanted = np.where(self.there & (self.best > -np.inf), own.argmax(0), 255)
        wanted = np.where(own.max(0) == -np.inf, 255, wanted)
        if len(own) < 2:
            return wanted, np.zeros(wanted.shape, bool)
        top = np.sort(own, axis=0)
        with np.errstate(invalid="ignore"):
            gap = top[-1] - top[-2]
        # Equal in exact arithmetic, two maps may be rounded apart: on unlike grids.
        return wanted, gap <= self.slack

    def confidence(self):
        with np.errstate(invalid="ignore", over="ignore"):
            share = 1 / np.exp(self.fused - self.best).sum(0)
        return np.where(self.there, share, 0.0)


def assert_as_defined(maps, *, ignore=None, threads=1, exact=False, **mode):
    """Labels, sources and confidence against the definition."""
    size = mode["size"]
    confidence = np.full(size, -7, np.float32)
    source = np.full(size, 77, np.uint8)
    before = [m.copy() for m in maps]
    rest = {"ignore": ignore, "threads": threads}
    labels = fuse_argmax(maps, confidence=confidence, source=source, **rest, **mode)
    alone = fuse_argmax(maps, **rest, **mode)
    np.testing.assert_array_equal(alone, labels)
    for given_map, old in zip(maps, before, strict=True):
        np.testing.assert_array_equal(given_map, old)
    dtype = np.uint8 if len(maps[0]) <= 255 else np.uint16
    assert labels.dtype == dtype
    assert labels.shape == size
    want = Defined(maps, **mode)
    nothing = np.iinfo(dtype).max if ignore is None else ignore
    assert (labels[~want.there] == nothing).all()
    pick = np.where(want.there, labels, 0)[None].astype(int)
    given_score = np.take_along_axis(want.fused, pick, 0)[0]
    with np.errstate(invalid="ignore"):
        close = want.best - given_score <= want.slack
    if exact:
        close[...] = False
    right = (labels == want.label) | ~want.there
    assert (right | close).all(), f"{(~(right | close)).sum()} of {right.size} differ"
    owner, doubtful = want.source(labels)
    if exact:
        doubtful[...] = False
    np.testing.assert_array_equal(source[~doubtful], owner[~doubtful])
    if want.slack.max() <= 30e-6:
        sure = want.confidence()
        np.testing.assert_array_equal(np.isnan(confidence), np.isnan(sure))
        assert np.nanmax(abs(confidence - sure), initial=0) < 1e-5
    return labels


def noise(classes, grid, rng, mode="add", half=False):
    scores = rng.standard_normal((classes, *grid), dtype=np.float32)
    return as_given(scores, mode, half)


def blobs(classes, grid, rng, mode="add", half=False):
    """Scores as a network gives them: smooth, one class over many samples."""
    rough = rng.standard_normal((classes, *grid)).astype(np.float32)
    smooth = [cv2.GaussianBlur(plane, (0, 0), 3) for plane in rough]
    return as_given(np.stack(smooth).reshape(rough.shape) * 20, mode, half)


def as_given(scores, mode, half=False):
    """Probabilities where maps are multiplied."""
    if mode == "multiply":
        scores = np.exp(scores - scores.max(0))
        scores = scores / scores.sum(0)
    return scores.astype(np.float16 if half else np.float32)


def any_weights(classes, count, mode, rng):
    """None, numbers, a number per class, and a mixture of both with zeros."""
    low = -1.5 if mode == "add" else 0.1
    per_map = [float(w) for w in rng.uniform(low, 1.5, count)]
    per_class = list(rng.uniform(low, 1.5, (count, classes)))
    some = list(per_class)
    some[0] = 1.0
    some[1] = some[1] * (rng.random(classes) < 0.6)
    return [None, per_map, per_class, some]


@HOW
@CORNERS
def test_matches_the_definition(align_corners, mode, rng):
    for classes, grids, size in SIZES:
        for make in (noise, blobs):
            maps = [make(classes, grid, rng, mode) for grid in grids]
            assert_as_defined(maps, size=size, mode=mode, align_corners=align_corners)


@HOW
def test_weights(mode, rng):
    for classes, grids, size in SIZES:
        maps = [blobs(classes, grid, rng, mode) for grid in grids]
        for weights in any_weights(classes, len(grids), mode, rng):
            assert_as_defined(maps, size=size, mode=mode, weights=weights)


@HOW
def test_half_floats(mode, rng):
    for classes, grids, size in SIZES:
        halves = [blobs(classes, grid, rng, mode, half=True) for grid in grids]
        assert_as_defined(halves, size=size, mode=mode)
        halves[1] = halves[1].astype(np.float32)
        assert_as_defined(
            halves, size=size, mode=mode, weights=[1.0, 0.5, 1, 1][: len(grids)]
        )


def planes(grids, share, rng):
    """Readings with holes; what lies in a hole is nonsense."""
    for h, w in grids:
        rough = cv2.GaussianBlur(rng.standard_normal((h, w)), (0, 0), 1.5)
        holes = rough.reshape(h, w) <= np.quantile(rough, share)
        yield np.where(holes, 0, rng.integers(1, 256, (h, w))).astype(np.uint8)


@HOW
@CORNERS
@pytest.mark.parametrize("share", [0.1, 0.6])
def test_missing_readings(align_corners, mode, share, rng):
    for classes, grids, size in SIZES:
        maps = [blobs(classes, grid, rng, mode) for grid in grids]
        valid = list(planes(grids, share, rng))
        for scores, plane in zip(maps, valid, strict=True):
            scores[:, plane == 0] = np.nan
        options = {"size": size, "mode": mode, "align_corners": align_corners}
        assert_as_defined(maps, valid=valid, ignore=7, **options)
        valid[0] = None
        maps[0][...] = np.nan_to_num(maps[0], nan=0.5)
        assert_as_defined(
            maps, valid=valid, weights=[1, 0.5, 2, 0.7][: len(maps)], **options
        )


@HOW
def test_a_map_without_any_reading_is_not_there(mode, rng):
    maps = [blobs(6, (9, 13), rng, mode) for _ in range(3)]
    lost = [None, np.zeros((9, 13), np.uint8), None]
    options = {"size": (36, 52), "mode": mode}
    labels = assert_as_defined(maps, valid=lost, **options)
    others = fuse_argmax([maps[0], maps[2]], **options)
    np.testing.assert_array_equal(labels, others)
    all_lost = [lost[1]] * 3
    labels = assert_as_defined(maps, valid=all_lost, ignore=200, **options)
    assert (labels == 200).all()


@HOW
def test_planes_that_are_all_there_change_nothing(mode, rng):
    maps = [blobs(6, (9, 13), rng, mode) for _ in range(2)]
    valid = [np.full((9, 13), 3, np.uint8)] * 2
    labels = fuse_argmax(maps, size=(50, 61), mode=mode, valid=valid)
    np.testing.assert_array_equal(labels, fuse_argmax(maps, size=(50, 61), mode=mode))


@settings(max_examples=120, deadline=None)
@given(
    classes=st.integers(2, 9),
    grids=st.lists(
        st.tuples(st.integers(1, 12), st.integers(1, 90)), min_size=2, max_size=4
    ),
    one_grid=st.booleans(),
    size=st.tuples(st.integers(1, 60), st.integers(1, 120)),
    mode=st.sampled_from(MODES),
    align_corners=st.booleans(),
    weighted=st.integers(0, 3),
    holes=st.booleans(),
    smooth=st.booleans(),
    half=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_size(
    classes,
    grids,
    one_grid,
    size,
    mode,
    align_corners,
    weighted,
    holes,
    smooth,
    half,
    seed,
):
    rng = np.random.default_rng(seed)
    if one_grid:
        grids = [grids[0]] * len(grids)
    make = blobs if smooth else noise
    maps = [make(classes, grid, rng, mode, half) for grid in grids]
    assert_as_defined(
        maps,
        size=size,
        mode=mode,
        align_corners=align_corners,
        weights=any_weights(classes, len(grids), mode, rng)[weighted],
        valid=list(planes(grids, 0.3, rng)) if holes else None,
        threads=1 + seed % 3,
    )


@CORNERS
def test_torch_gives_the_same(align_corners, rng):
    for classes, grids, size in SIZES:
        maps = [blobs(classes, grid, rng) for grid in grids]
        dense = sum(
            torch.nn.functional.interpolate(
                torch.from_numpy(scores)[None].double(),
                size,
                mode="bilinear",
                align_corners=align_corners,
            )[0]
            for scores in maps
        )
        top = dense.topk(2, dim=0).values
        clear = (top[0] - top[1] > 1e-4).numpy()
        labels = fuse_argmax(maps, size=size, align_corners=align_corners)
        np.testing.assert_array_equal(labels[clear], dense.argmax(0).numpy()[clear])


@pytest.mark.parametrize("mode", ["add", "max"])
@pytest.mark.parametrize("classes", [2, 3, 20])
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_smallest_class_and_smallest_map_win_every_tie(classes, steps, mode, rng):
    """Small whole scores at ratios of two: the arithmetic is exact, ties are many."""
    for times, other in itertools.product([1, 2, 8], [(12, 20), (6, 10), (3, 5)]):
        maps = [
            rng.integers(0, steps, (classes, *grid), endpoint=True).astype(np.float32)
            for grid in [(12, 20), other]
        ]
        size = (12 * times, 20 * times)
        assert_as_defined(maps, size=size, mode=mode, exact=True)
        assert_as_defined(maps, size=size, mode=mode, weights=[2, 0.5], exact=True)


def test_the_source_may_change_twice_where_a_map_starts_to_fall_later():
    """Above the first samples' centres nothing changes, and that ends at other rows."""
    columns = [np.array([5, 4, 4, 4], np.float32), np.array([5, 0], np.float32)]
    said = [np.repeat(c[:, None], 2 * len(c), 1) for c in columns]
    maps = [np.stack([plane, np.full_like(plane, -1)]) for plane in said]
    assert_as_defined(maps, size=(32, 64), exact=True)
    source = np.empty((32, 64), np.uint8)
    fuse_argmax(maps, size=(32, 64), source=source)
    assert source[[0, 3, 4, 8, 11], 30].tolist() == [0, 0, 1, 1, 0]


@HOW
def test_a_copy_of_a_class_never_wins(mode, rng):
    maps = [blobs(5, grid, rng, mode) for grid in [(9, 14), (5, 8)]]
    twice = [np.concatenate([m, m[::-1]]) for m in maps]
    for size in [(31, 53), (36, 56), (5, 6), (9, 14)]:
        labels = fuse_argmax(twice, size=size, mode=mode)
        np.testing.assert_array_equal(labels, fuse_argmax(maps, size=size, mode=mode))


@HOW
@pytest.mark.parametrize("grids", [[(6, 7), (6, 7)], [(6, 7), (3, 4)]])
def test_a_copy_of_a_map_is_never_the_source(grids, mode):
    scores = np.zeros((3, *grids[0]), np.float32) + np.float32(0.25)
    scores[1] = 0.5
    copy = scores[:, : grids[1][0], : grids[1][1]].copy()
    source = np.empty((40, 50), np.uint8)
    labels = fuse_argmax([scores, copy], size=(40, 50), mode=mode, source=source)
    assert (labels == 1).all()
    assert not source.any()


@pytest.mark.parametrize("value", [0.0, -3.5, -1e30, 1e30])
def test_all_equal_scores_are_class_0(value):
    maps = [
        np.full((5, 4, 6), value, np.float32),
        np.full((5, 3, 2), value, np.float32),
    ]
    for mode in ("add", "max") + (("multiply",) if value >= 0 else ()):
        assert not fuse_argmax(maps, size=(17, 23), mode=mode).any()


@HOW
@CORNERS
@pytest.mark.parametrize("grids", [[(9, 14), (9, 14)], [(9, 14), (5, 6)]])
@pytest.mark.parametrize("share", [0.002, 0.05, 0.5])
def test_scores_that_are_not_finite(share, grids, align_corners, mode, rng):
    for size in [(9, 14), (31, 53), (72, 112), (4, 6)]:
        maps = [noise(4, grid, rng, mode) for grid in grids]
        for scores in maps:
            for value in (np.nan, np.inf, -np.inf):
                if value > -np.inf or mode != "multiply":
                    scores[rng.random(scores.shape) < share] = value
        assert_as_defined(maps, size=size, mode=mode, align_corners=align_corners)
        assert_as_defined(
            maps, size=size, mode=mode, align_corners=align_corners, weights=[0.5, 0.75]
        )


@HOW
def test_nan_never_wins(mode):
    maps = [np.full((3, 4, 5), np.nan, np.float32) for _ in range(2)]
    source = np.empty((9, 10), np.uint8)
    assert not fuse_argmax(maps, size=(9, 10), mode=mode, source=source).any()
    assert (source == 255).all()
    maps[0][2] = maps[1][2] = 0.5
    assert (fuse_argmax(maps, size=(9, 10), mode=mode) == 2).all()
    assert (fuse_argmax(maps, size=(4, 5), mode=mode) == 2).all()


def test_nothing_above_minus_infinity_is_0():
    maps = [np.full((3, 4, 5), -np.inf, np.float32) for _ in range(2)]
    source, confidence = np.empty((9, 10), np.uint8), np.empty((9, 10), np.float32)
    both = {"source": source, "confidence": confidence}
    for mode in ("add", "max"):
        assert not fuse_argmax(maps, size=(9, 10), mode=mode, **both).any()
        assert (source == 255).all()
        assert np.isnan(confidence).all()


def test_a_probability_of_0_is_a_veto():
    sure = np.array([[[1.0]], [[0.0]], [[0.0]]], np.float32)
    other = np.array([[[0.0]], [[0.3]], [[0.7]]], np.float32)
    both = [sure, other]
    assert fuse_argmax(both, size=(1, 1), mode="multiply").tolist() == [[0]]
    other[0] = 1e-30
    assert fuse_argmax(both, size=(1, 1), mode="multiply").tolist() == [[0]]
    weights = [[1, 0, 0], 1.0]
    labels = fuse_argmax(both, size=(1, 1), mode="multiply", weights=weights)
    assert labels.tolist() == [[2]]


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e38])
def test_products_beyond_float32(scale, rng):
    """The numbers may leave float32, their logarithms do not."""
    maps = [
        blobs(6, grid, rng, "multiply") * np.float32(scale) for grid in [(9, 13)] * 2
    ]
    maps.append(blobs(6, (4, 5), rng, "multiply") * np.float32(scale))
    assert_as_defined(maps, size=(36, 50), mode="multiply")


def test_denormals(rng):
    tiny = np.float32(1e-42)
    for grids in ([(9, 13), (9, 13)], [(9, 13), (4, 5)]):
        maps = [noise(5, grid, rng) * tiny for grid in grids]
        labels = fuse_argmax(maps, size=(31, 50))
        want = Defined(maps, size=(31, 50))
        pick = np.take_along_axis(want.fused, labels[None].astype(int), 0)[0]
        assert (want.best - pick <= 1e-6 * 1e-42 * 10 + 8 * 1.5e-45).all()


@HOW
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_sample_of_weight_0_is_not_read(bad, hidden, mode):
    scores = np.full((2, 3, 3), 0.25, np.float32)
    scores[1, :, :] = 0.5
    scores[0, 1, 1] = bad
    plane = np.ones((3, 3), np.uint8)
    plane[1, 1] = not hidden
    other = np.full((2, 2, 2), 0.25, np.float32)
    other[1] = 0.5
    options = {"size": (5, 5), "mode": mode, "align_corners": True}
    labels = assert_as_defined([scores, other], valid=[plane, None], **options)
    for edge in (labels[[0, 4]], labels[:, [0, 4]]):
        assert (edge == 1).all()
    source = np.empty((5, 5), np.uint8)
    lost = np.zeros((2, 2), np.uint8)
    fuse_argmax([scores, other], valid=[plane, lost], source=source, **options)
    assert (source[[0, 4]] == 0).all()
    if hidden:
        assert (source[1:4, 1:4] == 255).all()


@HOW
def test_threads_change_nothing(mode, rng):
    for classes, grids, size in SIZES:
        maps = [blobs(classes, grid, rng, mode) for grid in grids]
        valid = [*planes(grids[:1], 0.3, rng), *[None] * (len(grids) - 1)]
        for planes_given in (None, valid):
            results = []
            for threads in (1, 2, 5):
                source, sure = np.empty(size, np.uint8), np.empty(size, np.float32)
                both = {"source": source, "confidence": sure, "valid": planes_given}
                options = {"size": size, "mode": mode, "threads": threads}
                labels = fuse_argmax(maps, **both, **options)
                np.testing.assert_array_equal(
                    labels, fuse_argmax(maps, valid=planes_given, **options)
                )
                results.append(labels.tobytes() + source.tobytes() + sure.tobytes())
            assert results[0] == results[1] == results[2]


@HOW
@CORNERS
def test_stays_inside_its_arrays(align_corners, mode, fenced, rng):
    for classes, grids, size in SIZES:
        for half in (False, True):
            maps = [
                fenced((classes, *g), np.float16 if half else np.float32) for g in grids
            ]
            for scores in maps:
                scores[...] = as_given(rng.standard_normal(scores.shape), mode, half)
            valid = [fenced(grid, np.uint8) for grid in grids]
            dtype = np.uint8 if classes <= 255 else np.uint16
            out, source = fenced(size, dtype), fenced(size, np.uint8)
            confidence = fenced(size, np.float32)
            options = {"size": size, "mode": mode, "align_corners": align_corners}
            assert fuse_argmax(maps, out=out, **options) is out
            wanted = fuse_argmax([scores.copy() for scores in maps], **options)
            np.testing.assert_array_equal(out, wanted)
            every = {"out": out, "source": source, "confidence": confidence}
            fuse_argmax(maps, **every, **options)
            fuse_argmax(maps, valid=valid, **every, **options)
            maps[0][:, 0, 0] = np.nan
            fuse_argmax(maps, **every, **options)


@pytest.mark.parametrize("grids", [[(9, 14), (9, 14)], [(9, 14), (5, 6)]])
def test_fills_its_buffers_and_nothing_else(grids, poisoned, rng):
    maps = [noise(5, grid, rng) for grid in grids]
    out, confidence = poisoned((31, 53), np.uint8), poisoned((31, 53), np.float32)
    source = poisoned((31, 53), np.uint8)
    every = {"out": out, "confidence": confidence, "source": source}
    label = FuseArgmax(5, grids, size=(31, 53))
    for _ in range(2):
        assert label(maps, **every) is out
        want = fuse_argmax(maps, size=(31, 53))
        np.testing.assert_array_equal(out, want)
        assert ((confidence > 0.2 - 1e-6) & (confidence <= 1)).all()
        assert (source < 2).all()
        maps = [noise(5, grid, rng) for grid in grids]


def test_a_plan_serves_frame_after_frame(rng):
    grids = [(9, 14), (5, 6)]
    label = FuseArgmax(4, grids, size=(20, 30), mode="max", weights=[1, 2], threads=2)
    assert label.size == (20, 30)
    assert label.dtype == np.uint8
    for half in (False, True, False):
        maps = [blobs(4, grid, rng, half=half) for grid in grids]
        want = fuse_argmax(maps, size=(20, 30), mode="max", weights=[1, 2])
        np.testing.assert_array_equal(label(maps), want)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("maps", "error", "words"),
    [
        (5, DTypeError, "maps must be a sequence, one of each map, got int"),
        ([zeros(2, 3, 4)], ArgumentError, "maps must be 2 to 4 arrays, got 1"),
        ([zeros(2, 3, 4)] * 5, ArgumentError, "maps must be 2 to 4 arrays, got 5"),
        (
            [zeros(2, 3, 4), zeros(2, 3)],
            ShapeError,
            r"maps\[1\] must have shape \(C, h",
        ),
        ([zeros(1, 3, 4)] * 2, ShapeError, "2 to 65535 classes, got 1: with one there"),
        ([zeros(65536, 1, 1)] * 2, ShapeError, "2 to 65535 classes, got 65536"),
        (
            [zeros(2, 3, 4), zeros(3, 3, 4)],
            ShapeError,
            r"shape \(2, 3, 4\), got \(3, 3",
        ),
        ([zeros(2, 3, 4), zeros(2, 0, 4)], ShapeError, r"maps\[1\] must not be empty"),
        (
            [zeros(2, 3, 4), zeros(2, 3, 4, dtype=float)],
            DTypeError,
            "float32 or float16",
        ),
        ([zeros(2, 3, 4), zeros(2, 3, 8)[..., ::2]], LayoutError, r"maps\[1\] must"),
        ([zeros(2, 3, 4), zeros(2, 6, 4)[:, ::2]], LayoutError, "be C-contiguous"),
        ([zeros(2, 3, 4), [[[0.0]]]], DTypeError, r"maps\[1\] must be a NumPy array"),
    ],
)
def test_refuses_maps(maps, error, words):
    with pytest.raises(error, match=words):
        fuse_argmax(maps, size=(6, 8))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"size": (0, 8)}, ArgumentError, "size must be two whole numbers above 0"),
        (
            {"mode": "mean"},
            ArgumentError,
            "mode must be one of 'add', 'multiply', 'max'",
        ),
        ({"weights": 1.0}, DTypeError, "weights must be a sequence, one of each map"),
        ({"weights": [1.0]}, ArgumentError, "weights must be 2, one per map, got 1"),
        ({"weights": [1, np.nan]}, ArgumentError, r"weights\[1\] must be a finite"),
        ({"weights": [1, [1, 2, 3]]}, ArgumentError, r"weights\[1\] must be 2 numbers"),
        ({"weights": [1, "2"]}, ArgumentError, r"weights\[1\] must be 2 numbers"),
        (
            {"weights": [1, -1], "mode": "max"},
            ArgumentError,
            "must not be negative where",
        ),
        (
            {"weights": [1, [0, -1]], "mode": "multiply"},
            ArgumentError,
            "weights must not be negative where mode is 'multiply'",
        ),
        ({"ignore": 256}, ArgumentError, "ignore must be a whole number from 0 to 255"),
        ({"ignore": -1}, ArgumentError, "ignore must be a whole number from 0 to 255"),
        ({"threads": 0}, ArgumentError, "threads must be a whole number from 1 to 64"),
        ({"threads": 65}, ArgumentError, "threads must be a whole number from 1 to 64"),
        ({"valid": [None]}, ArgumentError, "valid must be 2, one per map, got 1"),
        ({"valid": 3}, DTypeError, "valid must be a sequence"),
        (
            {"valid": [None, zeros(3, 4)]},
            DTypeError,
            r"valid\[1\] must be uint8, got float32",
        ),
        (
            {"valid": [zeros(4, 3, dtype=np.uint8), None]},
            ShapeError,
            r"valid\[0\] must have shape \(3, 4\)",
        ),
    ],
)
def test_refuses_options(options, error, words):
    with pytest.raises(error, match=words):
        fuse_argmax([zeros(2, 3, 4)] * 2, **{"size": (6, 8), **options})


@pytest.mark.parametrize("classes", [1, 65536, 2.5, None])
def test_a_plan_refuses_classes(classes):
    with pytest.raises(ArgumentError, match="classes must be a whole number from 2"):
        FuseArgmax(classes, [(3, 4), (3, 4)], size=(6, 8))


@pytest.mark.parametrize(
    "grids", [[], [(3, 4)], [(3, 4)] * 5, [(3, 4), (0, 4)], [3, 4]]
)
def test_a_plan_refuses_grids(grids):
    with pytest.raises(ArgumentError, match="grid"):
        FuseArgmax(2, grids, size=(6, 8))


BUFFERS = {"out": np.uint8, "confidence": np.float32, "source": np.uint8}


@pytest.mark.parametrize("name", BUFFERS)
def test_refuses_a_buffer_it_cannot_fill(name):
    dtype = BUFFERS[name]
    maps = [zeros(3, 6, 8), zeros(3, 6, 8)]

    def refused(buffer, error, words, **options):
        with pytest.raises(error, match=f"^{name} must {words}"):
            fuse_argmax(maps, size=(6, 8), **{name: buffer}, **options)

    refused(zeros(8, 6, dtype=dtype), ShapeError, r"have shape \(6, 8\), got \(8, 6\)")
    refused(zeros(6, 8, dtype=np.int64), DTypeError, f"be {np.dtype(dtype)}, got int64")
    refused(zeros(6, 16, dtype=dtype)[:, ::2], LayoutError, "be C-contiguous")
    locked = zeros(6, 8, dtype=dtype)
    locked.flags.writeable = False
    refused(locked, ArgumentError, "be writable")
    own = maps[1].view(dtype).ravel()[:48].reshape(6, 8)
    refused(own, ArgumentError, r"not share memory with maps\[1\]")
    block = zeros(6, 8)
    plane = block.view(np.uint8).ravel()[:48].reshape(6, 8)
    buffer = block.view(dtype).ravel()[:48].reshape(6, 8)
    words = r"not share memory with valid\[0\]"
    refused(buffer, ArgumentError, words, valid=[plane, None])


def test_refuses_one_buffer_for_two_results():
    block = zeros(6, 8)
    out = block.view(np.uint8).ravel()[:48].reshape(6, 8)
    maps = [zeros(2, 3, 4)] * 2
    with pytest.raises(ArgumentError, match="source must not share memory with out"):
        fuse_argmax(maps, size=(6, 8), out=out, source=out)
    with pytest.raises(
        ArgumentError, match="confidence must not share memory with out"
    ):
        fuse_argmax(maps, size=(6, 8), out=out, confidence=block)


def test_more_than_255_classes_need_two_bytes():
    maps = [zeros(256, 2, 2)] * 2
    maps[0][255] = 1
    assert (fuse_argmax(maps, size=(3, 5)) == 255).all()
    with pytest.raises(DTypeError, match="out must be uint16, got uint8"):
        fuse_argmax(maps, size=(3, 5), out=np.empty((3, 5), np.uint8))
    lost = [np.zeros((2, 2), np.uint8)] * 2
    assert (fuse_argmax(maps, size=(3, 5), valid=lost) == 65535).all()


def arrays(shape, dtype, kind):
    """Zeros of this shape; most often as they should be, else strided or so."""
    if kind == "strided":
        return np.zeros((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]
    if kind == "turned":
        return np.zeros(shape[::-1], dtype).T
    if kind == "unaligned":
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.zeros(nbytes + 1, np.uint8)[1:].view(dtype).reshape(shape)
    if kind == "locked":
        array = np.zeros(shape, dtype)
        array.flags.writeable = False
        return array
    return np.zeros(shape, dtype)


KINDS = ["plain", "strided", "turned", "unaligned", "locked"]
DTYPES = ["f4", "f2", "f8", "i4", "u1", "?", "c8", ">f4"]
NUMBERS = [1, 0, 0.5, -1.0, 1e39, np.nan, "x", None, [1.0, 2, 3], True]


class Misused:
    """A call in which about one thing is wrong, the same for the same seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        classes = self.mostly(3, 0, 1, 2, 4, 256)
        grids = self.mostly([(3, 4), (2, 2)], self.several(self.grid, 6))
        maps = [self.map(classes, grid) for grid in grids]
        size = self.mostly((6, 8), self.grid(), (6,), 7, "ab")
        self.options = {
            "size": size,
            "mode": self.mostly(self.random.choice(MODES), "sum", None, 3, b"add"),
            "weights": self.mostly(
                None, 1, "ab", self.several(lambda: self.random.choice(NUMBERS), 4)
            ),
            "threads": self.mostly(1, 0, 2, 64, 65, 1.5, "1"),
            "ignore": self.mostly(None, 0, 255, 256, -1, 2.0),
            "valid": self.mostly(
                None,
                [np.ones(grid, np.uint8) for grid in grids],
                self.several(self.plane, 4),
                7,
            ),
        }
        shape = size if isinstance(size, tuple) and len(size) == 2 else (6, 8)
        for name, dtype in BUFFERS.items():
            fits = self.mostly(shape, shape[::-1], (*shape, 1))
            buffer = arrays(fits, self.mostly(dtype, "u2", "f8"), self.mostly(*KINDS))
            buffer = self.mostly(buffer, *maps[:1], buffer)
            self.options[name] = self.random.choice([None, buffer])
        if self.random.random() < 0.05:
            self.options["source"] = self.options["out"]
        self.maps = self.mostly(maps, None, 3, "ab")

    def mostly(self, usual, *others):
        return usual if self.random.random() < 0.95 else self.random.choice(others)

    def several(self, make, most):
        return [make() for _ in range(self.random.randint(0, most))]

    def grid(self):
        return self.mostly(3, 0, 1, 2, 4), self.mostly(4, 0, 1, 2, 3)

    def plane(self):
        return arrays(self.grid(), self.mostly("u1", "?", "f4"), self.mostly(*KINDS))

    def map(self, classes, grid):
        shape = (self.mostly(classes, 0, 1, 2, 4), *grid)
        shape = self.mostly(shape, shape[1:], (1, *shape))
        return arrays(shape, self.mostly(*DTYPES), self.mostly(*KINDS))


@settings(max_examples=1500, deadline=None)
@given(st.integers(0, 2**32))
def test_misuse(seed):
    """A valid result, or one sentence and nothing written; 1500 cases a level."""
    call = Misused(seed)
    maps, options = call.maps, call.options
    buffers = [options[name] for name in BUFFERS]
    buffers = [buffer for buffer in buffers if isinstance(buffer, np.ndarray)]
    before = [buffer.copy() for buffer in buffers]
    try:
        labels = fuse_argmax(maps, **options)
    except FusegError as refusal:
        sentence = str(refusal)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        for buffer, old in zip(buffers, before, strict=True):
            np.testing.assert_array_equal(buffer, old)
    else:
        assert labels.shape == options["size"]
        assert labels.dtype == (np.uint8 if len(maps[0]) <= 255 else np.uint16)
        limit = 256 if options["ignore"] is None else options["ignore"] + 1
        assert (labels < max(len(maps[0]), limit)).all()
