"""pack_depth: positions, readings and none, numbers, layouts, refusals."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg import _kernels
from fuseg.errors import ArgumentError, DTypeError, FusegError, LayoutError, ShapeError
from fuseg.ops import pack_depth
from fuseg.ops.pack_depth import PackDepth
from fuseg.ops.placement import place

pytestmark = pytest.mark.usefixtures("every_level")

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
    ((5, 1283), (4, 97)),
    ((3, 4099), (2, 129)),
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


def assert_as_defined(result, frame, size, **options):
    plane, readings = result
    wanted, error, count = defined(frame, size, **options)
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
def test_matches_the_definition(dtype, filter, rng):
    for shape, size in SIZES:
        frame = frame_of(dtype, shape, rng)
        before = frame.copy()
        options = {"filter": filter, "fill": -1.0, **METRES}
        assert_as_defined(
            pack_depth(frame, size=size, **options), frame, size, **options
        )
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
    options = {"invalid": invalid, "filter": filter, "fill": fill}
    options |= {"scale": scale, "mean": mean, "std": 3.0}
    assert_as_defined(pack_depth(frame, size=size, **options), frame, size, **options)


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


# A factor and an offset, beside which floats of any size stay finite or do not.
EDGES = [(1e3, 0.0), (-4.0, 1e38), (2.5, -3e38), (1.0, 2.0), (1e-30, 0.0), (0.0, 5.0)]


@pytest.mark.parametrize("filter", [*FILTERS, "bilinear"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(("scale", "mean"), EDGES)
def test_what_does_not_stay_finite_is_no_reading(scale, mean, dtype, filter, rng):
    if dtype == np.float16:
        mean /= 1e34
    raw = rng.uniform(-1, 1, (31, 83)) * 10.0 ** rng.integers(-3, 39, (31, 83))
    frame = raw.astype(np.float32)
    frame[:2, :3] = [[3.4028235e38, -3.4028235e38, np.nan], [np.inf, 0, -np.inf]]
    with np.errstate(all="ignore"):
        scaled = frame * np.float32(scale) + np.float32(-mean)
        valid = np.isfinite(scaled.astype(dtype)) & np.isfinite(frame)
    if filter == "bilinear":
        valid &= np.abs(frame) <= 2.0**126
    options = {"scale": scale, "mean": mean, "invalid": (), "fill": -7.0}
    options |= {"filter": filter, "dtype": dtype}
    flags = np.empty((31, 83), np.uint8)
    plane, count = pack_depth(frame, size=(31, 83), valid=flags, **options)
    np.testing.assert_array_equal(flags, valid)
    assert count == valid.sum()
    assert 0 < count < valid.size
    assert np.isfinite(plane).all()
    np.testing.assert_array_equal(plane[~valid], -7.0)
    assert np.isfinite(pack_depth(frame, size=(13, 29), **options)[0]).all()


def test_a_range_of_readings_is_that_of_the_sensor(rng):
    frame = rng.uniform(-1, 6, (37, 53)).astype(np.float32)
    frame[0, :4] = [0.5, 4.5, np.nextafter(np.float32(0.5), 0), 4.5000005]
    pack = PackDepth(np.float32, size=(37, 53), fill=-1.0, valid_range=(0.5, 4.5))
    plane = np.empty((37, 53), np.float32)
    count = pack(frame, plane)
    valid = (frame >= 0.5) & (frame <= 4.5)
    np.testing.assert_array_equal(plane, np.where(valid, frame, -1))
    assert count == valid.sum()
    assert pack.has_reading(frame)
    assert not pack.has_reading(np.full((37, 53), 4.6, np.float32))
    with pytest.raises(ArgumentError, match="valid_range must be omitted for uint16"):
        PackDepth(np.uint16, size=(3, 5), valid_range=(0, 1))


def test_integers_that_leave_float32_are_refused():
    with pytest.raises(ArgumentError, match="keep the largest reading, 65535, within"):
        PackDepth(np.uint16, size=(3, 5), scale=1e34)


@pytest.mark.parametrize("filter", [*FILTERS, "bilinear"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_frame_may_begin_at_any_address(dtype, filter, rng):
    for shape, size in SIZES:
        frame = frame_of(dtype, shape, rng)
        buffer = np.zeros((shape[0], shape[1] * frame.itemsize + 3), np.uint8)
        odd = np.ndarray(shape, dtype, buffer, 1, (buffer.strides[0], frame.itemsize))
        odd[...] = frame
        assert not odd.flags.aligned
        wanted, readings = pack_depth(frame, size=size, filter=filter)
        pack = PackDepth(dtype, size=size, filter=filter)
        for _ in range(2):  # the second one takes the short way
            made = np.empty(size, np.float32)
            assert pack(odd, made) == readings
            np.testing.assert_array_equal(made, wanted)
        assert pack.has_reading(odd) == (readings > 0)


def test_a_mask_is_seen_on_the_short_way_too():
    pack = PackDepth(np.uint16, size=(4, 5))
    plane = np.empty((4, 5), np.float32)
    pack(zeros(4, 5), plane)
    with pytest.raises(DTypeError, match="frame must be a plain array, got a masked"):
        pack(hidden, plane)


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
def test_torch_takes_the_same_pixels(filter, rng):
    for shape, size in SIZES:
        frame = rng.integers(1, 60000, shape).astype(np.uint16)
        tensor = torch.from_numpy(frame.astype(np.float64))[None, None]
        wanted = torch.nn.functional.interpolate(tensor, size, mode=filter)[
            0, 0
        ].numpy()
        plane, _ = pack_depth(frame, size=size, filter=filter)
        np.testing.assert_array_equal(plane, wanted)


def test_opencv_takes_the_same_pixels(rng):
    for shape, size in SIZES:
        frame = rng.integers(1, 60000, shape).astype(np.uint16)
        wanted = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_NEAREST)
        plane, _ = pack_depth(frame, size=size)
        np.testing.assert_array_equal(plane, wanted)


def turned(frame, size, crop, rotate, fit):
    """Crop and turn in NumPy, and the picture's place in the result."""
    if crop is not None:
        top, left, height, width = crop
        frame = frame[top : top + height, left : left + width]
    where = place(frame.shape, size, rotate=rotate, fit=fit)
    return np.rot90(frame, -rotate // 90), where.picture


def blended(frame, size, invalid):
    """Bilinear over readings only, float64: the mean, and the weight it rests on."""
    valid = np.isfinite(frame)
    for value in invalid:
        valid &= frame != np.float32(value)
    matrices = []
    for samples, length in zip(frame.shape, size, strict=True):
        matrix = np.zeros((length, samples))
        for i in range(length):
            at = Fraction(2 * i + 1, 2) * samples / length - Fraction(1, 2)
            at = min(max(at, Fraction(0)), Fraction(samples - 1))
            low = int(at)
            matrix[i, low] = 1 - (at - low)
            if at > low:
                matrix[i, low + 1] = at - low
        matrices.append(matrix)
    rows, columns = matrices
    weight = rows @ valid.astype(np.float64) @ columns.T
    total = rows @ np.where(valid, frame, 0).astype(np.float64) @ columns.T
    return np.divide(total, weight, where=weight > 0, out=np.zeros(size)), weight > 0


def placed(frame, size, filter="nearest", invalid=(0,), **where):
    """Raw values and validity of the whole result, float64."""
    crop, rotate = where.get("crop"), where.get("rotate", 0)
    frame, box = turned(frame, size, crop, rotate, where.get("fit", "stretch"))
    top, left, *picture = box
    if filter == "bilinear":
        inner, is_valid = blended(frame, tuple(picture), invalid)
    else:
        inner = sampled(frame, tuple(picture), filter)
        is_valid = np.isfinite(inner)
        for value in invalid:
            is_valid &= inner != np.float32(value)
    raw, valid = np.zeros(size), np.zeros(size, bool)
    window = np.s_[top : top + picture[0], left : left + picture[1]]
    raw[window] = np.where(is_valid, inner, 0)
    valid[window] = is_valid
    return raw, valid


def assert_placed(
    frame, size, *, fill=-1.0, dtype=np.float32, out_scale=1.0, **options
):
    flags = np.full(size, 9, np.uint8)
    plane, readings = pack_depth(
        frame,
        size=size,
        fill=fill,
        dtype=dtype,
        out_scale=out_scale,
        valid=flags,
        **METRES,
        **options,
    )
    raw, valid = placed(frame, size, **options)
    np.testing.assert_array_equal(flags, valid)
    assert readings == valid.sum()
    assert plane.dtype == dtype
    scale, mean, std = METRES["scale"], METRES["mean"], METRES["std"]
    wanted = np.where(valid, (raw * scale - mean) / std, fill)
    largest = np.abs(frame[np.isfinite(frame)], dtype=np.float64).max(initial=0)
    error = 2**-20 * largest * scale / std + 2**-22 * (largest * scale + mean) / std
    if dtype == np.float16:
        error += 2**-11 * np.abs(wanted)
    if dtype == np.int8:
        wanted = np.clip(wanted / out_scale, -128, 127)
        error = 0.5 + error / out_scale
    assert (np.abs(plane - wanted) <= error).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_bilinear_takes_the_mean_of_readings_only(dtype, rng):
    for shape, size in SIZES:
        assert_placed(frame_of(dtype, shape, rng), size, filter="bilinear")
        frame = frame_of(dtype, shape, rng)
        if dtype is not np.float32:
            top = np.iinfo(dtype).max
            assert_placed(frame, size, filter="bilinear", invalid=(0, top))
            assert_placed(frame, size, filter="bilinear", invalid=(0, top, 1, 2, 3))
            assert_placed(frame, size, filter="bilinear", invalid=())


def test_bilinear_of_readings_is_that_of_torch(rng):
    for shape, size in SIZES:
        frame = rng.integers(1, 60000, shape).astype(np.uint16)
        tensor = torch.from_numpy(frame.astype(np.float64))[None, None]
        wanted = torch.nn.functional.interpolate(tensor, size, mode="bilinear")[0, 0]
        plane, _ = pack_depth(frame, size=size, filter="bilinear")
        np.testing.assert_allclose(plane, wanted.numpy(), rtol=0, atol=2**-20 * 60000)


def test_a_flat_surface_with_holes_stays_flat(rng):
    frame = np.where(rng.random((61, 83)) < 0.4, 0, 40000).astype(np.uint16)
    plane, readings = pack_depth(frame, size=(37, 71), filter="bilinear", fill=40000.0)
    np.testing.assert_allclose(plane, 40000.0, rtol=2**-20)
    assert 0 < readings < plane.size


def test_a_pixel_of_weight_0_is_not_read():
    frame = np.array([[3, 0, 5], [0, 0, 0], [7, 0, 9]], np.uint16)
    plane, readings = pack_depth(frame, size=(3, 3), filter="bilinear", fill=-1.0)
    assert plane.tolist() == [[3, -1, 5], [-1, -1, -1], [7, -1, 9]]
    assert readings == 4
    frame = np.array([[1.0, np.nan, 3.0]], np.float32)  # ratio 3: the middle one alone
    assert pack_depth(frame, size=(1, 1), filter="bilinear")[1] == 0


@settings(max_examples=120, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40))
    | st.tuples(st.integers(1, 6), st.integers(1, 900))
    | st.tuples(st.integers(1, 300), st.integers(1, 6)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 300)),
    box=st.none() | st.tuples(*[st.floats(0, 1)] * 4),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
    options=st.fixed_dictionaries(
        {
            "filter": st.sampled_from([*FILTERS, "bilinear"]),
            "rotate": st.sampled_from([0, 90, 180, 270]),
            "fit": st.sampled_from(["stretch", "letterbox"]),
            "threads": st.integers(1, 5),
        }
    ),
    out=st.sampled_from([(np.float32, 1.0), (np.float16, 1.0), (np.int8, 0.03)]),
)
def test_any_geometry(shape, size, box, dtype, seed, options, out):
    crop = None
    if box is not None:
        (height, width), (y, x, h, w) = shape, box
        top, left = int(y * (height - 1)), int(x * (width - 1))
        crop = (
            top,
            left,
            1 + int(h * (height - top - 1)),
            1 + int(w * (width - left - 1)),
        )
    frame = frame_of(dtype, shape, np.random.default_rng(seed))
    threads = options.pop("threads")
    assert_placed(frame, size, crop=crop, dtype=out[0], out_scale=out[1], **options)
    one, several = (
        pack_depth(frame, size=size, crop=crop, threads=n, **options)
        for n in (1, threads)
    )
    np.testing.assert_array_equal(one[0], several[0])
    assert one[1] == several[1]
    found = PackDepth(dtype, size=size, crop=crop, **options).has_reading(frame)
    assert found == (one[1] > 0)


