"""pack_color: positions, blends, numbers, layouts, refusals."""

from __future__ import annotations

import functools
import math
import re
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuseg import _kernels
from fuseg.errors import ArgumentError, DTypeError, FusegError, LayoutError, ShapeError
from fuseg.ops import pack_color
from fuseg.ops.pack_color import PackColor

pytestmark = pytest.mark.usefixtures("every_level")

# frame, planes: one pixel, slivers, sizes that end mid-vector, halves in one direction
# and in both, larger, equal.
SIZES = [
    ((1, 1), (3, 5)),
    ((3, 5), (1, 1)),
    ((2, 1), (5, 3)),
    ((37, 53), (17, 29)),
    ((17, 29), (37, 53)),
    ((48, 64), (24, 32)),
    ((48, 64), (20, 32)),
    ((48, 64), (24, 30)),
    ((2, 2), (1, 1)),
    ((6, 1000), (3, 500)),
    ((5, 700), (4, 777)),
    ((9, 16), (9, 16)),
    ((9, 16), (9, 33)),
    ((13, 21), (40, 21)),
]
FILTERS = ["bilinear", "nearest", "nearest-exact", "bilinear-antialias"]
FIXTURES = [HealthCheck.function_scoped_fixture]  # they only choose the instructions
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@functools.cache
def weights_along(samples, length, filter):
    """Row i: what position i takes of each sample, float64 from exact fractions."""
    weights = np.zeros((length, samples))
    ratio = Fraction(samples, length)
    for i in range(length):
        if filter.startswith("nearest"):
            half = Fraction(1, 2) if filter == "nearest-exact" else 0
            weights[i, int((i + half) * ratio)] = 1
        elif filter == "bilinear":
            at = min(max((i + Fraction(1, 2)) * ratio - Fraction(1, 2), 0), samples - 1)
            first = int(at)
            weights[i, first] = 1 - (at - first)
            weights[i, min(first + 1, samples - 1)] += float(at - first)
        else:
            reach = max(ratio, 1)
            centre = (i + Fraction(1, 2)) * ratio
            near = range(
                max(0, int(centre - reach)), min(samples, int(centre + reach) + 1)
            )
            tent = {k: 1 - abs(k + Fraction(1, 2) - centre) / reach for k in near}
            total = sum(max(t, 0) for t in tent.values())
            for k, t in tent.items():
                weights[i, k] = max(t, 0) / total
    return weights


def resized(frame, size, filter="bilinear"):
    """The definition of resizing, float64, (h, w, C)."""
    down = weights_along(frame.shape[0], size[0], filter)
    along = weights_along(frame.shape[1], size[1], filter)
    rows = np.tensordot(down, frame.astype(np.float64), 1)
    return np.tensordot(along, rows, (1, 1)).swapaxes(0, 1)


