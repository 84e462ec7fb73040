"""Arrays on a GPU without one: what is passed on, what is refused, in which words."""

from __future__ import annotations

import ctypes
import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fuseg import ops
from fuseg.cuda import launch
from fuseg.cuda.array_view import as_view
from fuseg.errors import (
    ArgumentError,
    BackendError,
    DTypeError,
    LayoutError,
    ShapeError,
)


class Fake:
    """Says that it is on the GPU, at an address where nothing is."""

    def __init__(self, shape, dtype, address=4096, **more):
        self.interface = {
            "shape": shape,
            "typestr": np.dtype(dtype).str,
            "data": (address, False),
            "version": 3,
            **more,
        }

    @property
    def __cuda_array_interface__(self):
        return self.interface


class Recorder:
    """A double of ``_kernels_cuda``: notes what it was called with."""

    def __init__(self):
        self.calls = []
        self.device_of = lambda _: 0
        self.current_device = lambda: 0

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))

    def launched(self):
        """The name of a kernel, and the addresses of its arrays; the first one."""
        _, kernel, views, _ = next(c for c in self.calls if c[0] == "launch")
        return kernel.name, [0 if v is None else v.pointer for v in views]


@pytest.fixture
def kernels(monkeypatch):
    double = Recorder()
    monkeypatch.setattr(launch, "kernels", lambda: double)
    return double


PALETTE = np.zeros((4, 3), np.uint8)


def labels(**more):
    return Fake((4, 5), np.uint8, 4096, **more)


def picture(**more):
    return Fake((4, 5, 3), np.uint8, 8192, **more)


def test_arrays_are_passed_on_in_the_kernels_order(kernels):
    out = Fake((4, 5, 3), np.uint8, 16384)
    frame = picture(strides=(-32, 3, 1))
    got = ops.overlay(labels(), palette=PALETTE, frame=frame, ignore=7, out=out)
    assert got is out
    assert kernels.launched() == ("overlay", [4096, 8192, 16384])
    _, _, views, stream = kernels.calls.pop()
    assert views[1].strides == (-32, 3, 1)
    assert stream == 1


def test_an_array_that_is_not_given_is_none(kernels):
    ops.overlay(labels(), palette=PALETTE, out=picture())
    assert kernels.calls[0][2][1] is None


@pytest.mark.parametrize(
    ("stream", "handle"),
    [
        (77, 77),
        (0, 1),  # both mean the default stream
        (SimpleNamespace(cuda_stream=77), 77),
        (SimpleNamespace(ptr=77), 77),
        (SimpleNamespace(handle=77), 77),
        (SimpleNamespace(handle=ctypes.c_void_p(77)), 77),
        (SimpleNamespace(handle=ctypes.c_void_p(0)), 1),
        (SimpleNamespace(__cuda_stream__=lambda: (0, 77)), 77),
    ],
)
def test_every_spelling_of_a_stream(kernels, stream, handle):
    ops.overlay(labels(), palette=PALETTE, out=picture(), stream=stream)
    assert kernels.calls[-1][-1] == handle


def test_work_goes_where_the_arrays_say_theirs_is(kernels):
    ops.overlay(labels(stream=5), palette=PALETTE, out=picture())
    assert [call[-1] for call in kernels.calls] == [5]


def test_work_waits_for_that_of_other_streams(kernels):
    ops.overlay(labels(stream=5), palette=PALETTE, out=picture(stream=6), stream=7)
    assert kernels.calls[:2] == [("stream_wait", 7, 5), ("stream_wait", 7, 6)]
    assert kernels.calls[2][-1] == 7


@pytest.mark.parametrize("stream", [-1, 1.5, "fast", True, object()])
def test_refuses_what_is_no_stream(kernels, stream):
    with pytest.raises(ArgumentError, match="stream must be a CUDA stream"):
        ops.overlay(labels(), palette=PALETTE, out=picture(), stream=stream)
    assert not kernels.calls