@pytest.mark.parametrize("filter", [*FILTERS, "bilinear"])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_what_lies_outside_the_crop_does_not_count(filter, rotate, rng):
    frame = frame_of(np.uint16, (50, 150), rng)
    crop = (7, 11, 31, 97)
    options = {"size": (40, 60), "filter": filter, "rotate": rotate, "crop": crop}
    plane, readings = pack_depth(frame, **options)
    other = frame_of(np.uint16, (50, 150), rng)
    other[7:38, 11:108] = frame[7:38, 11:108]
    again, count = pack_depth(other, **options)
    np.testing.assert_array_equal(plane, again)
    assert readings == count


def test_int8_is_rounded_to_even_and_saturated():
    frame = np.array([[0.5, 1.5, 2.5, -0.5, 126.5, 1e30, -1e30, 0.0]], np.float32)
    plane, _ = pack_depth(frame, size=(1, 8), dtype=np.int8, fill=-3.5)
    assert plane.tolist() == [[0, 2, 2, 0, 126, 127, -128, -4]]
    plane, _ = pack_depth(frame, size=(1, 8), dtype=np.int8, out_scale=0.5, fill=np.inf)
    assert plane.tolist() == [[1, 3, 5, -1, 127, 127, -128, 127]]


def test_float16_is_rounded_once_and_may_overflow():
    frame = np.array([[2049, 2051, 65519, 65520]], np.uint16)
    plane, _ = pack_depth(frame, size=(1, 4), dtype=np.float16)
    assert plane.tolist() == [[2048.0, 2052.0, 65504.0, np.inf]]


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
def test_stays_inside_its_arrays(dtype, fenced, rng):
    for shape, size in SIZES:
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rotate", [0, 90])
def test_stays_inside_its_arrays_when_it_blends(rotate, dtype, fenced, rng):
    for shape, size in SIZES:
        frame = fenced(shape, dtype)
        frame[...] = frame_of(dtype, shape, rng)
        options = {"size": size, "filter": "bilinear", "rotate": rotate}
        for kind in (np.float32, np.float16, np.int8):
            out, valid = fenced(size, kind), fenced(size, np.uint8)
            pack_depth(frame, out=out, valid=valid, dtype=kind, **options)
            plane, readings = pack_depth(frame.copy(), dtype=kind, **options)
            np.testing.assert_array_equal(out, plane)
            assert valid.sum() == readings