def as_defined(
    frame,
    *,
    size,
    scale=1 / 255,
    mean=(0, 0, 0),
    std=(1, 1, 1),
    channels="RGB",
    planes="RGB",
    filter="bilinear",
    crop=None,
    rotate=0,
    fit="stretch",
    fill=0.0,
):
    """The definition of the whole: result and allowed error, float64, (3, h, w)."""
    pixels = np.atleast_3d(frame)
    if channels == "GRAY":
        pixels, channels = pixels.repeat(3, 2), planes
    if crop is not None:
        top, left, height, width = crop
        pixels = pixels[top : top + height, left : left + width]
    pixels = np.rot90(pixels, -rotate // 90)
    pixels = pixels[..., [channels.index(c) for c in planes]]
    (height, width), (out_height, out_width) = pixels.shape[:2], size
    picture = size
    if fit == "letterbox":
        factor = min(Fraction(out_height, height), Fraction(out_width, width))
        picture = [
            max(1, int(side * factor + Fraction(1, 2))) for side in (height, width)
        ]
    top, left = (out_height - picture[0]) // 2, (out_width - picture[1]) // 2
    inside = np.s_[:, top : top + picture[0], left : left + picture[1]]

    pixels = resized(pixels, picture, filter).transpose(2, 0, 1)
    mean, std = (np.asarray(n, np.float64)[:, None, None] for n in (mean, std))
    exact = filter.startswith("nearest") or (height, width) == tuple(picture)
    wanted, allowed = np.full((3, *size), float(fill)), np.zeros((3, *size))
    wanted[inside] = (pixels * scale - mean) / std
    allowed[inside] = (
        2**-22 * (abs(pixels * scale) + abs(mean)) / abs(std)
        + (0 if exact else 1e-4) * abs(scale / std)
        + 1e-36  # below float32's normal range
    )
    return wanted, allowed + 2**-24 * abs(fill)


def assert_as_defined(result, frame, **settings):
    wanted, allowed = as_defined(frame, **settings)
    assert result.dtype == np.float32
    assert result.shape == wanted.shape
    wrong = np.abs(result - wanted) > allowed
    assert not wrong.any(), (
        f"{wrong.sum()} wrong, first at {np.argwhere(wrong)[0]}: "
        f"{result[wrong][0]} for {wanted[wrong][0]} +- {allowed[wrong][0]}"
    )


def noise(rng, *shape):
    return rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("filter", FILTERS)
def test_matches_the_definition(filter, rng):
    for shape, size in SIZES:
        frame = noise(rng, *shape, 3)
        planes = pack_color(frame, size=size, filter=filter, **IMAGENET)
        assert_as_defined(planes, frame, size=size, filter=filter, **IMAGENET)


@settings(max_examples=100, deadline=None, suppress_health_check=FIXTURES)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 150)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 90)),
    filter=st.sampled_from(FILTERS),
    channels=st.sampled_from(["RGB", "BGR", "RGBA", "BGRA", "GRAY"]),
    planes=st.sampled_from(["RGB", "BGR"]),
    rotate=st.sampled_from([0, 90, 180, 270]),
    fit=st.sampled_from(["stretch", "letterbox"]),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
    numbers=st.tuples(*[st.floats(-1000, 1000, width=32)] * 5),
    spread=st.floats(0.01, 1000),
    threads=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_anything_together(
    shape, size, channels, corners, numbers, spread, threads, seed, **words
):
    count = {"GRAY": 1, "RGBA": 4, "BGRA": 4}.get(channels, 3)
    frame = noise(np.random.default_rng(seed), *shape, count)
    y0, y1 = sorted(int(c * shape[0]) for c in corners[:2])
    x0, x1 = sorted(int(c * shape[1]) for c in corners[2:])
    scale, fill, *mean = numbers
    words |= {
        "channels": channels,
        "size": size,
        "crop": (y0, x0, y1 - y0, x1 - x0) if y0 < y1 and x0 < x1 else None,
        "scale": scale,
        "mean": mean,
        "std": (spread, -spread, 2 * spread),
        "fill": fill,
    }
    planes = pack_color(frame, threads=threads, **words)
    assert_as_defined(planes, frame, **words)


@pytest.mark.parametrize("filter", FILTERS)
def test_the_frames_own_size_keeps_every_pixel_bit_for_bit(filter, rng):
    frame = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    planes = pack_color(frame, size=(37, 53), scale=1.0, filter=filter)
    np.testing.assert_array_equal(planes, frame.transpose(2, 0, 1))


@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_a_frame_of_one_colour_stays_exactly_that_colour(value):
    frame = np.full((11, 17, 3), value, np.uint8)
    assert (pack_color(frame, size=(29, 40), scale=1.0) == value).all()


def test_blends_stay_within_a_ten_thousandth_of_a_step(rng):
    frame = rng.integers(0, 2, (54, 480, 3), dtype=np.uint8) * np.uint8(255)
    for size in [(24, 160), (17, 197), (55, 479)]:
        planes = pack_color(frame, size=size, scale=1.0)
        wanted = resized(frame, size).transpose(2, 0, 1)
        assert np.abs(planes - wanted).max() < 1e-4


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("planes", ["RGB", "BGR"])
def test_numbers_go_with_the_planes_of_the_result(channels, planes):
    frame = np.array([[[10, 20, 30]]], np.uint8)
    numbers = {"scale": 1.0, "mean": (1, 2, 3), "std": (1, 2, 4)}
    result = pack_color(frame, size=(1, 1), channels=channels, planes=planes, **numbers)
    pixel = [10, 20, 30] if channels == planes else [30, 20, 10]
    wanted = [(p - m) / s for p, m, s in zip(pixel, (1, 2, 3), (1, 2, 4), strict=True)]
    assert result.ravel().tolist() == wanted


@pytest.mark.parametrize("filter", FILTERS)
def test_torch_interpolates_alike(filter, rng):
    for shape, size in SIZES:
        frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        tensor = torch.from_numpy(frame).permute(2, 0, 1)[None].double()
        mode = filter.removesuffix("-antialias")
        wanted = torch.nn.functional.interpolate(
            tensor, size, mode=mode, antialias=filter != mode
        )[0].numpy()
        planes = pack_color(frame, size=size, scale=1.0, filter=filter)
        np.testing.assert_allclose(planes, wanted, atol=1e-4)


def test_opencv_interpolates_alike(rng):
    for shape, size in SIZES:
        frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        wanted = cv2.resize(frame.astype(np.float32), size[::-1])
        planes = pack_color(frame, size=size, scale=1.0)
        np.testing.assert_allclose(planes.transpose(1, 2, 0), wanted, atol=0.02)