HOST = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"out": None}, ArgumentError, "out must be given when labels is on the GPU"),
        ({"out": HOST}, ArgumentError, "out must be on the GPU like labels"),
        ({"frame": HOST}, ArgumentError, "frame must be on the GPU like labels"),
        ({"labels": HOST[..., 0].copy()}, ArgumentError, "must be on the CPU like"),
        (
            {"palette": Fake((4, 3), np.uint8)},
            ArgumentError,
            "palette must be on",
        ),
        ({"labels": Fake((4,), np.uint8)}, ShapeError, "labels must have shape"),
        ({"labels": Fake((0, 5), np.uint8)}, ShapeError, "labels must not be empty"),
        ({"labels": Fake((4, 5), np.int8)}, DTypeError, "labels must be uint8"),
        ({"labels": labels(strides=(10, 2))}, LayoutError, "labels must be C-contig"),
        ({"labels": labels(mask=labels())}, DTypeError, "could not be: it has a mask"),
        ({"frame": picture(strides=(15, 1, 3))}, LayoutError, "pixels of a row side"),
        ({"out": picture(data=(8192, True))}, ArgumentError, "out must be writable"),
        ({"out": picture(data=(4100, False))}, ArgumentError, "not share memory with"),
        ({"out": Fake((4, 5), np.uint8)}, ShapeError, "out must have shape"),
    ],
)
def test_refuses(kernels, arguments, error, words):
    usual = {"labels": labels(), "palette": PALETTE, "out": picture()}
    given = usual | arguments
    with pytest.raises(error, match=words) as caught:
        ops.overlay(given.pop("labels"), **given)
    assert not kernels.calls
    assert str(caught.value).count("\n") == 0


def test_a_stream_on_the_cpu_is_refused():
    with pytest.raises(ArgumentError, match="stream must be omitted when labels is on"):
        ops.overlay(np.zeros((2, 2), np.uint8), palette=PALETTE, stream=0)


def test_every_op_takes_arrays_on_the_gpu(kernels):
    scores = Fake((3, 4, 5), np.float16, 4096)
    plane = Fake((8, 10), np.uint8, 1 << 20)
    sure = Fake((8, 10), np.float32, 2 << 20)
    ops.upsample_argmax(scores, size=(8, 10), out=plane, confidence=sure)
    valid = [Fake((4, 5), np.uint8, 3 << 20), None]
    other = Fake((3, 2, 2), np.float32, 8192)
    ops.fuse_argmax([scores, other], size=(8, 10), out=plane, valid=valid)
    frame = Fake((6, 7, 3), np.uint8, 4096)
    ops.pack_color(frame, size=(8, 10), out=Fake((3, 8, 10), np.float32, 1 << 20))
    depth = Fake((6, 7), np.uint16, 4096)
    out, readings = ops.pack_depth(depth, size=(8, 10), out=sure, valid=plane)
    assert (out, readings) == (sure, -1)
    counts = Fake((3, 3), np.int64, 1 << 20)
    ops.confusion_matrix(depth, depth, classes=3, out=counts)
    boxes, sure = Fake((9, 4), np.float32, 4096), Fake((9,), np.float32, 8192)
    kept = Fake((5,), np.int32, 1 << 20)
    found = ops.nms(
        boxes,
        sure,
        Fake((9,), np.int32, 2 << 20),
        iou_threshold=0.5,
        max_boxes=5,
        out=kept,
    )
    assert found is kept
    by_name = {
        kernel.name: [v and v.pointer for v in views]
        for _, kernel, views, _ in kernels.calls
    }
    assert by_name == {
        "upsample_argmax": [4096, 1 << 20, 2 << 20, None],
        "fuse_argmax": [4096, 8192, 3 << 20, None, 1 << 20, None, None],
        "pack_color": [4096, 1 << 20],
        "pack_depth": [4096, 2 << 20, 1 << 20],
        "confusion_matrix": [4096, 4096, 1 << 20],
        "nms": [4096, 8192, 2 << 20, 1 << 20],
    }


