"""confusion_matrix: counts, ignored pixels, labels outside, both ways of counting."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg import _kernels
from fuseg.errors import ArgumentError, DTypeError, FusegError, LayoutError, ShapeError
from fuseg.ops import ConfusionMatrix, confusion_matrix

# One pixel, slivers, any number of axes, and sizes about the tile of 2,048 pixels.
SHAPES = [
    (1,),
    (1, 1),
    (7, 1),
    (3, 5, 67),
    (1023,),
    (1024,),
    (1025,),
    (2, 1055),
    (9999,),
]
LEVELS = _kernels.levels()
WIDEST = LEVELS[-1]


@pytest.fixture(autouse=True, params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[int]:
    _kernels.use_level(request.param)
    yield request.param
    _kernels.use_level(WIDEST)


def defined(truth, prediction, classes, ignore=None):
    """The definition, one pixel at a time."""
    counts = [[0] * classes for _ in range(classes)]
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if t != ignore:
            counts[t][p] += 1
    return counts


def patches(shape, count, rng, run, dtype=np.uint8):
    """Labels in runs of about this many pixels."""
    size = int(np.prod(shape))
    starts = rng.random(size) < 1 / run
    starts[0] = True
    labels = rng.integers(0, count, starts.sum())[np.cumsum(starts) - 1]
    return labels.astype(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("run", [1, 2, 5, 100, 5000])
def test_matches_the_definition(run, dtype, rng):
    for shape in SHAPES:
        truth = patches(shape, 11, rng, run, dtype)
        prediction = patches(shape, 11, rng, run, dtype)
        for ignore in (None, 3, 255):
            if ignore == 255:
                truth[patches(shape, 5, rng, run) == 0] = 255
            before = truth.copy(), prediction.copy()
            got = confusion_matrix(truth, prediction, classes=11, ignore=ignore)
            assert got.dtype == np.int64
            assert got.tolist() == defined(truth, prediction, 11, ignore)
            for array, kept in zip((truth, prediction), before, strict=True):
                np.testing.assert_array_equal(array, kept)


# About the limits of 16-bit cells (254), of four tables (160), and of the types.
@pytest.mark.parametrize("classes", [1, 2, 160, 161, 253, 254, 255, 256, 300, 4096])
@pytest.mark.parametrize("run", [1, 30])
def test_any_number_of_classes(classes, run, rng):
    for dtype in (np.uint8, np.uint16):
        if classes > 256 and dtype is np.uint8:
            continue
        truth = patches((5000,), classes, rng, run, dtype)
        prediction = patches((5000,), classes, rng, run, dtype)
        truth[-1] = prediction[-1] = classes - 1
        for ignore in (None, 0, int(np.iinfo(dtype).max)):
            known = truth != ignore
            wanted = np.zeros((classes, classes), np.int64)
            np.add.at(wanted, (truth[known], prediction[known]), 1)
            got = confusion_matrix(truth, prediction, classes=classes, ignore=ignore)
            np.testing.assert_array_equal(got, wanted)


@settings(
    max_examples=150,
    deadline=None,
)
@given(
    size=st.integers(1, 4000),
    classes=st.integers(1, 40),
    runs=st.tuples(st.integers(1, 200), st.integers(1, 200)),
    ignore=st.none() | st.integers(0, 255),
    threads=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_any_runs(size, classes, runs, ignore, threads, seed):
    rng = np.random.default_rng(seed)
    truth = patches((size,), classes, rng, runs[0])
    prediction = patches((size,), classes, rng, runs[1])
    got = confusion_matrix(
        truth, prediction, classes=classes, ignore=ignore, threads=threads
    )
    assert got.tolist() == defined(truth, prediction, classes, ignore)


def test_noise_and_patches_in_turns(rng):
    """Each way of counting begins where the other ended."""
    truth = np.concatenate(
        [patches((n,), 9, rng, run) for n in (700, 3000) for run in (1, 300, 1, 4)]
    )
    prediction = patches(truth.shape, 9, rng, 500)
    got = confusion_matrix(truth, prediction, classes=9)
    assert got.tolist() == defined(truth, prediction, 9)


def test_rows_are_the_truth():
    truth, prediction = np.array([0], np.uint8), np.array([1], np.uint8)
    counts = confusion_matrix(truth, prediction, classes=2)
    assert counts.tolist() == [[0, 1], [0, 0]]


def test_adds_to_out_and_returns_it(rng):
    truth, prediction = patches((2, 3000), 7, rng, 20), patches((2, 3000), 7, rng, 1)
    out = np.full((7, 7), 2**40, np.int64)
    for image in range(2):
        assert (
            confusion_matrix(truth[image], prediction[image], classes=7, out=out) is out
        )
    wanted = confusion_matrix(truth, prediction, classes=7) + 2**40
    np.testing.assert_array_equal(out, wanted)


def test_a_counter_counts_images_of_any_shape(rng):
    count = ConfusionMatrix(np.uint16, classes=5, ignore=2, threads=2)
    out, wanted = np.zeros((5, 5), np.int64), np.zeros((5, 5), np.int64)
    for shape in SHAPES:
        truth = patches(shape, 5, rng, 9, np.uint16)
        prediction = patches(shape, 5, rng, 9, np.uint16)
        assert count(truth, prediction, out=out) is out
        wanted += defined(truth, prediction, 5, 2)
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("run", [1, 50])
def test_threads_do_not_change_the_counts(run, rng):
    for size in (1, 1500, 70_001):
        truth, prediction = patches((size,), 9, rng, run), patches((size,), 9, rng, run)
        counts = [
            confusion_matrix(truth, prediction, classes=9, ignore=1, threads=n).tolist()
            for n in (1, 2, 5, 64)
        ]
        assert all(c == counts[0] for c in counts)


def test_a_prediction_where_the_truth_is_ignored_may_be_anything(rng):
    truth = np.full(5000, 255, np.uint8)
    truth[::7] = 1
    prediction = rng.integers(0, 256, 5000, dtype=np.uint8)
    prediction[::7] = 0
    counts = confusion_matrix(truth, prediction, classes=2, ignore=255)
    assert counts.tolist() == [[0, 0], [len(truth[::7]), 0]]


@pytest.mark.parametrize("at", [0, 63, 64, 2047, 2048, 2100, -1])
@pytest.mark.parametrize("run", [1, 400])
def test_a_label_outside_is_refused_and_nothing_counted(at, run, rng):
    truth, prediction = patches((2500,), 4, rng, run), patches((2500,), 4, rng, run)
    out = np.full((4, 4), 7, np.int64)
    for wrong, words in [
        (truth, r"^truth must be 0 to 3, got 9\.$"),
        (prediction, r"^prediction must be 0 to 3 where the truth counts, got 9\.$"),
    ]:
        kept = wrong[at]
        wrong[at] = 9
        with pytest.raises(ArgumentError, match=words):
            confusion_matrix(truth, prediction, classes=4, out=out)
        wrong[at] = kept
    truth[at] = 200
    words = r"^truth must be 0 to 3, or ignore \(201\), got 200\.$"
    with pytest.raises(ArgumentError, match=words):
        confusion_matrix(truth, prediction, classes=4, ignore=201, out=out)
    assert (out == 7).all()
    prediction[at] = 250
    confusion_matrix(truth, prediction, classes=4, ignore=200, out=out)
    assert out.sum() == 16 * 7 + 2499


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("run", [1, 100])
def test_stays_inside_its_arrays(run, dtype, fenced, rng):
    for shape in SHAPES:
        truth, prediction = fenced(shape, dtype), fenced(shape, dtype)
        truth[...] = patches(shape, 6, rng, run)
        prediction[...] = patches(shape, 6, rng, run)
        out = fenced((6, 6), np.int64)
        out[...] = 0
        confusion_matrix(truth, prediction, classes=6, ignore=2, out=out)
        assert out.tolist() == defined(truth, prediction, 6, 2)


def test_labels_may_lie_at_odd_addresses(rng):
    block = patches((4001,), 6, rng, 10)
    got = confusion_matrix(block[1:], block[:-1], classes=6)
    assert got.tolist() == defined(block[1:], block[:-1], 6)


def zeros(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"truth": [0, 1]}, DTypeError, "truth must be a NumPy array, got list"),
        (
            {"truth": zeros(4, 5, dtype=int)},
            DTypeError,
            "truth must be uint8 or uint16",
        ),
        ({"truth": np.array(1, np.uint8)}, ShapeError, r"truth must have shape \(N\)"),
        ({"truth": zeros(0, 5)}, ShapeError, "truth must not be empty"),
        ({"truth": zeros(4, 10)[:, ::2]}, LayoutError, "truth must .* strides"),
        ({"truth": zeros(8, 5)[::2]}, LayoutError, "truth must be C-contiguous"),
        ({"prediction": zeros(20)}, ShapeError, r"prediction must have shape \(4, 5\)"),
        (
            {"prediction": zeros(4, 5, dtype=np.uint16)},
            DTypeError,
            "prediction must be uint8, got uint16",
        ),
        (
            {"prediction": zeros(5, 4).T},
            LayoutError,
            "prediction must be C-contiguous",
        ),
        ({"classes": 0}, ArgumentError, "classes must be .* from 1 to 256, got 0"),
        ({"classes": 257}, ArgumentError, "classes must be .* from 1 to 256, got 257"),
        ({"classes": 2.0}, ArgumentError, "classes must be a whole number"),
        ({"ignore": 256}, ArgumentError, "ignore must be .* from 0 to 255, got 256"),
        ({"ignore": -1}, ArgumentError, "ignore must be .* got -1"),
        ({"threads": 0}, ArgumentError, "threads must be .* from 1 to 64, got 0"),
        ({"out": zeros(2, 2)}, DTypeError, "out must be int64, got uint8"),
        (
            {"out": zeros(3, 3, dtype=np.int64)},
            ShapeError,
            r"out must have shape \(2, 2\)",
        ),
    ],
)
def test_refuses(arguments, error, words):
    usual = {"truth": zeros(4, 5), "prediction": zeros(4, 5), "classes": 2}
    with pytest.raises(error, match=words):
        confusion_matrix(**(usual | arguments))


def test_uint16_has_limits_of_its_own():
    labels = zeros(4, dtype=np.uint16)
    with pytest.raises(ArgumentError, match=r"classes must be .* from 1 to 4096"):
        confusion_matrix(labels, labels, classes=4097)
    with pytest.raises(ArgumentError, match=r"ignore must be .* from 0 to 65535"):
        confusion_matrix(labels, labels, classes=5, ignore=65536)
    with pytest.raises(DTypeError, match="dtype must be uint8 or uint16, got int32"):
        ConfusionMatrix(np.int32, classes=5)


def test_refuses_an_out_that_is_locked_or_holds_the_labels():
    block = zeros(4, dtype=np.int64)
    out, labels = block.reshape(2, 2), block.view(np.uint8)
    with pytest.raises(ArgumentError, match="out must not share memory with truth"):
        confusion_matrix(labels, zeros(32), classes=2, out=out)
    with pytest.raises(ArgumentError, match=r"out must not share .* with prediction"):
        confusion_matrix(zeros(32), labels, classes=2, out=out)
    out.flags.writeable = False
    with pytest.raises(ArgumentError, match="out must be writable"):
        confusion_matrix(zeros(32), zeros(32), classes=2, out=out)


DTYPES = st.sampled_from([np.uint8, np.uint8, np.uint16, np.int64, np.float32, bool])


@st.composite
def arrays(draw, dtypes=DTYPES, most=3):
    """Any array: of any type and shape, dense or not, writable or not."""
    shape = draw(st.lists(st.integers(0, 4), max_size=most))
    block = np.zeros([2 * n for n in shape], draw(dtypes))
    block[...] = draw(st.integers(0, 5))
    steps = draw(st.sampled_from([1, 1, 1, 2, -1]))
    ends = [n if steps == 1 else None for n in shape]
    array = block[tuple(slice(None, end, steps) for end in ends) or ...]
    if draw(st.integers(0, 3)):
        array = np.copy(array)
    array.flags.writeable = draw(st.integers(0, 7)) > 0
    return array


WRONG = st.sampled_from([None, -1, 0, 1.5, "2", 300, 70_000, float("nan"), [1]])


@pytest.mark.parametrize("level", [WIDEST], indirect=True)
@settings(
    max_examples=2000,
    deadline=None,
)
@given(data=st.data())
def test_misuse(data):
    """Counts, or says in one sentence why not and leaves ``out`` as it was."""
    draw = data.draw
    truth = draw(arrays() | WRONG)
    same = isinstance(truth, np.ndarray) and draw(st.integers(0, 3))
    prediction = truth.copy() if same else draw(arrays() | WRONG)
    classes = draw(st.integers(1, 7) | WRONG)
    out = draw(st.none() | arrays(st.just(np.int64), 2) | arrays())
    if isinstance(classes, int) and 0 < classes < 8 and draw(st.integers(0, 2)):
        out = np.zeros((classes, classes), np.int64)
    options = {"ignore": draw(st.none() | st.integers(0, 6) | WRONG)}
    if draw(st.booleans()):
        options["threads"] = draw(st.integers(1, 3) | WRONG)
    before = 0 if out is None else out.copy()
    refused = None
    try:
        counts = confusion_matrix(
            truth, prediction, classes=classes, out=out, **options
        )
    except FusegError as error:
        refused = str(error)
    if refused is None:
        wanted = defined(truth, prediction, classes, options["ignore"])
        assert (counts - before).tolist() == wanted
    else:
        assert "\n" not in refused
        assert out is None or np.array_equal(out, before, equal_nan=True)