# Along a row of 400 pixels: every way of reading sixteen positions at once, and the
# steps between them, for one, three and four bytes a pixel.
@pytest.mark.parametrize("channels", ["GRAY", "RGB", "RGBA"])
@pytest.mark.parametrize("width", [16, 33, 66, 80, 101, 133, 160, 200, 267, 399, 1200])
def test_any_ratio(channels, width, rng):
    frame = noise(rng, 6, 400, {"GRAY": 1, "RGB": 3, "RGBA": 4}[channels])
    for filter in FILTERS:
        words = {"size": (4, width), "channels": channels, "filter": filter}
        assert_as_defined(pack_color(frame, **words), frame, **words)


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("channels", ["RGB", "BGRA", "GRAY"])
def test_crops_turns_and_fits(rotate, fit, channels, rng):
    frame = noise(rng, 45, 70, {"GRAY": 1, "RGB": 3, "BGRA": 4}[channels])
    for filter in ("bilinear", "nearest", "bilinear-antialias"):
        for size in [(23, 35), (41, 22)]:
            words = {"rotate": rotate, "fit": fit, "channels": channels}
            words |= {"size": size, "filter": filter, "fill": -7.5, **IMAGENET}
            for crop in [(3, 5, 38, 60), (44, 0, 1, 70)]:
                planes = pack_color(frame, crop=crop, **words)
                assert_as_defined(planes, frame, crop=crop, **words)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("rotate", [0, 90])
def test_nothing_beyond_the_crop_counts(filter, rotate, rng):
    frame = noise(rng, 60, 90, 3)
    words = {"size": (31, 47), "filter": filter, "rotate": rotate}
    before = pack_color(frame, crop=(7, 11, 40, 60), **words)
    inside = np.zeros((60, 90), bool)
    inside[7:47, 11:71] = True
    frame[~inside] ^= 255
    after = pack_color(frame, crop=(7, 11, 40, 60), **words)
    np.testing.assert_array_equal(before, after)
    cropped = pack_color(frame[7:47, 11:71], **words)
    np.testing.assert_array_equal(after, cropped)


def test_alpha_is_not_read_into_the_planes(rng):
    frame = noise(rng, 40, 60, 4)
    before = pack_color(frame, size=(17, 23), channels="RGBA")
    frame[..., 3] ^= 255
    after = pack_color(frame, size=(17, 23), channels="RGBA")
    np.testing.assert_array_equal(before, after)


def test_gray_is_one_channel_three_times(rng):
    frame = noise(rng, 40, 60)
    words = {"size": (17, 23), "mean": (0.1, 0.2, 0.3), "std": (1, 2, 4)}
    planes = pack_color(frame, channels="GRAY", **words)
    with_axis = pack_color(frame[..., None], channels="GRAY", **words)
    np.testing.assert_array_equal(planes, with_axis)
    colour = pack_color(np.stack([frame] * 3, -1), **words)
    np.testing.assert_allclose(planes, colour, atol=1e-6)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("rotate", [0, 270])
def test_the_result_does_not_depend_on_the_threads(filter, rotate, rng):
    frame = noise(rng, 83, 131, 3)
    words = {"size": (77, 90), "filter": filter, "rotate": rotate, "fit": "letterbox"}
    one = pack_color(frame, **words)
    for threads in (2, 5, 64):
        np.testing.assert_array_equal(one, pack_color(frame, threads=threads, **words))


def as_int8(values):
    return np.clip(np.rint(values), -128, 127)


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("size", [(50, 80), (67, 111), (150, 301)])
def test_int8_is_the_rounded_value_but_for_one_in_two_thousand(filter, size, rng):
    frame = noise(rng, 100, 160, 3)
    words = {"size": size, "filter": filter, **IMAGENET}
    got = pack_color(frame, dtype=np.int8, out_scale=0.02, **words)
    wanted, _ = as_defined(frame, **words)
    steps = wanted / 0.02
    wrong = np.abs(got - as_int8(steps))
    wrong[np.abs(steps % 1 - 0.5) < 1e-9] = 0  # ties: float64 decides by its own error
    assert got.dtype == np.int8
    assert wrong.max() <= 1
    assert (wrong > 0).mean() <= 0.0005


def test_int8_rounds_ties_to_even_and_saturates():
    frame = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    words = {"size": (1, 256), "scale": 1.0, "dtype": np.int8}
    halves = pack_color(frame, mean=(100,) * 3, out_scale=2.0, **words)
    wanted = as_int8((np.arange(256) - 100) / 2)
    np.testing.assert_array_equal(halves, [[wanted]] * 3)
    for scale in (1e3, -1e3, 1e12, -1e12, 3e38, -3e38):
        planes = pack_color(frame, **(words | {"scale": scale}))
        wanted = as_int8(np.arange(256) * scale)
        np.testing.assert_array_equal(planes, [[wanted]] * 3)