def test_layouts_are_passed_on(kernels):
    chw4 = {"size": (8, 10), "dtype": np.int8, "layout": "chw4"}
    tensor = Fake((2, 8, 10, 4), np.int8, 1 << 20)
    frame = Fake((6, 7, 3), np.uint8, 4096)
    assert ops.pack_color(frame, out=tensor, channel=2, **chw4) is tensor
    depth = Fake((6, 7), np.uint16, 4096)
    assert ops.pack_depth(depth, out=tensor, channel=5, **chw4)[0] is tensor
    with pytest.raises(ShapeError, match=r"out must have shape \(3, 8, 10, 4\), got"):
        ops.pack_depth(depth, out=tensor, channel=8, **chw4)
    scores = Fake((4, 5, 24), np.float16, 4096)
    labels = Fake((8, 10), np.uint8, 1 << 20)
    hwc8 = {"size": (8, 10), "layout": "hwc8", "classes": 19, "out": labels}
    assert ops.upsample_argmax(scores, **hwc8) is labels
    shapes = [[v and v.shape for v in views] for _, kernel, views, _ in kernels.calls]
    assert shapes == [
        [(6, 7, 3), (2, 8, 10, 4)],
        [(6, 7), (2, 8, 10, 4), None],
        [(4, 5, 24), (8, 10), None, None],
    ]


@pytest.mark.parametrize("address", [8194, 8200])
def test_scores_in_hwc8_that_are_not_at_16_bytes_are_refused(kernels, address):
    scores = Fake((4, 5, 24), np.float16, address)
    hwc8 = {"size": (4, 5), "layout": "hwc8", "classes": 19, "out": labels()}
    with pytest.raises(LayoutError, match=r"a multiple of 16 bytes .*, got address 0x"):
        ops.upsample_argmax(scores, **hwc8)
    assert not kernels.calls


def test_more_images_than_a_launch_takes_are_refused(kernels):
    scores, labels = Fake((65536, 2, 1, 1), "f4"), Fake((65536, 1, 1), "u1", 1 << 30)
    with pytest.raises(ShapeError, match=r"at most 65535 images .*, got 65536: label"):
        ops.upsample_argmax(scores, size=(1, 1), out=labels)
    assert not kernels.calls
    half, labels = Fake((65535, 2, 1, 1), "f4"), Fake((65535, 1, 1), "u1", 1 << 30)
    ops.upsample_argmax(half, size=(1, 1), out=labels)
    assert kernels.launched()[0] == "upsample_argmax"


def test_a_rejected_launch_is_one_sentence(monkeypatch):
    def broken(*_):
        raise RuntimeError("overlay could not be launched: no kernel image")

    double = Recorder()
    double.launch = broken
    monkeypatch.setattr(launch, "kernels", lambda: double)
    with pytest.raises(BackendError, match=r"overlay could not be .*: no kernel image"):
        ops.overlay(labels(), palette=PALETTE, out=picture())