def test_fills_out_and_nothing_else(poisoned, rng):
    frame = frame_of(np.uint16, (37, 53), rng)
    out = poisoned((17, 29), np.float32)
    plane, _ = pack_depth(frame, size=(17, 29), out=out)
    assert plane is out
    np.testing.assert_array_equal(out, pack_depth(frame, size=(17, 29))[0])


def zeros(*shape, dtype=np.uint16):
    return np.zeros(shape, dtype)


hidden = np.ma.masked_array(zeros(4, 5), mask=True)


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
        (hidden, DTypeError, r"a masked one, .*: frame\.filled\(0\)"),
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
        ({"crop": (0, 0, 5, 5)}, r"crop must be \(top, left.* 4 x 5 pixels"),
        ({"rotate": 45}, "rotate must be 0, 90, 180 or 270, got 45"),
        ({"fit": "crop"}, "fit must be one of 'stretch', 'letterbox'"),
        ({"threads": 0}, "threads must be a whole number from 1 to 64, got 0"),
        ({"out_scale": 0.5}, "out_scale must be above 0, and 1 unless dtype is int8"),
        ({"out_scale": 0, "dtype": np.int8}, "out_scale must be above 0"),
        ({"fill": np.nan, "dtype": np.int8}, "fill must be a number if dtype is int8"),
        ({"invalid": None}, "invalid must be a sequence of numbers, got None"),
        (
            {"layout": "chw"},
            "layout must be one of 'linear', 'chw4', got 'chw'",
        ),
        (
            {"layout": "chw4"},
            "layout must be 'linear' unless dtype is float16 or int8, got 'chw4'",
        ),
        (
            {"channel": 1, "dtype": np.int8},
            "channel must be 0 unless layout is 'chw4', got 1",
        ),
        (
            {"channel": 1.0, "dtype": np.int8, "layout": "chw4"},
            "channel must be a whole number from 0 to 65535, got 1.0",
        ),
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