@pytest.mark.parametrize("filter", FILTERS)
def test_float16_is_the_value_rounded_to_float16(filter, rng):
    frame = noise(rng, 50, 90, 3)
    words = {"size": (37, 61), "filter": filter, **IMAGENET}
    got = pack_color(frame, dtype=np.float16, **words)
    assert got.dtype == np.float16
    single = pack_color(frame, **words)
    np.testing.assert_array_equal(got, single.astype(np.float16))


@pytest.mark.parametrize(
    ("dtype", "fill", "held"),
    [
        (np.float32, 0.1, np.float32(0.1)),
        (np.float16, 0.1, np.float16(0.1)),
        (np.float16, 1e6, np.inf),
        (np.int8, 0.5, 2),  # 2.5 steps
        (np.int8, 1e30, 127),
        (np.int8, -99, -128),
    ],
)
@pytest.mark.parametrize("size", [(40, 20), (20, 50)])
def test_padding_holds_the_fill(dtype, fill, held, size, rng):
    frame = noise(rng, 20, 20, 3)
    words = {"size": size, "fit": "letterbox", "fill": fill, "dtype": dtype}
    if dtype == np.int8:
        words["out_scale"] = 0.2
    planes = pack_color(frame, **words)
    padding = np.ones(size, bool)
    padding[10 : 30 if size[0] == 40 else 20, 15:35] = False
    if size[0] == 40:
        padding[10:30] = False
    else:
        padding[:, 15:35] = False
    assert (planes[:, padding] == held).all()
    assert not (planes[:, ~padding] == held).all()


def test_fills_three_channels_of_a_larger_tensor(rng):
    tensor = np.full((1, 7, 12, 16), 5, np.float32)
    frame = noise(rng, 20, 30, 3)
    pack_color(frame, size=(12, 16), out=tensor[0, 3:6])
    np.testing.assert_array_equal(tensor[0, 3:6], pack_color(frame, size=(12, 16)))
    assert (tensor[0, [0, 1, 2, 6]] == 5).all()


def channels_of(tensor):
    """(C, h, w) of a tensor whose channels lie in groups, (C / 4, h, w, 4)."""
    return tensor.transpose(0, 3, 1, 2).reshape(-1, *tensor.shape[1:3])


# Words that go with int8 and float16, and every way through the reference.
INT8 = {"dtype": np.int8, "out_scale": 0.02, **IMAGENET}
NARROW = {"int8": INT8, "float16": {"dtype": np.float16, **IMAGENET}}
WAYS = [
    {"filter": "bilinear"},
    {"filter": "nearest", "rotate": 90, "fit": "letterbox", "fill": 0.7},
    {"filter": "bilinear-antialias", "rotate": 180, "planes": "BGR"},
    {"filter": "bilinear", "rotate": 270, "crop": (2, 3, 20, 9), "threads": 3},
]


@pytest.mark.parametrize("channel", range(6))
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (17, 29), (24, 64)])
@pytest.mark.parametrize("narrow", NARROW)
def test_in_chw4_the_planes_are_channels_and_the_others_stay(
    narrow, size, channel, every_level, poisoned, rng
):
    frame = noise(rng, 37, 53, 3)
    for way in WAYS:
        words = {"size": size, **NARROW[narrow], **way}
        _kernels.use_level(0)
        linear = pack_color(frame, **words)
        _kernels.use_level(every_level)
        out = poisoned((3, *size, 4), words["dtype"])
        out[...] = noise(rng, *out.shape).view(np.int8)
        wanted = channels_of(out).copy()
        wanted[channel : channel + 3] = linear
        whole = {"layout": "chw4", "channel": channel, "out": out}
        assert pack_color(frame, **words, **whole) is out
        np.testing.assert_array_equal(channels_of(out), wanted)


@pytest.mark.parametrize(("channel", "groups"), [(0, 1), (1, 1), (2, 2), (5, 2)])
def test_a_new_tensor_in_chw4_has_zeros_beside_the_planes(channel, groups, rng):
    frame = noise(rng, 37, 53, 3)
    words = {"size": (5, 7), **INT8, "layout": "chw4", "channel": channel}
    made = pack_color(frame, **words)
    assert made.shape == (groups, 5, 7, 4)
    filled = np.full_like(made, 77)
    pack_color(frame, **words, out=filled)
    own = slice(channel, channel + 3)
    np.testing.assert_array_equal(channels_of(made)[own], channels_of(filled)[own])
    others = np.delete(channels_of(made), own, axis=0)
    assert not others.any()


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_chw4_stays_inside_its_tensor(channel, fenced, rng):
    frame = noise(rng, 37, 53, 3)
    words = {"size": (13, 37), **INT8, "layout": "chw4", "channel": channel}
    out = fenced((2 if channel > 1 else 1, 13, 37, 4), np.int8)
    for fit in ("stretch", "letterbox"):
        pack_color(frame, fit=fit, out=out, **words)


