"""Maps of numbers on a GPU: packed plane by plane, with one upload."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from doubles.arrays import OnMachine

import fuseg
from fuseg.errors import DTypeError, LayoutError
from fuseg.manifest import Missing

CAMERA = (40, 52)


@pytest.fixture
def mapped(make_bundle, color_input, map_input):
    """Colour, and two numbers a pixel in the same tensor, which may be missing."""
    size = (13, 17)
    hha = map_input(
        planes=2, size=size, tensor="all", channel=3, missing=Missing("substitute")
    )
    return make_bundle(color_input(size=size, tensor="all"), hha)


def drawn(seed):
    rng = np.random.default_rng(seed)
    return {
        "rgb": rng.integers(0, 256, (*CAMERA, 3), np.uint8),
        "hha": rng.integers(0, 5, (*CAMERA, 2), np.uint8),
    }


class Planar:
    """(H, W, C) on the machine with the planes apart, as a tensor that was permuted."""

    def __init__(self, array):
        from fuseg.cuda import launch

        planes = np.ascontiguousarray(np.moveaxis(array, -1, 0))
        cuda = launch.kernels()
        self.address = cuda.allocate(planes.nbytes)
        self.host, _ = cuda.allocate_pinned(planes.nbytes)
        ctypes.memmove(self.host, planes.ctypes.data, planes.nbytes)
        cuda.copy(self.address, self.host, planes.nbytes, 1)
        height, width, _ = array.shape
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "strides": (width, 1, height * width),
            "data": (self.address, False),
            "version": 3,
            "stream": 1,
        }


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"inputs": "float16"},
        {"inputs": "int8", "scale": 1 / 40, "layouts": {"all": "CHW4"}},
    ],
)
def test_frames_of_the_cpu_and_of_the_gpu_label_as_on_a_cpu(
    mapped, on_gpu, form, machine
):
    segmenter = on_gpu(mapped, **form)
    cpu = fuseg.load(mapped.path, backend="onnxruntime")
    least = 1.0 if not form else 0.95
    for seed in range(4):  # from the third on as a graph
        frames = drawn(seed)
        wanted = cpu(**frames).labels
        assert np.mean(segmenter(**frames).labels == wanted) >= least
        on = frames | {"hha": Planar(frames["hha"])}
        assert np.mean(segmenter(**on).labels == wanted) >= least
    machine.check()


def test_a_missing_map_is_its_fill_in_every_plane(mapped, on_gpu, tensors):
    segmenter = on_gpu(mapped)
    frames = drawn(5)
    segmenter(**frames)
    segmenter(rgb=frames["rgb"], hha=None)
    found = tensors(segmenter)["all"][0]
    assert (found[3:] == -2).all()
    assert not (found[:3] == -2).any()


def test_planes_that_lie_side_by_side_on_the_gpu_are_refused(mapped, on_gpu):
    segmenter, frames = on_gpu(mapped), drawn(6)
    on = Planar(frames["hha"])
    del on.__cuda_array_interface__["strides"]
    with pytest.raises(LayoutError, match="hha must have the pixels of a row side by"):
        segmenter(rgb=frames["rgb"], hha=on)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"inputs": "float16"},
        {"inputs": "int8", "scale": 1 / 40, "layouts": {"all": "CHW4"}},
    ],
)
def test_a_sensor_of_three_planes_is_uploaded_once_and_packed_into_each(
    make_bundle, color_input, plane_input, on_gpu, form, machine
):
    size = (13, 17)
    depth = plane_input(
        size=size,
        tensor="all",
        channel=3,
        copies=3,
        mean=(2.0, 1.0, 0.5),
        std=(1.5, 1.0, 0.5),
        missing=Missing("substitute"),
    )
    made = make_bundle(color_input(size=size, tensor="all"), depth)
    segmenter = on_gpu(made, **form)
    cpu = fuseg.load(made.path, backend="onnxruntime")
    least = 1.0 if not form else 0.95
    for seed in range(4):  # from the third on as a graph
        rng = np.random.default_rng(seed)
        frames = {
            "rgb": rng.integers(0, 256, (*CAMERA, 3), np.uint8),
            "depth": rng.integers(0, 9, CAMERA, np.uint16) * 500,
        }
        wanted = cpu(**frames).labels
        assert np.mean(segmenter(**frames).labels == wanted) >= least
        on = frames | {"depth": OnMachine(machine, frames["depth"])}
        assert np.mean(segmenter(**on).labels == wanted) >= least
    without = cpu(rgb=frames["rgb"], depth=None).labels
    found = segmenter(rgb=frames["rgb"], depth=None).labels
    assert np.mean(found == without) >= least
    machine.check()


def test_transformed_frames_are_float32_when_they_are_uploaded(
    make_bundle, color_input, plane_input, map_input, on_gpu, machine
):
    size = (13, 17)
    inputs = (
        color_input(size=size, tensor="all"),
        plane_input(
            size=size,
            tensor="all",
            channel=3,
            copies=2,
            mean=(0.5, 0.0),
            std=(0.5, 1.0),
            clip=(0.5, 4.0),
            transform="log",
        ),
        map_input(size=size, tensor="all", channel=5, transform="min-max"),
    )
    made = make_bundle(*inputs)
    segmenter, cpu = on_gpu(made), fuseg.load(made.path, backend="onnxruntime")
    for seed in range(4):  # from the third on as a graph
        rng = np.random.default_rng(seed)
        frames = {
            "rgb": rng.integers(0, 256, (*CAMERA, 3), np.uint8),
            "depth": rng.integers(0, 9, CAMERA, np.uint16) * 500,
            "hha": rng.integers(0, 200, (*CAMERA, 3), np.uint8),
        }
        wanted = cpu(**frames).labels
        np.testing.assert_array_equal(segmenter(**frames).labels, wanted)
    for name, array in (
        ("depth", OnMachine(machine, frames["depth"])),
        ("hha", Planar(frames["hha"])),
    ):
        with pytest.raises(
            DTypeError, match=rf"^{name} must be in the memory of the CP"
        ):
            segmenter(**frames | {name: array})
    machine.check()