def channels_of(tensor):
    """(C, h, w) of a tensor whose channels lie in groups, (C / 4, h, w, 4)."""
    return tensor.transpose(0, 3, 1, 2).reshape(-1, *tensor.shape[1:3])


INT8 = {"dtype": np.int8, "out_scale": 0.02, "fill": -1.0, **METRES}
WAYS = [
    {"filter": "nearest"},
    {"filter": "bilinear", "rotate": 90, "fit": "letterbox"},
    {"filter": "nearest-exact", "rotate": 180, "threads": 3},
    {"filter": "bilinear", "rotate": 270, "crop": (2, 3, 20, 9)},
]


@pytest.mark.parametrize("channel", range(6))
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (17, 29)])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "narrow", [INT8, {**INT8, "dtype": np.float16, "out_scale": 1}]
)
def test_in_chw4_the_plane_is_a_channel_and_the_others_stay(
    narrow, dtype, size, channel, every_level, poisoned, rng
):
    frame = frame_of(dtype, (37, 53), rng)
    for way in WAYS:
        words = {"size": size, **narrow, **way}
        linear_valid, valid = np.empty(size, np.uint8), poisoned(size, np.uint8)
        _kernels.use_level(0)
        linear, counted = pack_depth(frame, valid=linear_valid, **words)
        _kernels.use_level(every_level)
        out = poisoned((2, *size, 4), words["dtype"])
        out[...] = rng.integers(-128, 128, out.shape)
        wanted = channels_of(out).copy()
        wanted[channel] = linear
        whole = {"layout": "chw4", "channel": channel, "out": out, "valid": valid}
        plane, readings = pack_depth(frame, **words, **whole)
        assert plane is out
        assert readings == counted
        np.testing.assert_array_equal(channels_of(out), wanted)
        np.testing.assert_array_equal(valid, linear_valid)


