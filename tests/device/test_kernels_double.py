"""The double of the CUDA module has its functions, and the rooms do what they do."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from doubles import Machine, install, kernels_cuda
from doubles.arrays import OnMachine
from doubles.memory import POISON

from fuseg import ops
from fuseg.cuda import launch


def named(module):
    """Names of the functions, and of their parameters."""
    functions = {n: getattr(module, n) for n in dir(module) if not n.startswith("_")}
    return {n: parameters(f) for n, f in functions.items() if callable(f)}


def parameters(function):
    if inspect.isfunction(function):
        return [
            name.removesuffix("_") for name in inspect.signature(function).parameters
        ]
    inside = function.__doc__.partition("(")[2].rpartition(") ->")[0]
    return re.findall(r"(?:^|, )(\w+): ", inside)


def test_it_has_the_functions_of_the_module_with_their_parameters(emulated):
    assert named(kernels_cuda.make(Machine())) == named(emulated)


def test_the_module_says_what_its_parameters_are_called(emulated):
    assert parameters(emulated.copy) == ["to", "source", "size", "stream"]
    assert parameters(emulated.device_count) == []
    assert parameters(emulated.overlay_cuda)[3] == "palette"


@pytest.fixture
def gpu(monkeypatch, machine):
    install(monkeypatch, machine)
    return machine


@pytest.fixture
def put(gpu):
    return lambda array: OnMachine(gpu, array)


@pytest.fixture
def blank(gpu):
    def make(shape, dtype):
        array = np.empty(shape, dtype)
        array.view(np.uint8)[...] = POISON
        return OnMachine(gpu, array)

    return make


@pytest.fixture
def done(gpu):
    """Wait for the default stream and look."""

    def look(array):
        gpu.synchronize(1)
        return array.numpy()

    return look


@pytest.fixture
def rng():
    return np.random.default_rng(5)


VIEWS = {
    "dense": lambda a: np.ascontiguousarray(a[:37, :53]),
    "a crop": lambda a: a[3:40, 5:58],
    "upside down": lambda a: a[40:3:-1, 5:58],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("channels", ["BGR", "RGBA", "GRAY"])
def test_pack_color(put, blank, done, rng, channels, view):
    shape = {"BGR": (60, 70, 3), "RGBA": (60, 70, 4), "GRAY": (60, 70)}[channels]
    frame = VIEWS[view](rng.integers(0, 256, shape, dtype=np.uint8))
    for settings in (
        {"size": (33, 41)},
        {"size": (24, 32), "crop": (2, 3, 30, 40), "rotate": 90, "fit": "letterbox"},
        {"size": (9, 80), "dtype": np.int8, "out_scale": 0.02, "rotate": 180},
        {"size": (9, 80), "dtype": np.float16, "filter": "nearest"},
    ):
        pack = ops.PackColor(channels=channels, **settings)
        wanted = pack(frame)
        out = blank(wanted.shape, wanted.dtype)
        pack(put(frame), out)
        np.testing.assert_array_equal(done(out), wanted)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pack_depth(put, blank, done, rng, dtype, view):
    frame = VIEWS[view]((rng.random((60, 70)) * 250).astype(dtype))
    for settings in (
        {"size": (33, 41)},
        {"size": (24, 32), "crop": (2, 3, 30, 40), "rotate": 270, "filter": "bilinear"},
        {"size": (9, 80), "dtype": np.int8, "out_scale": 2, "fit": "letterbox"},
    ):
        pack = ops.PackDepth(dtype, invalid=(7,), fill=-1.0, **settings)
        wanted, flags = np.empty(pack.size, pack.dtype), np.empty(pack.size, np.uint8)
        pack(frame, wanted, flags)
        out, valid = blank(pack.size, pack.dtype), blank(pack.size, np.uint8)
        assert pack(put(frame), out, valid) == -1
        np.testing.assert_array_equal(done(out), wanted)
        np.testing.assert_array_equal(done(valid), flags)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(5, 9, 11), (2, 4, 6, 5), (1, 6, 6), (300, 4, 5)])
def test_upsample_argmax(put, blank, done, rng, shape, dtype):
    scores = rng.standard_normal(shape).astype(dtype)
    label = ops.UpsampleArgmax(shape, dtype, size=(31, 40))
    sure = np.empty(label.shape, np.float32)
    wanted = label(scores, confidence=sure)
    out, confidence = blank(label.shape, label.dtype), blank(label.shape, np.float32)
    label(put(scores), out=out, confidence=confidence)
    np.testing.assert_array_equal(done(out), wanted)
    np.testing.assert_array_equal(done(confidence), sure)


@pytest.mark.parametrize("channel", [0, 1, 3])
def test_planes_among_the_channels_of_chw4(put, done, rng, channel):
    frame = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    depth = (rng.random((20, 30)) * 250).astype(np.uint16)
    settings = {"size": (8, 10), "dtype": np.int8, "out_scale": 0.5, "layout": "chw4"}
    pack = ops.PackColor(channel=channel, **settings)
    pack_depth = ops.PackDepth(np.uint16, channel=channel + 3, **settings)
    wanted = np.full((2, 8, 10, 4), 7, np.int8)
    out = put(wanted)
    pack(frame, wanted)
    pack_depth(depth, wanted)
    pack(put(frame), out)
    pack_depth(put(depth), out)
    np.testing.assert_array_equal(done(out), wanted)


def test_upsample_argmax_of_hwc8(put, blank, done, rng):
    scores = rng.standard_normal((6, 9, 8)).astype(np.float16)
    label = ops.UpsampleArgmax((5, 6, 9), np.float16, size=(31, 40), layout="hwc8")
    wanted = label(scores)
    out = blank(label.shape, label.dtype)
    label(put(scores), out=out)
    np.testing.assert_array_equal(done(out), wanted)


def test_fuse_argmax(put, blank, done, rng):
    maps = [rng.random((3, 5, 6), np.float32), rng.random((3, 9, 4)).astype(np.float16)]
    plane, size = (rng.random((5, 6)) < 0.7).astype(np.uint8), (20, 31)
    settings = {"size": size, "weights": [1.0, 0.5]}
    whose = np.empty(size, np.uint8)
    wanted = ops.fuse_argmax(maps, valid=[plane, None], source=whose, **settings)
    out, source = blank(size, np.uint8), blank(size, np.uint8)
    given = [put(m) for m in maps]
    valid = [put(plane), None]
    ops.fuse_argmax(given, valid=valid, out=out, source=source, **settings)
    np.testing.assert_array_equal(done(out), wanted)
    np.testing.assert_array_equal(done(source), whose)


@pytest.mark.parametrize("view", [None, *VIEWS])
@pytest.mark.parametrize("ignore", [None, 3])
def test_overlay(put, blank, done, rng, ignore, view):
    labels = rng.integers(0, 11, (37, 53), dtype=np.uint8)
    palette = rng.integers(0, 256, (11, 3), dtype=np.uint8)
    frame = None
    if view:
        frame = VIEWS[view](rng.integers(0, 256, (60, 70, 3), dtype=np.uint8))
    wanted = ops.overlay(labels, palette=palette, frame=frame, ignore=ignore)
    out = blank((37, 53, 3), np.uint8)
    given = None if frame is None else put(frame)
    ops.overlay(put(labels), palette=palette, frame=given, ignore=ignore, out=out)
    np.testing.assert_array_equal(done(out), wanted)


def test_overlay_leaves_a_label_without_a_colour_as_it_leaves_ignore(
    put, blank, done, rng
):
    labels = rng.integers(0, 11, (37, 53), dtype=np.uint8)
    frame = rng.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    palette = np.full((4, 3), 200, np.uint8)
    out = blank(frame.shape, np.uint8)
    ops.overlay(put(labels), palette=palette, frame=put(frame), out=out, alpha=1)
    wanted = np.where((labels > 3)[..., None], frame, 200)
    np.testing.assert_array_equal(done(out), wanted)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_confusion_matrix_adds_and_leaves_out_labels_beyond_the_classes(
    put, done, rng, dtype
):
    truth = rng.integers(0, 7, 1000).astype(dtype)
    guess = rng.integers(0, 7, 1000).astype(dtype)
    before = rng.integers(0, 9, (5, 5))
    counted = (truth < 5) & (guess < 5) & (truth != 2)
    wanted = before.copy()
    np.add.at(wanted, (truth[counted], guess[counted]), 1)
    out = put(before)
    ops.confusion_matrix(put(truth), put(guess), classes=5, ignore=2, out=out)
    np.testing.assert_array_equal(done(out), wanted)


def test_settings_are_those_of_the_call_though_the_work_is_late(
    gpu, put, blank, done, rng
):
    labels = rng.integers(0, 4, (8, 9), dtype=np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    given, out = palette.copy(), blank((8, 9, 3), np.uint8)
    array = put(labels)
    launch.kernels().overlay_cuda(
        *(array.address, 8, 9, given, 0, 0, 256, -1, out.address, 1)
    )
    given[...] = 0
    np.testing.assert_array_equal(done(out), palette[labels])
    assert gpu.counts["overlay_cuda"] == gpu.counts["kernel"] == 1


def test_a_room_works_on_pinned_memory_as_on_an_integrated_gpu(gpu, done, rng):
    labels = rng.integers(0, 4, (8, 9), dtype=np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    given = OnMachine(gpu, labels, pinned=True)
    out = OnMachine(gpu, np.zeros((8, 9, 3), np.uint8), pinned=True)
    ops.overlay(given, palette=palette, out=out)
    np.testing.assert_array_equal(done(out), palette[labels])


def test_a_kernel_that_does_not_start_is_told_in_fusegs_words(gpu, put, blank):
    gpu.fail("overlay_cuda")
    with pytest.raises(RuntimeError, match="overlay could not be started on the GPU"):
        ops.overlay(
            put(np.zeros((2, 2), np.uint8)),
            palette=np.zeros((4, 3), np.uint8),
            out=blank((2, 2, 3), np.uint8),
        )