def test_a_packer_in_chw4_takes_tensors_of_any_length_frame_after_frame(rng):
    words = {"size": (5, 7), **INT8}
    pack = PackColor(layout="chw4", channel=2, **words)
    for groups in (2, 5, 2, 3):
        frame = noise(rng, 20, 30, 3)
        out = np.zeros((groups, 5, 7, 4), np.int8)
        pack(frame, out)
        linear = pack_color(frame, **words)
        off = np.abs(channels_of(out)[2:5].astype(int) - linear)
        assert off.max() <= 1
        assert off.mean() < 0.01
        for wrong in (out[:1], np.zeros((3, 5, 7), np.int8), out[..., :2]):
            with pytest.raises(FusegError, match=r"^out must"):
                pack(frame, wrong)


VIEWS = {
    "a crop": lambda a: a[3:40, 5:58],
    "the last rows and columns": lambda a: a[-9:, -11:],
    "upside down": lambda a: a[::-1],
    "a crop upside down": lambda a: a[30:2:-1, 7:23],
    "every third row": lambda a: a[::3],
    "one row over and over": lambda a: np.broadcast_to(a[5], (8, *a.shape[1:])),
    "one column": lambda a: a[:, 5:6],
    "one pixel of a thinned image": lambda a: a[::7, ::60],
    "a column seen backwards": lambda a: a[:, 9:8:-1],
    "read-only": lambda a: np.frombuffer(a.tobytes(), np.uint8).reshape(a.shape),
}


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("view", VIEWS)
def test_reads_rows_wherever_they_lie(view, filter, rng):
    image = rng.integers(0, 256, (41, 60, 3), dtype=np.uint8)
    before = image.copy()
    frame = VIEWS[view](image)
    got = pack_color(frame, size=(13, 19), filter=filter)
    copied = pack_color(np.ascontiguousarray(frame), size=(13, 19), filter=filter)
    np.testing.assert_array_equal(got, copied)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("filter", FILTERS)
def test_stays_inside_its_arrays(filter, fenced, rng):
    for shape, size in SIZES:
        frame = fenced((*shape, 3), np.uint8)
        frame[...] = rng.integers(0, 256, frame.shape)
        before = frame.copy()
        out = fenced((3, *size), np.float32)
        assert pack_color(frame, size=size, filter=filter, out=out) is out
        np.testing.assert_array_equal(out, pack_color(before, size=size, filter=filter))
        np.testing.assert_array_equal(frame, before)
        pack_color(frame[::-1], size=size, filter=filter, out=out)
        pack_color(frame[-1:, -1:], size=size, filter=filter, out=out)


@pytest.mark.parametrize("channels", ["RGB", "RGBA", "GRAY"])
@pytest.mark.parametrize("rotate", [0, 90, 180])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
def test_every_variant_stays_inside_its_arrays(channels, rotate, dtype, fenced, rng):
    count = {"GRAY": 1, "RGB": 3, "RGBA": 4}[channels]
    for shape, size in [((9, 50), (13, 37)), ((20, 150), (40, 40)), ((7, 11), (21, 5))]:
        frame = fenced((*shape, count), np.uint8)
        frame[...] = noise(rng, *shape, count)
        out = fenced((3, *size), dtype)
        words = {"size": size, "rotate": rotate, "dtype": dtype, "channels": channels}
        for filter in FILTERS:
            for fit in ("stretch", "letterbox"):
                more = {"fit": fit, "filter": filter, "threads": 2}
                pack_color(frame, out=out, **words, **more)
                pack_color(frame[1:-1, 1:-1], out=out, **words, **more)


def test_fills_out_and_nothing_else(poisoned, rng):
    frame = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    out = poisoned((3, 17, 29), np.float32)
    assert pack_color(frame, size=(17, 29), out=out) is out
    np.testing.assert_array_equal(out, pack_color(frame, size=(17, 29)))


