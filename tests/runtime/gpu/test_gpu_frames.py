"""Frames that are on the GPU already: read where they are, after their own stream."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from doubles.arrays import OnMachine

import fuseg
from fuseg.errors import ArgumentError, DTypeError, ShapeError

CAMERA = (40, 52)


class OnGpu:
    """An array on the machine, with the CUDA Array Interface."""

    def __init__(self, array, stream=None, version=3):
        from fuseg.cuda import launch

        self.cuda = launch.kernels()
        self.size, self.shape, self.dtype = array.nbytes, array.shape, array.dtype
        self.address = self.cuda.allocate(max(1, array.nbytes))
        self.stream, self.version = stream, version
        self.fill(array, 1 if stream is None else stream)

    def fill(self, array, stream):
        """Queue a copy; it is done when somebody waits for it."""
        host = np.ascontiguousarray(array)
        address, _ = self.cuda.allocate_pinned(host.nbytes)
        ctypes.memmove(address, host.ctypes.data, host.nbytes)
        self.cuda.copy(self.address, address, host.nbytes, stream)

    @property
    def __cuda_array_interface__(self):
        found = {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "version": self.version,
        }
        return found if self.version == 2 else found | {"stream": self.stream}


@pytest.fixture
def cpu(both):
    return fuseg.load(both.path, backend="onnxruntime")


def test_frames_are_read_where_they_are_after_their_owners_stream(
    both, on_gpu, frames, machine, cpu
):
    segmenter = on_gpu(both)
    stream = machine.create_stream()
    given = frames(0, *CAMERA)
    on = {n: OnGpu(a, stream) for n, a in given.items()}
    for seed in range(4):
        given = frames(seed, *CAMERA)
        for name, array in given.items():
            on[name].fill(array, stream)
        uploads = machine.counts["upload"]
        found = segmenter(**on)
        np.testing.assert_array_equal(found.labels, cpu(**given).labels)
        assert machine.counts["upload"] == uploads
    machine.check()


def test_a_frame_made_on_a_stream_that_only_dlpack_knows_is_waited_for(
    both, on_gpu, frames, machine, cpu
):
    """As in PyTorch inside ``with torch.cuda.stream(side):``."""
    segmenter, side = on_gpu(both), machine.create_stream()
    for seed in range(3):
        given = frames(seed, *CAMERA)
        made = {n: OnMachine(machine, a) for n, a in given.items()}
        on = {n: OnMachine(machine, a * 0, stream=side) for n, a in given.items()}
        for name, array in given.items():
            machine.copy(on[name].base, made[name].base, array.nbytes, side)
        np.testing.assert_array_equal(segmenter(**on).labels, cpu(**given).labels)
        assert all(len(array.asked) == 1 for array in on.values())
    machine.check()


def test_an_owner_that_names_no_stream_is_taken_to_use_the_default_one(
    both, on_gpu, frames, cpu
):
    segmenter, given = on_gpu(both), frames(3, *CAMERA)
    on = {n: OnGpu(a, None, version=2) for n, a in given.items()}
    np.testing.assert_array_equal(segmenter(**on).labels, cpu(**given).labels)


def test_one_frame_on_the_gpu_and_one_on_the_cpu(both, on_gpu, frames, cpu):
    segmenter = on_gpu(both)
    for seed in range(3):
        given = frames(seed, *CAMERA)
        mixed = given | {"rgb": OnGpu(given["rgb"])}
        np.testing.assert_array_equal(segmenter(**mixed).labels, cpu(**given).labels)


def test_frames_in_any_number_of_buffers_are_packed_in_front_of_one_graph(
    both, on_gpu, frames, machine, cpu
):
    segmenter, given = on_gpu(both), [frames(seed, *CAMERA) for seed in range(9)]
    on = [{n: OnGpu(a) for n, a in each.items()} for each in given]
    before = machine.counts.copy()
    for turn in range(18):
        found = segmenter(**on[turn % 9]).labels
        np.testing.assert_array_equal(found, cpu(**given[turn % 9]).labels)
    calls = machine.counts - before
    assert (calls["begin_capture"], calls["launch_graph"]) == (1, 16)
    assert (calls["pack_color_cuda"], calls["pack_depth_cuda"]) == (18, 18)
    assert segmenter.cuda_graph_disabled_reason is None


def test_a_frame_of_another_type_or_shape_is_one_sentence(both, on_gpu, frames):
    segmenter, given = on_gpu(both), frames(0, *CAMERA)
    wrong = OnGpu(given["depth"].astype(np.float32))
    with pytest.raises(DTypeError, match=r"^depth must be uint16, got float32"):
        segmenter(rgb=given["rgb"], depth=wrong)
    wrong = OnGpu(given["rgb"][..., 0])
    with pytest.raises(ShapeError, match=r"^rgb must have shape"):
        segmenter(rgb=wrong, depth=given["depth"])


@pytest.mark.parametrize("device", [0, 1])
def test_a_frame_of_another_gpu_is_refused_before_anything_changes(
    both, on_gpu, frames, machine, cpu, binding, device
):
    machine.devices = 2
    segmenter, given = on_gpu(both, binding=binding, ordinal=device), frames(0, *CAMERA)
    wanted, before = segmenter(**given).labels, machine.counts["kernel"]
    machine.use_device(1 - device)
    depth = OnMachine(machine, given["depth"])
    words = (
        rf"^depth must be in .* GPU {device}, where .*, got .* on GPU {1 - device}\."
    )
    with pytest.raises(DTypeError, match=words):
        segmenter(rgb=given["rgb"], depth=depth)
    assert machine.counts["kernel"] == before
    assert (machine.current_device(), depth.asked) == (1 - device, [])
    np.testing.assert_array_equal(segmenter(**given).labels, wanted)
    np.testing.assert_array_equal(wanted, cpu(**given).labels)


def test_an_address_that_the_gpu_cannot_reach_is_refused(both, on_gpu, frames, machine):
    segmenter, given = on_gpu(both), frames(0, *CAMERA)
    depth = OnMachine(machine, given["depth"])
    machine.free(depth.base)
    words = rf"primary CUDA context of GPU 0, got address {depth.address:#x}, which is"
    with pytest.raises(DTypeError, match=words):
        segmenter(rgb=given["rgb"], depth=depth)


def test_frames_in_page_locked_memory_are_read_by_the_gpu(
    both, on_gpu, frames, machine, cpu
):
    segmenter, given = on_gpu(both), frames(0, *CAMERA)
    on = {n: OnMachine(machine, a, pinned=True) for n, a in given.items()}
    np.testing.assert_array_equal(segmenter(**on).labels, cpu(**given).labels)


@pytest.mark.usefixtures("machine")
def test_an_engine_on_the_cpu_refuses_them(frames, cpu):
    given = frames(0, *CAMERA)
    with pytest.raises(DTypeError, match=r"^depth must be in the memory of the CPU"):
        cpu(rgb=given["rgb"], depth=OnGpu(given["depth"]))


def test_the_overlay_asks_for_a_frame_on_the_cpu(both, on_gpu, frames):
    segmenter, given = on_gpu(both), frames(0, *CAMERA)
    result = segmenter(**given | {"rgb": OnGpu(given["rgb"])})
    with pytest.raises(ArgumentError, match="frame must be given"):
        result.overlay()
    assert result.overlay(given["rgb"]).shape == (*CAMERA, 3)


def test_frames_on_the_gpu_are_held_without_their_memory(held, on_gpu, frames):
    segmenter = on_gpu(held)
    cpu = fuseg.load(held.path, backend="onnxruntime")
    given = frames(0, *CAMERA)
    on = {n: OnGpu(a) for n, a in given.items()}
    segmenter(**{n: fuseg.Frame(a, 0) for n, a in on.items()})
    cpu(**{n: fuseg.Frame(a, 0) for n, a in given.items()})
    on["depth"].fill(np.zeros(CAMERA, np.uint16), 1)
    rgb = fuseg.Frame(frames(1, *CAMERA)["rgb"], 1000)
    np.testing.assert_array_equal(segmenter(rgb=rgb).labels, cpu(rgb=rgb).labels)