def test_a_new_tensor_in_chw4_has_zeros_beside_the_plane(rng):
    frame = frame_of(np.uint16, (37, 53), rng)
    words = {"size": (5, 7), **INT8, "filter": "nearest"}
    made, readings = pack_depth(frame, layout="chw4", channel=5, **words)
    assert made.shape == (2, 5, 7, 4)
    linear, counted = pack_depth(frame, **words)
    assert readings == counted
    np.testing.assert_array_equal(channels_of(made)[5], linear)
    assert not np.delete(channels_of(made), 5, axis=0).any()


def test_a_packer_in_chw4_takes_tensors_of_any_length_and_refuses_the_rest(rng):
    words = {"size": (5, 7), **INT8, "filter": "nearest"}
    pack = PackDepth(np.uint16, layout="chw4", channel=6, **words)
    for groups in (2, 4, 2):
        frame = frame_of(np.uint16, (20, 30), rng)
        out = np.zeros((groups, 5, 7, 4), np.int8)
        readings = pack(frame, out)
        linear, counted = pack_depth(frame, **words)
        assert readings == counted
        np.testing.assert_array_equal(channels_of(out)[6], linear)
        for wrong in (out[:1], np.zeros((5, 7), np.int8), out[..., :2], out[0]):
            with pytest.raises((ShapeError, LayoutError), match=r"^out must"):
                pack(frame, wrong)
        with pytest.raises(DTypeError, match=r"^out must be int8, got uint8"):
            pack(frame, out.view(np.uint8))


def packer(dtype, size, filter="nearest", **changes):
    settings = {**METRES, "invalid": (0, 7), "fill": -3.0} | changes
    return PackDepth(np.dtype(dtype), size=size, filter=filter, **settings)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("filter", FILTERS)
