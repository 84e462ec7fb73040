"""overlay: the blend, ignored pixels, labels without a colour, layouts, refusals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg import _kernels
from fuseg.errors import ArgumentError, DTypeError, FusegError, LayoutError, ShapeError
from fuseg.ops import Overlay, overlay

# One pixel, slivers, and rows about the 16, 32 and 64 pixels of a vector.
SHAPES = [
    (1, 1),
    (1, 7),
    (9, 1),
    (2, 15),
    (37, 53),
    (3, 64),
    (2, 65),
    (3, 127),
    (2, 513),
]
# About the limits of every level's tables.
COLOURS = [1, 2, 16, 17, 21, 22, 32, 33, 42, 43, 64, 65, 255, 256]
LEVELS = _kernels.levels()
WIDEST = LEVELS[-1]


@pytest.fixture(autouse=True, params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[int]:
    _kernels.use_level(request.param)
    yield request.param
    _kernels.use_level(WIDEST)


def defined(labels, palette, frame=None, alpha=0.5, ignore=None):
    """The definition, in whole numbers, one pixel at a time."""
    share = int(np.floor(alpha * 256 + 0.5))
    height, width = labels.shape
    picture = np.zeros((height, width, 3), np.uint8)
    for y in range(height):
        for x in range(width):
            label = int(labels[y, x])
            for c in range(3):
                under = 0 if frame is None else int(frame[y, x, c])
                if label == ignore:
                    value = under
                elif frame is None:
                    value = int(palette[label, c])
                else:
                    colour = int(palette[label, c])
                    value = (under * (256 - share) + colour * share + 128) // 256
                picture[y, x, c] = value
    return picture


def patches(shape, count, rng, patch=9):
    """Labels as a network gives them: one label over many neighbours."""
    coarse = rng.integers(0, count, [-(-n // patch) for n in shape], dtype=np.uint8)
    fine = coarse.repeat(patch, 0).repeat(patch, 1)
    return np.ascontiguousarray(fine[: shape[0], : shape[1]])


@pytest.mark.parametrize("patch", [1, 9, 30])
@pytest.mark.parametrize("ignore", [None, 3, 255])
def test_matches_the_definition(ignore, patch, rng):
    for shape in SHAPES:
        labels = patches(shape, 11, rng, patch)
        if ignore is not None:
            labels[rng.random(shape) < 0.2] = ignore
        palette = rng.integers(0, 256, (11, 3), dtype=np.uint8)
        frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        before = labels.copy(), palette.copy(), frame.copy()
        for given_frame in (frame, None):
            got = overlay(labels, palette=palette, frame=given_frame, ignore=ignore)
            wanted = defined(labels, palette, given_frame, ignore=ignore)
            np.testing.assert_array_equal(got, wanted)
        for array, kept in zip((labels, palette, frame), before, strict=True):
            np.testing.assert_array_equal(array, kept)


@pytest.mark.parametrize("ignore", [None, 0, 255])
@pytest.mark.parametrize("colours", COLOURS)
def test_every_colour_of_a_palette(colours, ignore, rng):
    labels = np.arange(3 * colours, dtype=np.int64)[None] % colours
    labels = labels.astype(np.uint8)
    palette = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    frame = rng.integers(0, 256, (*labels.shape, 3), dtype=np.uint8)
    for given_frame, alpha in [(None, 1), (frame, 0.5), (frame, 0.3), (frame, 1)]:
        got = overlay(
            labels, palette=palette, frame=given_frame, alpha=alpha, ignore=ignore
        )
        wanted = defined(labels, palette, given_frame, alpha, ignore)
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("rows", ["together", "apart"])
def test_threads_do_not_change_the_picture(rows, rng):
    labels = patches((90, 301), 11, rng)
    palette = rng.integers(0, 256, (11, 3), dtype=np.uint8)
    frame = rng.integers(0, 256, (90, 400, 3), dtype=np.uint8)[:, :301]
    if rows == "together":
        frame = np.ascontiguousarray(frame)
    for given_frame in (frame, None):
        pictures = [
            overlay(labels, palette=palette, frame=given_frame, ignore=3, threads=n)
            for n in (1, 2, 5, 64)
        ]
        for picture in pictures[1:]:
            np.testing.assert_array_equal(picture, pictures[0])


def test_an_overlay_paints_frames_of_any_size(rng):
    palette = rng.integers(0, 256, (5, 3), dtype=np.uint8)
    paint = Overlay(palette, alpha=0.7, ignore=2)
    kept = palette.copy()
    palette[...] = 0
    for shape in SHAPES:
        labels = patches(shape, 5, rng)
        frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        out = np.full_like(frame, 0xA5)
        for given_frame in (frame, None):
            assert paint(labels, frame=given_frame, out=out) is out
            wanted = defined(labels, kept, given_frame, 0.7, 2)
            np.testing.assert_array_equal(out, wanted)


@settings(
    max_examples=60,
    deadline=None,
)
@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 60)),
    colours=st.integers(1, 256),
    patch=st.integers(1, 20),
    alpha=st.floats(0, 1),
    ignore=st.none() | st.integers(0, 255),
    seed=st.integers(0, 99),
)
def test_any_alpha_and_any_palette(shape, colours, patch, alpha, ignore, seed):
    rng = np.random.default_rng(seed)
    labels = patches(shape, colours, rng, patch)
    palette = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    got = overlay(labels, palette=palette, frame=frame, alpha=alpha, ignore=ignore)
    wanted = defined(labels, palette, frame, alpha, ignore)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("share", [0, 1, 127, 128, 129, 255, 256])
def test_every_frame_byte_with_every_colour_byte(share):
    labels = np.arange(256, dtype=np.uint8)[None].repeat(256, 0)
    palette = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    frame = np.arange(256, dtype=np.uint8)[:, None, None] + np.zeros(
        (256, 256, 3), np.uint8
    )
    got = overlay(labels, palette=palette, frame=frame, alpha=share / 256)
    under, colour = frame.astype(int), palette[labels].astype(int)
    wanted = (under * (256 - share) + colour * share + 128) // 256
    np.testing.assert_array_equal(got, wanted)


def test_alpha_0_is_the_frame_and_alpha_1_the_colours(rng):
    labels = rng.integers(0, 5, (37, 53), dtype=np.uint8)
    palette = rng.integers(0, 256, (5, 3), dtype=np.uint8)
    frame = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    picture = overlay(labels, palette=palette, frame=frame, alpha=0)
    np.testing.assert_array_equal(picture, frame)
    picture = overlay(labels, palette=palette, frame=frame, alpha=1)
    np.testing.assert_array_equal(picture, palette[labels])


def test_an_ignored_label_needs_no_colour_and_ignores_one_it_has():
    palette = np.full((2, 3), 200, np.uint8)
    labels = np.array([[0, 1, 255]], np.uint8)
    picture = overlay(labels, palette=palette, ignore=255)
    assert picture[0, :, 0].tolist() == [200, 200, 0]
    picture = overlay(labels % 2, palette=palette, ignore=1)
    assert picture[0, :, 0].tolist() == [200, 0, 0]
    assert not overlay(np.full((3, 4), 7, np.uint8), palette=palette, ignore=7).any()


@pytest.mark.parametrize("label", [4, 255])
@pytest.mark.parametrize("at", [0, 7, 600, -1])
def test_a_label_without_a_colour_is_refused_and_nothing_written(at, label, poisoned):
    labels = np.zeros((3, 401), np.uint8)
    labels.ravel()[at] = label
    palette = np.zeros((4, 3), np.uint8)
    out = poisoned((3, 401, 3), np.uint8)
    words = rf"below 4.*got {label}\. .*pass ignore={label}\."
    for ignore in (None, 0, 3):
        with pytest.raises(ArgumentError, match=words):
            overlay(labels, palette=palette, ignore=ignore, out=out)
    assert (out == 0xA5).all()
    overlay(labels, palette=palette, ignore=label, out=out)
    assert not out.any()


VIEWS = {
    "a crop": lambda a: a[3:40, 5:58],
    "upside down": lambda a: a[40:3:-1, 5:58],
    "every other row": lambda a: a[:74:2, 5:58],
    "one row over and over": lambda a: np.broadcast_to(a[5, 5:58], (37, 53, 3)),
}


@pytest.mark.parametrize("view", VIEWS)
def test_reads_rows_of_the_frame_wherever_they_lie(view, rng):
    frame = VIEWS[view](rng.integers(0, 256, (80, 60, 3), dtype=np.uint8))
    labels = rng.integers(0, 5, frame.shape[:2], dtype=np.uint8)
    palette = rng.integers(0, 256, (5, 3), dtype=np.uint8)
    got = overlay(labels, palette=palette, frame=frame, ignore=2)
    copied = np.ascontiguousarray(frame)
    wanted = overlay(labels, palette=palette, frame=copied, ignore=2)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("patch", [1, 9])
def test_stays_inside_its_arrays(patch, fenced, rng):
    for shape in SHAPES:
        labels, palette = fenced(shape, np.uint8), fenced((6, 3), np.uint8)
        frame, out = fenced((*shape, 3), np.uint8), fenced((*shape, 3), np.uint8)
        labels[...] = patches(shape, 6, rng, patch)
        picture = overlay(labels, palette=palette, frame=frame, ignore=2, out=out)
        assert picture is out
        wanted = overlay(labels.copy(), palette=palette, frame=frame.copy(), ignore=2)
        np.testing.assert_array_equal(out, wanted)
        overlay(labels, palette=palette, out=out)
        np.testing.assert_array_equal(out, palette[labels])


def test_fills_out_and_nothing_else(poisoned, rng):
    labels = patches((37, 53), 5, rng)
    palette = rng.integers(0, 256, (5, 3), dtype=np.uint8)
    out = poisoned((37, 53, 3), np.uint8)
    assert overlay(labels, palette=palette, out=out) is out
    np.testing.assert_array_equal(out, palette[labels])


def zeros(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"labels": zeros(4)}, ShapeError, r"labels must have shape \(H, W\), got"),
        ({"labels": zeros(0, 5)}, ShapeError, "labels must not be empty"),
        ({"labels": zeros(4, 5, dtype=int)}, DTypeError, "labels must be uint8"),
        ({"labels": zeros(4, 10)[:, ::2]}, LayoutError, "labels must be C-contiguous"),
        ({"palette": zeros(4, 4)}, ShapeError, r"palette must have shape \(K, 3\)"),
        ({"palette": zeros(0, 3)}, ShapeError, "palette must not be empty"),
        ({"palette": zeros(257, 3)}, ShapeError, "1 to 256 colours, got 257"),
        ({"palette": zeros(4, 3, dtype=float)}, DTypeError, "palette must be uint8"),
        ({"palette": zeros(3, 4).T}, LayoutError, "palette must be C-contiguous"),
        ({"frame": zeros(5, 4, 3)}, ShapeError, r"frame must have shape \(4, 5, 3\)"),
        ({"frame": zeros(4, 5)}, ShapeError, "frame must have shape"),
        (
            {"frame": zeros(4, 5, 3, dtype=np.float32)},
            DTypeError,
            "frame must be uint8",
        ),
        ({"frame": zeros(4, 5, 4)[..., :3]}, LayoutError, "frame must have the pixels"),
        ({"alpha": 1.5}, ArgumentError, "alpha must be from 0 to 1, got 1.5"),
        ({"alpha": -0.1}, ArgumentError, "alpha must be from 0 to 1"),
        ({"alpha": float("nan")}, ArgumentError, "alpha must be a finite number"),
        ({"ignore": 256}, ArgumentError, "ignore must be a whole number from 0 to 255"),
        ({"ignore": -1}, ArgumentError, "ignore must be .* got -1"),
        ({"ignore": 1.5}, ArgumentError, "ignore must be .* got 1.5"),
        ({"threads": 0}, ArgumentError, "threads must be .* from 1 to 64, got 0"),
        ({"out": zeros(4, 5)}, ShapeError, r"out must have shape \(4, 5, 3\)"),
        ({"out": zeros(4, 5, 3, dtype=np.int8)}, DTypeError, "out must be uint8"),
        ({"out": zeros(4, 10, 3)[:, ::2]}, LayoutError, "out must be C-contiguous"),
    ],
)
def test_refuses(arguments, error, words):
    usual = {"labels": zeros(4, 5), "palette": zeros(4, 3)}
    with pytest.raises(error, match=words):
        overlay(**(usual | arguments))


def test_refuses_an_out_that_is_locked_or_is_an_input():
    labels, palette, frame = zeros(4, 5), zeros(4, 3), zeros(4, 5, 3)
    with pytest.raises(ArgumentError, match="out must not share memory with frame"):
        overlay(labels, palette=palette, frame=frame, out=frame)
    block = zeros(80)
    picture = block[:60].reshape(4, 5, 3)
    with pytest.raises(ArgumentError, match="out must not share memory with labels"):
        overlay(block[50:70].reshape(4, 5), palette=palette, out=picture)
    with pytest.raises(ArgumentError, match="out must not share memory with palette"):
        overlay(labels, palette=block[:12].reshape(4, 3), out=picture)
    frame.flags.writeable = False
    with pytest.raises(ArgumentError, match="out must be writable"):
        overlay(labels, palette=palette, out=frame)


@st.composite
def arrays(draw, *likely):
    """Often one of the shapes; any type; dense or not, writable or not."""
    any_shape = st.lists(st.integers(0, 5), max_size=4).map(tuple)
    shape = draw(st.sampled_from(likely * 3) | any_shape)
    dtypes = [np.uint8] * 6 + [np.int64, np.float32, np.bool_]
    block = np.zeros([2 * n for n in shape], draw(st.sampled_from(dtypes)))
    block[...] = draw(st.integers(0, 3))
    step = draw(st.sampled_from([1, 1, 1, 2, -1]))
    ends = [n if step == 1 else None for n in shape]
    array = block[tuple(slice(None, end, step) for end in ends) or ...]
    if draw(st.integers(0, 3)):
        array = np.copy(array)
    array.flags.writeable = draw(st.integers(0, 7)) > 0
    return array


WRONG = st.sampled_from([None, -1, 0, 1.5, "2", 300, float("nan"), [1]])


@pytest.mark.parametrize("level", [WIDEST], indirect=True)
@settings(
    max_examples=2000,
    deadline=None,
)
@given(data=st.data())
def test_misuse(data):
    """Paints, or says in one sentence why not and leaves ``out`` as it was."""
    draw = data.draw
    labels = draw(arrays((3, 4)) | WRONG)
    palette = draw(arrays((4, 3), (2, 3)) | WRONG)
    frame = draw(st.none() | arrays((3, 4, 3)) | WRONG)
    out = draw(st.none() | arrays((3, 4, 3)))
    if isinstance(frame, np.ndarray) and not draw(st.integers(0, 5)):
        out = frame
    options = {
        "alpha": draw(st.floats(0, 1) | WRONG),
        "ignore": draw(st.none() | st.integers(0, 4) | WRONG),
        "threads": draw(st.integers(1, 3) | st.integers(1, 3) | WRONG),
    }
    before = None if out is None else out.copy()
    refused = None
    try:
        picture = overlay(labels, palette=palette, frame=frame, out=out, **options)
    except FusegError as error:
        refused = str(error)
    if refused is None:
        alpha, ignore = options["alpha"], options["ignore"]
        wanted = defined(labels, palette, frame, alpha, ignore)
        np.testing.assert_array_equal(picture, wanted)
    else:
        assert "\n" not in refused
        assert out is None or np.array_equal(out, before)