def zeros(*shape, dtype=np.uint8):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        (zeros(4, 5), ShapeError, r"frame must have shape \(H, W, 3\), got \(4, 5\)"),
        (zeros(4, 5, 4), ShapeError, r"\(H, W, 3\), got \(4, 5, 4\)"),
        (zeros(4, 5, 1), ShapeError, r"\(H, W, 3\), got \(4, 5, 1\)"),
        (zeros(0, 5, 3), ShapeError, r"frame must not be empty, got shape \(0, 5, 3\)"),
        (zeros(5, 0, 3), ShapeError, "must not be empty"),
        (zeros(4, 5, 3, dtype=np.float32), DTypeError, "uint8, got float32"),
        (zeros(4, 5, 3, dtype=np.int8), DTypeError, "uint8, got int8"),
        (zeros(4, 6, 3)[:, ::2], LayoutError, r"np.ascontiguousarray\(frame\)"),
        (zeros(4, 6, 3)[:, ::-1], LayoutError, "side by side, got strides"),
        (zeros(4, 6, 3)[..., ::-1], LayoutError, "side by side"),
        (zeros(3, 4, 5).transpose(1, 2, 0), LayoutError, "side by side"),
        (zeros(4, 5, 4)[..., :3], LayoutError, "side by side"),
        ([[[0, 0, 0]]], DTypeError, "frame must be a NumPy array, got list"),
    ],
)
def test_refuses_a_frame(frame, error, words):
    with pytest.raises(error, match=words):
        pack_color(frame, size=(2, 2))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": (0, 4)}, r"size must be two whole numbers above 0.*got \(0, 4\)"),
        ({"size": (4,)}, r"got \(4,\)"),
        ({"size": (4.0, 4.0)}, "two whole numbers"),
        ({"size": 4}, "got 4"),
        ({"scale": float("nan")}, "scale must be a finite number.*got nan"),
        ({"scale": float("inf")}, "scale must be a finite number"),
        ({"scale": "1"}, "scale must be a finite number.*got '1'"),
        ({"mean": (0, 0)}, r"mean must be 3 numbers, got \(0, 0\)"),
        ({"mean": 0.5}, "mean must be 3 numbers, got 0.5"),
        (
            {"mean": (0, 0, float("inf"))},
            "every number of mean must be a finite number",
        ),
        ({"std": (1, 0, 1)}, "std must not hold 0"),
        ({"std": (1, float("nan"), 1)}, "number of std must be a finite number"),
        ({"std": (1e-300, 1, 1)}, "scale / std must be a finite number"),
        ({"mean": (3e38, 0, 0), "std": (0.1, 1, 1)}, "mean / std must be a finite"),
        ({"channels": "rgb"}, "channels must be one of 'RGB', 'BGR', .*, got 'rgb'"),
        ({"channels": np.zeros(3)}, "channels must be one of"),
        ({"planes": "GBR"}, "planes must be one of"),
        ({"planes": "RGBA"}, "planes must be one of 'RGB', 'BGR', got 'RGBA'"),
        ({"scale": 10**400}, "scale must be a finite number"),
        ({"size": (1, 65537)}, "size must be at most 65536 pixels a side"),
        ({"crop": (0, 0, 5, 5)}, "crop must be .* part of the 4 x 5 pixels, got"),
        ({"crop": (0, 0, 0, 5)}, "crop must be"),
        ({"crop": "all"}, "crop must be"),
        ({"rotate": 45}, "rotate must be 0, 90, 180 or 270, got 45"),
        ({"rotate": "90"}, "rotate must be"),
        ({"fit": "crop"}, "fit must be one of 'stretch', 'letterbox', got 'crop'"),
        ({"fill": float("nan")}, "fill must be a finite number"),
        ({"dtype": np.float64}, "dtype must be one of float32, float16, int8, got"),
        ({"dtype": "int9"}, "dtype must be one of .*, got 'int9'"),
        ({"dtype": ">f4"}, "dtype must be one of"),
        ({"out_scale": 0.1}, "out_scale must be 1 unless dtype is int8, got 0.1"),
        ({"out_scale": 0, "dtype": np.int8}, "out_scale must be above 0, got 0"),
        ({"out_scale": 1e-300, "dtype": np.int8}, "scale / std must be a finite"),
        ({"threads": 0}, "threads must be a whole number from 1 to 64, got 0"),
        ({"threads": 1.0}, "threads must be a whole number"),
        ({"filter": "cubic"}, "filter must be one of.*'bilinear'.*, got 'cubic'"),
        (
            {"layout": "hwc", "dtype": np.int8},
            "layout must be one of 'linear', 'chw4', got 'hwc'",
        ),
        ({"layout": None}, "layout must be one of 'linear', 'chw4', got None"),
        (
            {"layout": "chw4", "dtype": np.float32},
            "layout must be 'linear' unless dtype is float16 or int8, got 'chw4'",
        ),
        ({"channel": 3}, "channel must be 0 unless layout is 'chw4', got 3"),
        (
            {"layout": "chw4", "dtype": np.int8, "channel": -1},
            "channel must be a whole number from 0 to 65535, got -1",
        ),
    ],
)
def test_refuses_a_number_or_a_word(arguments, words):
    with pytest.raises(ArgumentError, match=words):
        pack_color(zeros(4, 5, 3), **({"size": (2, 2)} | arguments))