def test_one_reading_is_found_exactly_where_it_is_sampled(filter, dtype, fenced):
    for shape, size in SIZES:
        pack = packer(dtype, size, filter)
        pixels = [(0, 0), (shape[0] - 1, shape[1] - 1), (shape[0] // 2, shape[1] // 3)]
        for pixel in pixels:
            frame = fenced(shape, dtype)
            frame[:] = 7
            assert not pack.has_reading(frame)
            frame[pixel] = 9
            assert pack.has_reading(frame) == (9 in sampled(frame, size, filter))


def test_a_frame_of_nothing_finite_has_no_reading():
    frame = np.array([[np.nan, np.inf], [-np.inf, 0.0]], np.float32)
    pack = packer(np.float32, (2, 2))
    assert not pack.has_reading(frame)
    frame[1, 1] = 1e-30
    assert pack.has_reading(frame)


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


def test_an_output_type_it_does_not_have():
    for dtype in (np.float64, np.uint8, "nonsense"):
        with pytest.raises(
            DTypeError, match=r"^dtype must be float32 or float16 or int8"
        ):
            pack_depth(zeros(4, 5), size=(2, 2), dtype=dtype)


def test_a_packer_refuses_what_the_function_refuses():
    pack = packer(np.uint16, (2, 2))
    out = zeros(2, 2, dtype=np.float32)
    assert pack(zeros(4, 5), out) == 0
    for frame, wrong, error in [
        (zeros(4, 5, dtype=np.uint8), out, DTypeError),
        (zeros(4, 5, 1), out, ShapeError),
        (zeros(4, 5).T, out, LayoutError),
        (zeros(4, 5), zeros(3, 2, dtype=np.float32), ShapeError),
        (zeros(4, 5), zeros(2, 2, dtype=np.float16), DTypeError),
        ([[1]], out, DTypeError),
        (zeros(4, 5), None, DTypeError),
    ]:
        with pytest.raises(error):
            pack(frame, wrong)
    for valid, error in [(out.view(np.uint8)[:, :2], LayoutError), (out, DTypeError)]:
        with pytest.raises(error):
            pack(zeros(4, 5), out, valid)


WORDS = [None, "", "nearest", "bilinear", "letterbox", -1, 0, 3, 90, 0.5, np.nan, 1e39]
WORDS += [(), (0,), (0, 65535), (2, 3), (0, 0, 2, 2), (1, 1, 9, 9), np.float32, [None]]
WORDS += ["chw4"]


def any_array(draw, dtypes):
    shape = draw(st.sampled_from([(4, 6), (2, 3), (6, 4), (0, 3), (4,), (4, 6, 1), ()]))
    array = np.ones(shape, draw(st.sampled_from(dtypes)))
    view = draw(st.sampled_from(["as it is", "as it is", "thin", "turned", "locked"]))
    if view == "thin" and array.ndim == 2:
        array = array[:, ::2]
    if view == "turned":
        array = array.T
    if view == "locked":
        array.flags.writeable = False
    return array


@st.composite
def calls(draw):
    """Arguments of which some are wrong."""
    options = {"size": (2, 3)}
    names = ["size", "scale", "mean", "std", "invalid", "fill", "filter", "crop"]
    names += ["rotate", "fit", "dtype", "out_scale", "threads", "layout", "channel"]
    for name in draw(st.lists(st.sampled_from(names), max_size=2)):
        options[name] = draw(st.sampled_from(WORDS))
    kinds = [np.uint16, np.uint8, np.float32, np.float16, np.int8, np.int32, ">u2"]
    frame = any_array(draw, kinds)
    for name in ("out", "valid"):
        choice = draw(st.sampled_from(["none", "none", "any", "frame"]))
        if choice == "any":
            options[name] = any_array(draw, kinds)
        elif choice == "frame":
            options[name] = frame.reshape(-1)[: frame.size // 3 * 3].reshape(-1, 3)
    return frame, options


@settings(max_examples=700, deadline=None)  # at each of three levels
@given(calls())
def test_misuse(call):
    frame, options = call
    kept = {name: options[name].copy() for name in ("out", "valid") if name in options}
    try:
        plane, readings = pack_depth(frame, **options)
    except FusegError as refused:
        sentence = str(refused)
        for name, before in kept.items():
            np.testing.assert_array_equal(options[name], before)
    else:
        sentence = "fine"
        assert plane.shape == tuple(options["size"])
        assert 0 <= readings <= plane.size
    assert sentence
    assert "\n" not in sentence