def test_without_a_driver_the_sentence_says_so(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(launch.ctypes, "CDLL", missing)
    launch._loaded.cache_clear()
    with pytest.raises(BackendError, match=r"libcuda\.so\.1 cannot be loaded here"):
        ops.overlay(labels(), palette=PALETTE, out=picture())


def test_without_the_module_the_sentence_says_so(monkeypatch):
    monkeypatch.setattr(launch.ctypes, "CDLL", lambda name: name)
    monkeypatch.setitem(sys.modules, "fuseg._kernels_cuda", None)
    launch._loaded.cache_clear()
    with pytest.raises(BackendError, match=r"was built without it .* sdist where nvcc"):
        ops.overlay(labels(), palette=PALETTE, out=picture())
    launch._loaded.cache_clear()


def test_in_a_child_that_fork_made_the_sentence_says_so(monkeypatch):
    monkeypatch.setattr(launch.ctypes, "CDLL", lambda name: name)
    monkeypatch.setitem(sys.modules, "fuseg._kernels_cuda", Recorder())
    launch._loaded.cache_clear()
    ops.overlay(labels(), palette=PALETTE, out=picture())
    child = os.fork()
    if child == 0:
        code = 1
        try:
            ops.overlay(labels(), palette=PALETTE, out=picture())
        except BackendError as err:
            code = 0 if "with spawn" in str(err) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    launch._loaded.cache_clear()


class OfDLPack:
    """A NumPy array that only has DLPack, perhaps on the GPU by its own account."""

    def __init__(self, array, kind=1):
        self.array, self.kind, self.streams = array, kind, []

    def __dlpack_device__(self):
        return self.kind, 0

    def __dlpack__(self, **given):
        self.streams.append(given.pop("stream", None))
        return self.array.__dlpack__()


def test_dlpack_on_the_cpu_is_read_where_it_lies(rng):
    given = rng.integers(0, 4, (6, 7), dtype=np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    got = ops.overlay(OfDLPack(given), palette=OfDLPack(palette))
    np.testing.assert_array_equal(got, palette[given])


def test_dlpack_on_the_gpu_gives_its_address_and_orders_its_work(kernels):
    array = np.zeros((4, 6), np.uint8)
    given, out = OfDLPack(array, 2), OfDLPack(np.zeros((4, 6, 3), np.uint8), 2)
    ops.overlay(given, palette=PALETTE, out=out, stream=9)
    assert kernels.launched()[1][0] == array.ctypes.data
    assert given.streams == [-1, 9]
    with pytest.raises(LayoutError, match="got strides"):
        ops.overlay(OfDLPack(array[:, ::2], 2), palette=PALETTE, out=out)


class OfPyTorch(Fake):
    """As PyTorch's tensors: an interface that names no stream, and DLPack."""

    def __init__(self, *layout):
        super().__init__(*layout, version=2)
        self.streams = []

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, *, stream):
        self.streams.append(stream)


def test_an_interface_without_a_stream_leaves_the_order_to_dlpack(kernels):
    given, out = OfPyTorch((4, 5), np.uint8), OfPyTorch((4, 5, 3), np.uint8, 8192)
    ops.overlay(given, palette=PALETTE, out=out, stream=9)
    assert (given.streams, out.streams) == ([9], [9])
    assert kernels.launched() == ("overlay", [4096, 0, 8192])
    assert [call[0] for call in kernels.calls] == ["launch"]


@pytest.mark.parametrize(
    "array",
    [
        OfPyTorch((4, 5), np.bool_),  # which older DLPack has no word for
        Fake((4, 5), np.uint8, version=2),
        picture(stream=5),
    ],
)
def test_an_interface_orders_where_dlpack_cannot_or_need_not(array):
    assert not as_view("array", array).ordered


def test_dlpack_of_another_device_is_refused():
    with pytest.raises(DTypeError, match="got DLPack device type 10"):
        ops.overlay(OfDLPack(np.zeros((2, 2), np.uint8), 10), palette=PALETTE)


def test_tensors_of_pytorch_are_taken_on_the_cpu():
    torch = pytest.importorskip("torch")
    scores = torch.randn(3, 4, 5)
    out = torch.empty(8, 10, dtype=torch.uint8)
    assert ops.upsample_argmax(scores, size=(8, 10), out=out) is out
    wanted = ops.upsample_argmax(scores.numpy(), size=(8, 10))
    np.testing.assert_array_equal(out.numpy(), wanted)
    frame = torch.full((6, 7), 9, dtype=torch.uint8)
    pack = ops.PackDepth(np.uint8, size=(3, 3))
    assert pack.has_reading(frame)
    plane = torch.empty(3, 3)
    assert [pack(frame, plane) for _ in range(2)] == [9, 9]
    with pytest.raises(DTypeError, match=r"Tensor that could not be: .*detach"):
        ops.upsample_argmax(scores.requires_grad_(), size=(8, 10))


def test_an_out_that_numpy_shares_for_reading_only_is_refused():
    locked = np.zeros((4, 5, 3), np.uint8)
    locked.flags.writeable = False

    class ReadOnly(OfDLPack):
        def __dlpack__(self, **given):
            return self.array.__dlpack__(max_version=(1, 0))

    given = np.zeros((4, 5), np.uint8)
    with pytest.raises(ArgumentError, match=r"out must be writable, got ReadOnly"):
        ops.overlay(given, palette=PALETTE, out=ReadOnly(locked))
