"""Whatever the GPU refuses, and when: a typed error, no hang, nothing left behind."""

from __future__ import annotations

import doubles
import numpy as np
import pytest

import fuseg
from fuseg.errors import BackendError, DeviceError, DeviceMemoryError

CAMERA = (40, 52)
CALLS = (
    *("allocate", "pinned", "create_stream", "upload", "download", "synchronize"),
    *("pack_color_cuda", "pack_depth_cuda", "upsample_argmax_cuda", "enqueue"),
    *("begin_capture", "end_capture", "launch_graph", "stream_wait", "free"),
    *("free_pinned", "copy", "run", "execute_async_v3", "create_execution_context"),
)


@pytest.fixture
def story(held, on_gpu, frames, binding):
    """``story()``: load, some frames of every kind, another size, two at a time."""
    rgb = fuseg.Frame

    def tell(labels):
        segmenter = on_gpu(held, binding=binding)
        clock = 0

        def give(seed, names, camera=CAMERA):
            nonlocal clock
            clock += 1_000_000
            given = frames(seed, *camera)
            return {n: rgb(given[n], clock) for n in names} | {"stamp_ns": clock}

        for seed in range(3):
            labels.append(segmenter(**give(seed, ("rgb", "depth"))).labels)
        for seed in range(2):
            labels.append(segmenter(**give(seed, ("rgb", "depth"), (50, 70))).labels)
        for seed in range(2):
            labels.append(segmenter(**give(seed, ("depth",)), confidence=True).labels)
        tickets = [segmenter.submit(**give(9, ("rgb", "depth")))]
        tickets.append(segmenter.submit(**give(9, ("rgb",))))
        labels += [segmenter.result(ticket).labels for ticket in tickets]
        return segmenter

    return tell


@pytest.fixture
def wanted(story, machine):
    labels = []
    story(labels)
    assert machine.live() == {}
    return labels


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_once_is_a_typed_error_or_costs_nothing(
    call, story, wanted, machine
):
    """Every occurrence of the call in the whole story fails, one story each."""
    before = machine.counts[call]
    story([])
    times = machine.counts[call] - before
    assert times > 0
    for nth in sorted({*range(1, min(times, 12) + 1), times}):
        machine.fail(call, nth)
        labels = []
        try:
            story(labels)
        except BackendError as err:
            failed = err
        else:
            failed = None
        if failed is not None:
            kind = DeviceMemoryError if call in ("allocate", "pinned") else DeviceError
            kind = BackendError if call in ("enqueue", "execute_async_v3") else kind
            assert isinstance(failed, kind)
            assert "\n" not in str(failed)
        else:
            assert len(labels) == len(wanted)
        for found, expected in zip(labels, wanted, strict=False):
            np.testing.assert_array_equal(found, expected)
        machine.mend()
        machine.check()
        labels = []
        story(labels)  # the next start recovers
        for found, expected in zip(labels, wanted, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("call", ["synchronize", "launch_graph", "allocate", "run"])
def test_a_lost_gpu_is_an_error_on_every_frame_and_no_hang(
    call, both, on_gpu, frames, machine, binding
):
    segmenter = on_gpu(both, binding=binding)
    for seed in range(3):
        segmenter(**frames(seed, *CAMERA))
    machine.fail(call, lost=True)
    sizes = [CAMERA, (90, 91), (92, 93)]
    errors = 0
    for camera in sizes:
        try:
            segmenter(**frames(0, *camera))
        except DeviceError:
            errors += 1
    assert errors >= 2
    del segmenter  # gives back what it can, and says nothing


def test_a_capture_that_is_refused_is_tried_again_behind_a_frame_that_is_done(
    both, on_gpu, frames, machine, binding
):
    segmenter = on_gpu(both, binding=binding)
    cpu = fuseg.load(both.path, backend="onnxruntime")
    machine.fail("end_capture")
    waits = []
    for seed in range(5):
        given, before = frames(seed, *CAMERA), machine.counts["synchronize"]
        np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
        waits.append(machine.counts["synchronize"] - before)
    assert waits == [1, 1, 2, 1, 1]
    assert machine.counts["begin_capture"] == 2
    assert machine.counts["launch_graph"] == 2
    assert segmenter.cuda_graph_disabled_reason is None


@pytest.mark.parametrize("call", ["begin_capture", "end_capture"])
def test_the_third_refusal_in_a_row_leaves_the_direct_way_and_is_told(
    call, both, on_gpu, frames, machine, binding, caplog
):
    segmenter = on_gpu(both, binding=binding)
    cpu = fuseg.load(both.path, backend="onnxruntime")
    for _ in range(3):
        machine.fail(call)
    for seed in range(6):
        given = frames(seed, *CAMERA)
        np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
    assert machine.counts["begin_capture"] == 3
    assert machine.counts["launch_graph"] == 0
    reason = segmenter.cuda_graph_disabled_reason
    assert "cudaErrorLaunchFailure" in reason
    assert reason.endswith("; 3 captures in a row failed")
    assert [r.levelname for r in caplog.records if "without a CUDA graph" in r.message]


def test_an_engine_that_cannot_be_captured_runs_directly(
    both, on_gpu, frames, monkeypatch
):
    from fuseg.backends.tensorrt.backend import TensorRtBackend

    monkeypatch.setattr(TensorRtBackend, "capturable", False)
    segmenter = on_gpu(both)
    cpu = fuseg.load(both.path, backend="onnxruntime")
    for seed in range(3):
        given = frames(seed, *CAMERA)
        np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
    assert segmenter.cuda_graph_disabled_reason == "tensorrt cannot be captured"


def test_a_context_that_cannot_be_made_says_what_is_free(both, on_gpu, machine):
    machine.fail("create_execution_context")
    with pytest.raises(DeviceMemoryError, match=r"the GPU has \d+ of \d+ MiB free"):
        on_gpu(both)


def test_a_driver_that_is_too_old_is_one_sentence(both, on_gpu, monkeypatch):
    machine = doubles.Machine()
    machine.fail(
        "device_properties",
        error=doubles.Refused(
            "cudaErrorInsufficientDriver",
            "CUDA driver version is insufficient for CUDA runtime version",
        ),
    )
    doubles.install(monkeypatch, machine, pycuda=False)
    with pytest.raises(DeviceError, match="insufficient") as caught:
        on_gpu(both, binding="native")
    assert str(caught.value).count("\n") == 0