def test_refuses_an_out_it_cannot_fill():
    frame = zeros(4, 5, 3)

    def refused(out, error, words):
        with pytest.raises(error, match=words):
            pack_color(frame, size=(2, 2), out=out)

    refused(zeros(2, 2, 3, dtype=np.float32), ShapeError, r"^out must have shape")
    refused(zeros(3, 2, 2, dtype=np.float64), DTypeError, "^out must be float32")
    strided = zeros(3, 2, 4, dtype=np.float32)[..., ::2]
    refused(strided, LayoutError, "^out must be C-contiguous")
    locked = zeros(3, 2, 2, dtype=np.float32)
    locked.flags.writeable = False
    refused(locked, ArgumentError, "^out must be writable, got a read-only array")
    crooked = np.zeros(49, np.uint8)[1:].view(np.float32).reshape(3, 2, 2)
    refused(crooked, LayoutError, "^out must be")
    shared = np.zeros(60, np.uint8)
    frame = shared.reshape(4, 5, 3)
    own = shared[:48].view(np.float32).reshape(3, 2, 2)
    refused(own, ArgumentError, "^out must not share memory with frame")


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        (zeros(1, 2, 2, 4, dtype=np.int8), ShapeError, r"\(2, 2, 2, 4\), got \(1, 2,"),
        (zeros(2, 2, 2, 3, dtype=np.int8), ShapeError, r"\(2, 2, 2, 4\), got \(2, 2,"),
        (zeros(5, 2, 3, 4, dtype=np.int8), ShapeError, r"\(5, 2, 2, 4\), got \(5, 2,"),
        (zeros(8, 2, 2, dtype=np.int8), ShapeError, r"\(2, 2, 2, 4\), got \(8, 2,"),
        (zeros(2, 2, 2, 4), DTypeError, "int8, got uint8"),
        (zeros(2, 2, 2, 8, dtype=np.int8)[..., ::2], LayoutError, "C-contiguous"),
    ],
)
def test_refuses_a_tensor_without_room_in_chw4(out, error, words):
    chw4 = {"dtype": np.int8, "layout": "chw4", "channel": 3}
    with pytest.raises(error, match=f"^out must .*{words}"):
        pack_color(zeros(4, 5, 3), size=(2, 2), out=out, **chw4)


def test_a_packer_gives_what_the_function_gives_whatever_the_frames_width(rng):
    settings = {
        "scale": 1 / 255,
        "mean": (0.5, 0.4, 0.3),
        "std": (0.2, 0.3, 0.4),
        "channels": "BGR",
        "planes": "RGB",
        "filter": "bilinear",
    }
    pack = PackColor(size=(17, 29), **settings)
    out = np.empty((3, 17, 29), np.float32)
    for shape in [(37, 53), (17, 29), (8, 300), (37, 53)]:
        frame = rng.integers(0, 256, (*shape, 3), np.uint8)
        pack(frame, out)
        wanted = pack_color(frame, size=(17, 29), **settings)
        np.testing.assert_array_equal(out, wanted)


def test_a_packer_checks_every_frame_and_every_out(rng):
    pack = PackColor(size=(5, 6), channels="GRAY", crop=(2, 3, 10, 10))
    good = noise(rng, 20, 20)
    out = pack(good)
    before = out.copy()
    for frame, error in [
        (good.astype(np.int8), DTypeError),
        (noise(rng, 20, 20, 3), ShapeError),
        (noise(rng, 11, 20), ArgumentError),  # the crop does not lie in it
        (np.asfortranarray(good), LayoutError),
        (good.tolist(), DTypeError),
    ]:
        with pytest.raises(error):
            pack(frame, out)
        with pytest.raises(error):
            pack.check(frame)
        np.testing.assert_array_equal(pack(good, np.empty_like(out)), before)
        pack.check(good)
    locked = out.copy()
    locked.flags.writeable = False
    memory = np.zeros(1000, np.uint8)
    good = memory[:400].reshape(20, 20)
    pack(good)
    shared = memory[396 : 396 + out.nbytes].view(np.float32).reshape(out.shape)
    for wrong in (
        *(out[:, ::2], out.astype(np.float64), out[None], out.tolist()),
        *(locked, shared),
    ):
        with pytest.raises((ArgumentError, DTypeError), match=r"^out must"):
            pack(good, wrong)
    np.testing.assert_array_equal(out, before)


def maybe(right, *wrong):
    """Mostly right, so that several arguments together still get somewhere."""
    return st.one_of(right, right, right, right, st.sampled_from(wrong))


