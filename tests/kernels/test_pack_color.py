"""pack_color: positions, blends, numbers, layouts, refusals."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fuseg import _kernels
from fuseg.errors import ArgumentError, DTypeError, LayoutError, ShapeError
from fuseg.ops import pack_color
from fuseg.ops.pack_color import ColorPacker

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
LEVELS = (0, 1) if platform.machine() == "aarch64" else (0, 3, 4)
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@pytest.fixture(
    autouse=True, params=[n for n in LEVELS if n <= _kernels.widest_level()]
)
def level(request: pytest.FixtureRequest) -> Iterator[int]:
    """Every test at every instruction set that runs here."""
    _kernels.use_level(request.param)
    yield request.param
    _kernels.use_level(_kernels.widest_level())


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
    return along @ np.tensordot(down, frame.astype(np.float64), 1)


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
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_matches_the_definition(shape, size, filter, rng):
    frame = noise(rng, *shape, 3)
    planes = pack_color(frame, size=size, filter=filter, **IMAGENET)
    assert_as_defined(planes, frame, size=size, filter=filter, **IMAGENET)


@settings(max_examples=80, deadline=None)
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
    frame = rng.integers(0, 2, (1080, 1920, 3), dtype=np.uint8) * np.uint8(255)
    for size in [(480, 640), (333, 777), (1081, 1919)]:
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
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_torch_interpolates_alike(shape, size, filter, rng):
    frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    tensor = torch.from_numpy(frame).permute(2, 0, 1)[None].double()
    mode = filter.removesuffix("-antialias")
    wanted = torch.nn.functional.interpolate(
        tensor, size, mode=mode, antialias=filter != mode
    )[0].numpy()
    planes = pack_color(frame, size=size, scale=1.0, filter=filter)
    np.testing.assert_allclose(planes, wanted, atol=1e-4)


@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_opencv_interpolates_alike(shape, size, rng):
    frame = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    wanted = cv2.resize(frame.astype(np.float32), size[::-1])
    planes = pack_color(frame, size=size, scale=1.0)
    np.testing.assert_allclose(planes.transpose(1, 2, 0), wanted, atol=0.02)


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
@pytest.mark.parametrize(("shape", "size"), SIZES)
def test_stays_inside_its_arrays(shape, size, filter, fenced, rng):
    frame = fenced((*shape, 3), np.uint8)
    frame[...] = rng.integers(0, 256, frame.shape)
    before = frame.copy()
    out = fenced((3, *size), np.float32)
    assert pack_color(frame, size=size, filter=filter, out=out) is out
    np.testing.assert_array_equal(out, pack_color(before, size=size, filter=filter))
    np.testing.assert_array_equal(frame, before)
    pack_color(frame[::-1], size=size, filter=filter, out=out)
    pack_color(frame[-1:, -1:], size=size, filter=filter, out=out)


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
        ({"planes": "GBR"}, "planes must be one of"),
        ({"filter": "cubic"}, "filter must be one of.*'bilinear'.*, got 'cubic'"),
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


def test_a_packer_gives_what_the_function_gives_whatever_the_frames_width(rng):
    settings = {
        "scale": 1 / 255,
        "mean": (0.5, 0.4, 0.3),
        "std": (0.2, 0.3, 0.4),
        "channels": "BGR",
        "planes": "RGB",
        "filter": "bilinear",
    }
    pack = ColorPacker(size=(17, 29), **settings)
    out = np.empty((3, 17, 29), np.float32)
    for shape in [(37, 53), (17, 29), (8, 300), (37, 53)]:
        frame = rng.integers(0, 256, (*shape, 3), np.uint8)
        pack(frame, out)
        wanted = pack_color(frame, size=(17, 29), **settings)
        np.testing.assert_array_equal(out, wanted)
