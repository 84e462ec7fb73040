"""A frame on a GPU gives the labels of a CPU, in one graph and with one wait."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest

import fuseg
from fuseg import errors
from fuseg.backends.tensorrt.backend import TensorRtBackend
from fuseg.bundle import Bundle
from fuseg.cuda import launch, open_device
from fuseg.cuda.buffers import Buffers
from fuseg.runtime.cuda_graphs import CudaGraphs
from fuseg.runtime.executor import shapes

CAMERA = (61, 83)


def test_labels_are_those_of_the_cpu_direct_captured_and_from_the_graph(
    both, on_gpu, frames, binding, machine
):
    segmenter, cpu = (
        on_gpu(both, binding=binding),
        fuseg.load(both.path, backend="onnxruntime"),
    )
    for seed in range(5):
        given = frames(seed, *CAMERA)
        result = segmenter(**given, confidence=True)
        wanted = cpu(**given, confidence=True)
        np.testing.assert_array_equal(result.labels, wanted.labels)
        np.testing.assert_allclose(result.confidence, wanted.confidence, atol=1e-5)
    assert segmenter.backend_name == "tensorrt"
    assert segmenter.cuda_graph_disabled_reason is None
    assert machine.counts["launch_graph"] == 3
    machine.check()


def test_a_frame_is_one_graph_and_one_wait_and_allocates_nothing(
    both, on_gpu, frames, binding, machine
):
    segmenter, out = on_gpu(both, binding=binding), np.empty(CAMERA, np.uint8)
    for seed in range(2):
        segmenter(**frames(seed, *CAMERA), out=out)
    before = machine.counts.copy()
    segmenter(**frames(7, *CAMERA), out=out)
    calls = machine.counts - before
    for name in list(calls):  # what costs no work
        if name in ("run", "push", "use_device", "current_device") or " " in name:
            del calls[name]
    assert calls == {"launch_graph": 1, "synchronize": 1}


def test_the_gpu_computes_the_frame_while_the_graph_of_it_is_captured(
    both, on_gpu, frames, monkeypatch, machine
):
    segmenter, cuda = on_gpu(both), launch.kernels()
    pending, begin = [], cuda.begin_capture

    def beginning(stream):
        pending.append(machine.pending(stream))
        begin(stream)

    monkeypatch.setattr(cuda, "begin_capture", beginning)
    for seed in range(3):
        segmenter(**frames(seed, *CAMERA))
    (work,) = pending
    assert work.count("enqueue") == 1
    assert work[-2:] == ["download", "download"]


def test_pycuda_alone_runs_an_engine_and_says_what_it_cannot(
    both, on_gpu, monkeypatch, machine
):
    def missing():
        raise errors.BackendError("fuseg was built without its module.")

    backend = on_gpu(both, binding="pycuda").backend.clone()
    monkeypatch.setattr(launch, "kernels", missing)
    device, ran = backend.device, machine.counts["enqueue"]
    with device.active():
        buffers = Buffers(device, backend)
        stream, other = buffers.stream(), buffers.stream()
        backend.bind(*shapes(Bundle.open(both.path).manifest), buffers, stream)
        device.stream_wait(stream, other)
        graphs = CudaGraphs(device, stream)
        for _ in range(5):
            graphs.run("a kind", backend.enqueue)
        device.synchronize(stream)
        with pytest.raises(errors.BackendError, match="without its module"):
            device.stream_wait(stream, 1)
    assert machine.counts["enqueue"] == ran + 5
    assert graphs.failed == (
        "no graph can be captured on GPU 0: fuseg was built without its module; "
        "3 captures in a row failed"
    )


def test_the_kinds_that_came_last_keep_their_graphs(machine):
    device = open_device()
    with device.active():
        buffers = Buffers(device)
        stream = buffers.stream()
        graphs = CudaGraphs(device, stream)
        place = buffers.memory(8)

        def launches(kind):
            before = machine.counts["launch_graph"]
            graphs.run(kind, lambda: device.copy(place, place + 4, 4, stream))
            return machine.counts["launch_graph"] - before

        for kind in range(16):
            assert [launches(kind) for _ in range(3)] == [0, 0, 1]
        assert launches(0) == 1
        assert launches(16) == 0  # takes the place of 1
        assert machine.live()["graphs"] == 15
        assert [launches(kind) for kind in (0, 2, 1)] == [1, 1, 0]
        device.synchronize(stream)


def test_garbage_that_owns_memory_of_the_gpu_spoils_no_capture(
    both, on_gpu, frames, monkeypatch
):
    segmenter, other = on_gpu(both), [on_gpu(both)]
    segmenter(**frames(0, *CAMERA))
    enqueue = TensorRtBackend.enqueue

    def littering(backend):
        keep = [[] for _ in range(100_000)]  # enough to let it look
        assert keep
        enqueue(backend)

    cycle: list[object] = [other.pop()]
    cycle.append(cycle)
    del cycle
    monkeypatch.setattr(TensorRtBackend, "enqueue", littering)
    segmenter(**frames(1, *CAMERA))
    assert segmenter.cuda_graph_disabled_reason is None
    assert gc.isenabled()


def test_a_profiler_sees_each_frame_and_each_wait(both, on_gpu, frames, machine):
    segmenter = on_gpu(both)
    segmenter(**frames(0, *CAMERA))
    before = machine.counts.copy()
    segmenter(**frames(1, *CAMERA))
    machine.fail("launch_graph")
    with pytest.raises(errors.DeviceError):
        segmenter(**frames(1, *CAMERA))
    seen = machine.counts - before
    assert (seen["range fuseg frame"], seen["range fuseg wait"]) == (2, 1)
    assert machine.ranges == []


def test_two_sensors_fill_the_channels_of_one_tensor(stacked, on_gpu, frames, binding):
    segmenter = on_gpu(stacked, binding=binding)
    cpu = fuseg.load(stacked.path, backend="onnxruntime")
    for seed in range(3):
        given = frames(seed, *CAMERA)
        np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)


def test_every_size_of_camera_and_labels_has_a_graph(both, on_gpu, frames, machine):
    segmenter, cpu = on_gpu(both), fuseg.load(both.path, backend="onnxruntime")
    cases = [((61, 83), None), ((30, 40), None), ((61, 83), (7, 9)), ((13, 17), None)]
    for seed, (camera, size) in enumerate(cases * 3):
        given = frames(seed, *camera)
        found, wanted = segmenter(**given, size=size), cpu(**given, size=size)
        np.testing.assert_array_equal(found.labels, wanted.labels)
    machine.check()


def test_a_view_of_a_larger_frame_is_read_where_it_is(both, on_gpu, frames):
    segmenter, cpu = on_gpu(both), fuseg.load(both.path, backend="onnxruntime")
    whole = frames(1, 100, 120)
    for _ in range(3):
        given = {name: array[::-1][10:71, 20:103] for name, array in whole.items()}
        found, wanted = segmenter(**given), cpu(**given)
        np.testing.assert_array_equal(found.labels, wanted.labels)


def test_sensors_that_are_missing_follow_the_policy(held, on_gpu, frames, binding):
    segmenter = on_gpu(held, binding=binding)
    cpu = fuseg.load(held.path, backend="onnxruntime")
    ms = 1_000_000
    story = [
        (0, "rgb depth"),
        (10, "rgb"),  # depth is held
        (20, "depth"),  # colour is substituted
        (30, ""),
        (40, "rgb depth"),
        (200, "rgb"),  # too old: substituted
        (210, "rgb"),
        (220, "rgb depth"),
        (230, "rgb"),
    ]
    for seed, (at, names) in enumerate(story * 1):
        given = frames(seed, *CAMERA)
        given = {name: fuseg.Frame(given[name], at * ms) for name in names.split()}
        found = segmenter(**given, stamp_ns=at * ms)
        wanted = cpu(**given, stamp_ns=at * ms)
        assert found.sources == wanted.sources
        np.testing.assert_array_equal(found.labels, wanted.labels, err_msg=str(at))


def test_what_the_network_would_be_fed_is_what_a_cpu_would_be_fed(held, on_gpu, frames):
    segmenter, cpu = on_gpu(held), fuseg.load(held.path, backend="onnxruntime")
    first = {n: fuseg.Frame(a, 0) for n, a in frames(0, *CAMERA).items()}
    for each in (segmenter, cpu):
        each(**first)
    rgb = fuseg.Frame(frames(1, *CAMERA)["rgb"], 1000)
    found, wanted = segmenter.preprocess(rgb=rgb), cpu.preprocess(rgb=rgb)
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name], tensor)


def test_letterboxes_are_cut_out_again(make_bundle, color_input, on_gpu, frames):
    from fuseg import manifest

    resize = manifest.Resize(24, 32, filter="bilinear", fit="letterbox")
    made = make_bundle(color_input(size=(24, 32), resize=resize), stride=2)
    segmenter, cpu = on_gpu(made), fuseg.load(made.path, backend="onnxruntime")
    for seed, camera in enumerate([(50, 90), (90, 50), (50, 90), (90, 50)]):
        rgb = frames(seed, *camera)["rgb"]
        np.testing.assert_array_equal(segmenter(rgb=rgb).labels, cpu(rgb=rgb).labels)


def test_units_and_channels_of_the_camera(both, frames, on_gpu):
    segmenter = on_gpu(both)
    backend = segmenter.backend.clone()
    words = {"units": {"depth": "0.1mm"}, "channels": {"rgb": "BGRA"}}
    segmenter = fuseg.load(segmenter.bundle, backend=backend, **words)
    cpu = fuseg.load(both.path, backend="onnxruntime", **words)
    for seed in range(3):
        given = frames(seed, *CAMERA)
        given["rgb"] = np.dstack([given["rgb"], given["rgb"][..., :1]])
        np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)


def test_the_type_of_depth_may_change_from_frame_to_frame(
    both, on_gpu, frames, binding
):
    units = {"depth": {"uint16": "mm", "float32": "m"}}
    segmenter = on_gpu(both, binding=binding, units=units)
    cpu = fuseg.load(both.path, backend="onnxruntime")
    for seed in range(6):
        given = frames(seed // 2, *CAMERA)
        wanted = cpu(**given).labels
        if seed % 2:
            metres = np.where(given["depth"] == 0, np.nan, given["depth"] / 1000)
            metres = metres.astype(np.float32)
            room = bytes(3) + metres.tobytes()  # at an odd address
            given["depth"] = np.ndarray(CAMERA, np.float32, room, 3)
        np.testing.assert_array_equal(segmenter(**given).labels, wanted)


def test_scores_that_are_no_numbers_are_refused(
    make_bundle, color_input, plane_input, onnx_of, on_gpu, frames, binding, machine
):
    inputs = color_input(size=(13, 17)), plane_input(size=(13, 17))
    made = make_bundle(*inputs)
    broken = make_bundle(*inputs, onnx=onnx_of(made, np.float32([0, np.nan, 0, 0])))
    segmenter = on_gpu(broken, binding=binding)
    for seed in range(3):
        with pytest.raises(errors.BackendError, match="at 221 of the network"):
            segmenter(**frames(seed, *CAMERA), confidence=seed == 1)
    machine.check()


def test_refused_frames_change_nothing(both, on_gpu, frames, machine):
    segmenter = on_gpu(both)
    given = frames(0, *CAMERA)
    wanted = segmenter(**given).labels
    before = machine.live()
    with pytest.raises(errors.FrameError):
        segmenter(rgb=given["rgb"], depth=np.zeros_like(given["depth"]))
    with pytest.raises(errors.DTypeError):
        segmenter(rgb=given["rgb"].astype(float), depth=given["depth"])
    np.testing.assert_array_equal(segmenter(**given).labels, wanted)
    assert machine.live() - before == {"graphs": 1}


def test_all_of_the_gpu_is_given_back(both, on_gpu, frames, machine, binding):
    segmenter = on_gpu(both, binding=binding)
    tickets = [segmenter.submit(**frames(seed, *CAMERA)) for seed in range(2)]
    for ticket in tickets:
        segmenter.result(ticket)
    clone = segmenter.clone()
    clone(**frames(0, *CAMERA))
    assert machine.live()["streams"] == 3
    del segmenter, clone, ticket, tickets
    assert machine.live() == {}
    machine.check()


def test_an_integrated_gpu_reads_frames_where_the_cpu_put_them(
    both, on_gpu, frames, machine, binding
):
    machine.integrated = True
    segmenter = on_gpu(both, binding=binding)
    cpu = fuseg.load(both.path, backend="onnxruntime")
    loaded = machine.counts["upload"]
    for seed in range(4):
        given = frames(seed, *CAMERA)
        np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
    assert (machine.counts["upload"], machine.counts["download"]) == (loaded, 0)


def test_in_a_child_that_fork_made_a_call_is_refused(both, on_gpu, frames):
    segmenter, given = on_gpu(both), frames(0, *CAMERA)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            segmenter(**given)
        except errors.BackendError as err:
            code = 0 if "with spawn" in str(err) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_the_second_gpu(both, frames, on_gpu, machine):
    machine.devices = 2
    first, second = on_gpu(both), on_gpu(both, ordinal=1)
    for seed in range(3):
        given = frames(seed, *CAMERA)
        wanted = first(**given).labels
        np.testing.assert_array_equal(second(**given).labels, wanted)
    assert machine.contexts == []