HOSTILE = [None, "", "90", (), [], {}, -1, 0, 1.5, 2**70, float("nan"), 1e300, b"x"]
SIDES = st.integers(1, 20)
ARRAYS = {
    "right": lambda a: a,
    "a row missing": lambda a: a[1:],
    "every second element": lambda a: a[..., ::2],
    "turned": lambda a: a.T,
    "other numbers": lambda a: a.astype(np.float64),
    "other bytes": lambda a: a.view(np.uint8)[..., :0],
    "empty": lambda a: a[:0],
    "flat": lambda a: a.ravel(),
    "a list": lambda a: a.tolist(),
    "none": lambda _: None,
    "a number": lambda a: a.sum(),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@settings(max_examples=700, deadline=None, suppress_health_check=FIXTURES)
@given(
    shape=st.tuples(SIDES, SIDES, st.sampled_from([1, 3, 3, 3, 4])),
    size=maybe(st.tuples(SIDES, SIDES), (3,), (0, 4), (4, 70000), *HOSTILE),
    frame=st.sampled_from(["right"] * 12 + [*ARRAYS]),
    out=st.sampled_from(["right"] * 12 + ["shared", *ARRAYS]),
    words=st.fixed_dictionaries(
        {},
        optional={
            "scale": maybe(st.floats(-2, 2), np.zeros(2), 10**400, *HOSTILE),
            "mean": maybe(st.just((0, 1, 2)), (0, 1), "abc", (1, 2, "3"), *HOSTILE),
            "std": maybe(st.just((1, 2, 3)), (0, 1, 2), (1, 1, 1e-320), *HOSTILE),
            "channels": maybe(
                st.sampled_from(["RGB", "BGR", "RGBA", "GRAY"]), np.ones(3), *HOSTILE
            ),
            "planes": maybe(st.sampled_from(["RGB", "BGR"]), "GRB", *HOSTILE),
            "filter": maybe(st.sampled_from(FILTERS), "cubic", *HOSTILE),
            "crop": maybe(st.just((0, 0, 1, 1)), (1, 1, 99, 1), "box!", *HOSTILE),
            "rotate": maybe(st.sampled_from([0, 90, np.int64(180)]), 45, *HOSTILE),
            "fit": maybe(st.sampled_from(["stretch", "letterbox"]), *HOSTILE),
            "fill": maybe(st.floats(-2, 2), np.zeros(2), *HOSTILE),
            "dtype": maybe(
                st.sampled_from([np.float32, np.float16, np.int8]), "i,,", *HOSTILE
            ),
            "out_scale": maybe(st.just(1), -1, 0.1, *HOSTILE),
            "layout": maybe(st.sampled_from(["linear", "chw4"]), "hwc8", *HOSTILE),
            "channel": maybe(st.just(0), 1, 2, 70000, *HOSTILE),
            "threads": maybe(st.integers(1, 3), 65, *HOSTILE),
        },
    ),
)
def test_misuse(shape, size, frame, out, words):
    """Whatever is passed: a result, or one sentence of ours and nothing written."""
    memory = np.full(40_000, 77, np.uint8)
    pixels = memory[: math.prod(shape)].reshape(shape)
    given = ARRAYS[frame](pixels)
    target = None
    if out != "none":
        dtype = words.get("dtype", np.float32)
        dtype = dtype if isinstance(dtype, type) else np.float32
        sides = size if isinstance(size, tuple) and len(size) == 2 else (2, 2)
        count = (
            max(0, 3 * min(sides[0], 20) * min(sides[1], 20)) * np.dtype(dtype).itemsize
        )
        start = 0 if out == "shared" else 20_000
        target = memory[start : start + count].view(dtype)
        if count:
            target = target.reshape(3, min(sides[0], 20), min(sides[1], 20))
        target = ARRAYS.get(out, ARRAYS["right"])(target)
    before = memory.copy()
    sentence = None
    try:
        result = pack_color(given, size=size, out=target, **words)
    except FusegError as err:
        sentence = str(err)
    if sentence is not None:
        assert re.fullmatch(r"[a-z].*\.", sentence), "one line, a sentence"
        np.testing.assert_array_equal(memory, before)
        return
    groups = (words.get("channel", 0) + 3 + 3) // 4
    in_groups = words.get("layout") == "chw4"
    assert result.shape == ((groups, *size, 4) if in_groups else (3, *size))
    assert result.dtype == words.get("dtype", np.float32)
    assert target is None or result is target
    assert not np.may_share_memory(given, result)
    untouched = memory.copy()
    if target is not None:
        untouched[start : start + result.nbytes] = 77
    np.testing.assert_array_equal(untouched, np.full_like(memory, 77))
