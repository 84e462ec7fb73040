"""pack_depth: positions, readings and none, numbers, layouts, refusals."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg.errors import ArgumentError, DTypeError, LayoutError, ShapeError
from fuseg.ops import pack_depth
from fuseg.ops.pack_depth import DepthPacker

# frame, result: one pixel, slivers, sizes that end mid-vector, ratios 1, 2, 3, larger.
SIZES = [
    ((1, 1), (3, 5)),
    ((3, 5), (1, 1)),
    ((37, 53), (17, 29)),
    ((17, 29), (37, 53)),
    ((9, 16), (9, 16)),
    ((48, 66), (24, 33)),
    ((21, 99), (7, 33)),
    ((7, 1031), (5, 1031)),
    ((3, 521), (9, 260)),
    ((8, 40), (4, 10)),
]
FILTERS = ["nearest", "nearest-exact"]
DTYPES = [np.uint8, np.uint16, np.float32]


def sampled(frame, size, filter="nearest"):
    """The definition of resizing, one index at a time."""
    half = Fraction(1, 2) if filter == "nearest-exact" else Fraction(0)
    ys, xs = (
        [int((i + half) * samples / length) for i in range(length)]
        for samples, length in zip(frame.shape, size, strict=True)
    )
    return frame[ys][:, xs]


def defined(frame, size, invalid=(0,), fill=0.0, filter="nearest", **numbers):
    """The definition, float64, with what it may err, and the readings."""
    scale, mean, std = (numbers.get(k, d) for k, d in NUMBERS.items())
    raw = sampled(frame, size, filter)
    valid = np.isfinite(raw)
    for value in invalid:
        valid &= raw != np.float32(value)
    exact = np.where(valid, raw, 0).astype(np.float64)
    wanted = np.where(valid, (exact * scale - mean) / std, fill)
    error = np.where(
        valid, 2**-22 * (abs(exact * scale) + abs(mean)) / abs(std) + 1e-37, 0.0
    )
    return wanted, error, int(valid.sum())


NUMBERS = {"scale": 1.0, "mean": 0.0, "std": 1.0}
METRES = {"scale": 0.001, "mean": 2.3, "std": 1.7}


def assert_as_defined(result, frame, size, **how):
    plane, readings = result
    wanted, error, count = defined(frame, size, **how)
    assert plane.dtype == np.float32
    assert readings == count
    assert type(readings) is int
    same = np.isnan(wanted) & np.isnan(plane)
    assert (same | (np.abs(plane - wanted) <= error)).all()


def frame_of(dtype, shape, rng):
    """A scene with holes: a tenth of it 0, a tenth the largest value or not finite."""
    high = 255 if dtype is np.uint8 else 9000
    frame = rng.integers(1, high, shape).astype(dtype)
    frame[rng.random(shape) < 0.1] = 0
    if dtype is np.float32:
        frame[rng.random(shape) < 0.1] = np.nan
        frame[rng.random(shape) < 0.05] = np.inf
        frame[rng.random(shape) < 0.05] = -np.inf
    else:
        frame[rng.random(shape) < 0.1] = np.iinfo(dtype).max
    return frame


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_matches_the_definition(shape, size, dtype, filter, rng):
    frame = frame_of(dtype, shape, rng)
    before = frame.copy()
    how = {"filter": filter, "fill": -1.0, **METRES}
    assert_as_defined(pack_depth(frame, size=size, **how), frame, size, **how)
    np.testing.assert_array_equal(frame, before)


@settings(max_examples=80, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 600)),
    size=st.tuples(st.integers(1, 30), st.integers(1, 600)),
    dtype=st.sampled_from(DTYPES),
    filter=st.sampled_from(FILTERS),
    invalid=st.lists(st.integers(0, 255), max_size=16),
    numbers=st.tuples(*[st.floats(-1000, 1000, width=32)] * 3),
    seed=st.integers(0, 99),
)
def test_any_size_and_any_numbers(shape, size, dtype, filter, invalid, numbers, seed):
    frame = np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)
    scale, mean, fill = numbers
    how = {"invalid": invalid, "filter": filter, "fill": fill}
    how |= {"scale": scale, "mean": mean, "std": 3.0}
    assert_as_defined(pack_depth(frame, size=size, **how), frame, size, **how)


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_numbers_readings_are_bit_for_bit(dtype, rng):
    top = {np.uint8: 255, np.uint16: 65535, np.float32: 2**24}[dtype]
    frame = rng.integers(1, top, (37, 53), endpoint=True).astype(dtype)
    plane, readings = pack_depth(frame, size=(37, 53))
    np.testing.assert_array_equal(plane, frame)
    assert readings == frame.size
    plane, _ = pack_depth(frame, size=(37, 53), scale=0.001, mean=2.5, std=3.0)
    factor, offset = np.float32(0.001 / 3.0), np.float32(-2.5 / 3.0)
    np.testing.assert_array_equal(plane, frame.astype(np.float32) * factor + offset)


def test_what_is_not_finite_is_no_reading():
    frame = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 2.0]], np.float32)
    plane, readings = pack_depth(frame, size=(1, 6), invalid=(), fill=-3.0, scale=0.5)
    assert plane.tolist() == [[-3.0, -3.0, -3.0, 0.0, 0.0, 1.0]]
    assert readings == 3
    plane, readings = pack_depth(frame, size=(1, 6), invalid=(0, np.nan), fill=-3.0)
    assert plane.tolist() == [[-3.0, -3.0, -3.0, -3.0, -3.0, 2.0]]
    assert readings == 1


def test_the_largest_floats_are_readings():
    top = np.finfo(np.float32).max
    frame = np.array([[top, -top, 1e-45]], np.float32)
    plane, readings = pack_depth(frame, size=(1, 3))
    np.testing.assert_array_equal(plane, frame)
    assert readings == 3


def test_invalid_values_are_compared_before_scaling():
    frame = np.array([[0, 1, 1000, 65535]], np.uint16)
    plane, readings = pack_depth(
        frame, size=(1, 4), scale=0.001, invalid=(1, 65535), fill=9.0
    )
    np.testing.assert_array_equal(plane, np.float32([[0, 9, 1, 9]]))
    assert readings == 2


def test_invalid_values_of_float_frames_are_rounded_to_float32():
    frame = np.array([[0.1, 0.2]], np.float32)
    plane, readings = pack_depth(frame, size=(1, 2), invalid=(0.1,), fill=-1.0)
    np.testing.assert_array_equal(plane, np.float32([[-1.0, 0.2]]))
    assert readings == 1


def test_sixteen_values_may_be_invalid():
    frame = np.arange(256, dtype=np.uint8).reshape(4, 64)
    plane, readings = pack_depth(
        frame, size=(4, 64), invalid=range(240, 256), fill=-1.0
    )
    assert readings == 240
    assert (plane.ravel() == [*range(240), *[-1] * 16]).all()


@pytest.mark.parametrize("fill", [0.0, -7.5, np.inf, np.nan])
def test_fill_is_written_as_it_is(fill):
    frame = np.zeros((5, 7), np.uint16)
    plane, readings = pack_depth(frame, size=(3, 40), mean=5.0, std=2.0, fill=fill)
    np.testing.assert_array_equal(plane, np.full((3, 40), fill, np.float32))
    assert readings == 0


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_torch_takes_the_same_pixels(shape, size, filter, rng):
    frame = rng.integers(1, 60000, shape).astype(np.uint16)
    tensor = torch.from_numpy(frame.astype(np.float64))[None, None]
    wanted = torch.nn.functional.interpolate(tensor, size, mode=filter)[0, 0].numpy()
    plane, _ = pack_depth(frame, size=size, filter=filter)
    np.testing.assert_array_equal(plane, wanted)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_opencv_takes_the_same_pixels(shape, size, rng):
    frame = rng.integers(1, 60000, shape).astype(np.uint16)
    wanted = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_NEAREST)
    plane, _ = pack_depth(frame, size=size)
    np.testing.assert_array_equal(plane, wanted)


VIEWS = {
    "a crop": lambda a: a[3:40, 5:58],
    "the last rows and columns": lambda a: a[-9:, -11:],
    "upside down": lambda a: a[::-1],
    "every third row": lambda a: a[::3],
    "one row over and over": lambda a: np.broadcast_to(a[5], (8, a.shape[1])),
    "one column": lambda a: a[:, 5:6],
    "one pixel of a thinned image": lambda a: a[::7, ::60],
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("view", VIEWS)
def test_reads_rows_wherever_they_lie(view, dtype, rng):
    image = frame_of(dtype, (41, 60), rng)
    before = image.copy()
    frame = VIEWS[view](image)
    for size in [(13, 19), frame.shape]:
        plane, readings = pack_depth(frame, size=size)
        copied, count = pack_depth(np.ascontiguousarray(frame), size=size)
        np.testing.assert_array_equal(plane, copied)
        assert readings == count
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_stays_inside_its_arrays(shape, size, dtype, fenced, rng):
    frame = fenced(shape, dtype)
    frame[...] = frame_of(dtype, shape, rng)
    before = frame.copy()
    out = fenced(size, np.float32)
    plane, readings = pack_depth(frame, size=size, out=out)
    assert plane is out
    wanted, count = pack_depth(before, size=size)
    np.testing.assert_array_equal(out, wanted)
    assert readings == count
    pack_depth(frame[::-1], size=size, out=out)
    pack_depth(frame[-1:, -1:], size=size, out=out)


def test_fills_out_and_nothing_else(poisoned, rng):
    frame = frame_of(np.uint16, (37, 53), rng)
    out = poisoned((17, 29), np.float32)
    plane, _ = pack_depth(frame, size=(17, 29), out=out)
    assert plane is out
    np.testing.assert_array_equal(out, pack_depth(frame, size=(17, 29))[0])


def zeros(*shape, dtype=np.uint16):
    return np.zeros(shape, dtype)


crooked = np.zeros(41, np.uint8)[1:].view(np.uint16).reshape(4, 5)


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        (
            zeros(4, 5, 1),
            ShapeError,
            r"frame must have shape \(H, W\), got \(4, 5, 1\)",
        ),
        (zeros(0, 5), ShapeError, r"frame must not be empty, got shape \(0, 5\)"),
        (zeros(5, 0), ShapeError, "must not be empty"),
        (
            zeros(4, 5, dtype=np.int32),
            DTypeError,
            "frame must be uint8 or uint16 or float32, got int32",
        ),
        (zeros(4, 5, dtype=">u2"), DTypeError, "got >u2"),
        (zeros(4, 6)[:, ::2], LayoutError, r"np.ascontiguousarray\(frame\)"),
        (zeros(4, 6)[:, ::-1], LayoutError, "side by side, got strides"),
        (zeros(4, 5).T, LayoutError, "side by side"),
        (crooked, LayoutError, "frame must"),
        ([[0]], DTypeError, "frame must be a NumPy array, got list"),
    ],
)
def test_refuses_a_frame(frame, error, words):
    with pytest.raises(error, match=words):
        pack_depth(frame, size=(2, 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": (2, -2)}, r"size must be two whole numbers above 0.*got \(2, -2\)"),
        ({"scale": float("nan")}, "scale must be a finite number.*got nan"),
        ({"mean": float("inf")}, "mean must be a finite number"),
        ({"mean": None}, "mean must be a finite number.*got None"),
        ({"std": 0.0}, "std must not be 0"),
        ({"std": 1e-300}, "scale / std must be a finite number"),
        ({"mean": 3e38, "std": 0.1}, "mean / std must be a finite number"),
        ({"fill": 1e39}, "fill must be a finite number within float32, got 1e"),
        ({"invalid": (0, 65536)}, "a uint16 frame can hold, got 65536"),
        ({"invalid": (-1,)}, "a uint16 frame can hold, got -1"),
        ({"invalid": (0.5,)}, "a uint16 frame can hold, got 0.5"),
        ({"invalid": range(17)}, "invalid must be at most 16 values, got 17"),
        ({"filter": "linear"}, "filter must be one of 'nearest', 'nearest-exact'"),
    ],
)
def test_refuses_a_number_or_a_word(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        pack_depth(zeros(4, 5), **({"size": (2, 2)} | arguments))


def test_refuses_an_out_it_cannot_fill():
    frame = zeros(4, 5)

    def refused(out, error, words):
        with pytest.raises(error, match=words):
            pack_depth(frame, size=(2, 2), out=out)

    refused(zeros(2, 3, dtype=np.float32), ShapeError, r"^out must have shape \(2, 2\)")
    refused(zeros(2, 2), DTypeError, "^out must be float32, got uint16")
    refused(zeros(2, 4, dtype=np.float32)[:, ::2], LayoutError, "^out must be C-contig")
    locked = zeros(2, 2, dtype=np.float32)
    locked.flags.writeable = False
    refused(locked, ArgumentError, "^out must be writable, got a read-only array")
    frame = zeros(4, 5, dtype=np.float32)
    refused(
        frame.ravel()[:4].reshape(2, 2), ArgumentError, "not share memory with frame"
    )


def packer(dtype, size, filter="nearest", **changes):
    settings = {**METRES, "invalid": (0, 7), "fill": -3.0} | changes
    return DepthPacker(np.dtype(dtype), size=size, filter=filter, **settings)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_one_reading_is_found_exactly_where_it_is_sampled(
    shape, size, filter, dtype, fenced
):
    ask = packer(dtype, size, filter)
    spots = [(0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 3)]
    for spot in spots:
        frame = fenced(shape, dtype)
        frame[:] = 7
        assert not ask.has_reading(frame)
        frame[spot] = 9
        assert ask.has_reading(frame) == (9 in sampled(frame, size, filter))


def test_a_frame_of_nothing_finite_has_no_reading():
    frame = np.array([[np.nan, np.inf], [-np.inf, 0.0]], np.float32)
    ask = packer(np.float32, (2, 2))
    assert not ask.has_reading(frame)
    frame[1, 1] = 1e-30
    assert ask.has_reading(frame)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_packer_gives_what_the_function_gives_frame_after_frame(dtype, rng):
    pack = packer(dtype, (17, 29))
    out = np.empty((17, 29), np.float32)
    for shape in [(37, 53), (17, 29), (37, 53), (5, 8)]:
        frame = frame_of(dtype, shape, rng)
        readings = pack(frame, out)
        settings = {**METRES, "invalid": (0, 7), "fill": -3.0}
        plane, counted = pack_depth(frame, size=(17, 29), **settings)
        np.testing.assert_array_equal(out, plane)
        assert readings == counted
        assert pack.has_reading(frame) == (counted > 0)
