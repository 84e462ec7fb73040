"""ONNX Runtime's CUDA provider, on a double of it: fuseg's stream, one wait a frame."""

from __future__ import annotations

import gc
import inspect
import logging
import sys
import threading

import doubles.onnxruntime_cuda
import numpy as np
import onnxruntime as real
import pytest
from doubles.onnxruntime_cuda import KEYS, NO_WAITING, PROVIDER

import fuseg
from fuseg import errors
from fuseg.backends import onnxruntime_cuda, registry
from fuseg.backends.onnxruntime_cuda import OnnxRuntimeCudaBackend
from fuseg.backends.tensorrt import backend as tensorrt_backend
from fuseg.bundle import Bundle
from fuseg.cuda import open_device
from fuseg.cuda.buffers import Buffers
from fuseg.errors import BackendError, BundleError, DeviceError, DeviceMemoryError
from fuseg.runtime import executor

CAMERA = (61, 83)


@pytest.fixture
def install(machine, monkeypatch):
    """``install(...)``: the double in place of onnxruntime; see its `make`."""

    def put(*args, **words):
        made = doubles.onnxruntime_cuda.make(machine, *args, **words)
        monkeypatch.setitem(sys.modules, "onnxruntime", made)
        return made.state

    return put


@pytest.fixture
def ort(install):
    """The double of 1.31.1; what it was given."""
    return install()


def on_ort(made, binding="pycuda", ordinal=0):
    opened = Bundle.open(made.path)
    device = open_device(ordinal, binding=binding)
    engine = OnnxRuntimeCudaBackend(opened.read("fp32.onnx"), device)
    return fuseg.load(opened, backend=engine)


def living_sessions():
    """How many sessions of the double on a GPU have not ended."""
    kind = sys.modules["onnxruntime"].InferenceSession
    return sum(type(each) is kind for each in gc.get_objects())


def on_cpu(made):
    return fuseg.load(made.path, backend="onnxruntime")


# The double


@pytest.mark.parametrize(
    "name",
    [
        "InferenceSession.__init__",
        "InferenceSession.get_providers",
        "InferenceSession.io_binding",
        "InferenceSession.run",
        "InferenceSession.run_with_iobinding",
        "IOBinding.bind_input",
        "IOBinding.bind_output",
        "preload_dlls",
    ],
)
def test_the_double_takes_what_the_installed_onnxruntime_takes(name, machine):
    found = doubles.onnxruntime_cuda.make(machine)
    if name.startswith("IOBinding"):
        found = doubles.onnxruntime_cuda
    wanted = real
    for part in name.split("."):
        found = getattr(found, part)
        wanted = getattr(wanted, part, None)
    if wanted is None:
        pytest.skip(f"onnxruntime {real.__version__} has no {name}")
    shapes = [
        [
            (p.name, p.kind, p.default)
            for p in inspect.signature(each).parameters.values()
        ]
        for each in (found, wanted)
    ]
    assert shapes[0] == shapes[1]


def test_other_sessions_of_the_double_are_the_installed_ones(both, ort, frames):
    given = frames(1, *CAMERA)
    found = on_cpu(both)(**given)
    assert ort.sessions == []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", real)
        np.testing.assert_array_equal(found.labels, on_cpu(both)(**given).labels)


@pytest.mark.parametrize("version", KEYS)
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"no_such_key": "1"}, 'Unknown provider option: "no_such_key"'),
        ({"user_compute_stream": "0x12"}, "Failed to parse"),
        ({"use_tf32": "no"}, "Failed to parse"),
        ({"device_id": "1"}, "Invalid device ID: 1"),
    ],
)
def test_the_double_refuses_options_as_the_provider_does(
    both, install, version, options, says, capsys
):
    install(version)
    made = sys.modules["onnxruntime"].InferenceSession
    model = Bundle.open(both.path).read("fp32.onnx")
    words = {"providers": [(PROVIDER, options)], "enable_fallback": 0}
    if version == "1.18.1":  # which knows no ``enable_fallback``
        assert made(model, **words).get_providers() == ["CPUExecutionProvider"]
        assert says in capsys.readouterr().out
    else:
        with pytest.raises(RuntimeError, match=says):
            made(model, **words)


# Frames


def test_labels_are_those_of_the_cpu(both, ort, frames, binding, machine):
    segmenter, cpu = on_ort(both, binding), on_cpu(both)
    for seed in range(4):
        given = frames(seed, *CAMERA)
        found, wanted = (
            segmenter(**given, confidence=True),
            cpu(**given, confidence=True),
        )
        np.testing.assert_array_equal(found.labels, wanted.labels)
        np.testing.assert_allclose(found.confidence, wanted.confidence, atol=1e-5)
    assert segmenter.backend_name == "onnxruntime-cuda"
    assert len(ort.sessions) == 1
    machine.check()


def test_a_frame_is_one_wait_without_a_graph_and_takes_no_memory(
    both, ort, frames, binding, machine
):
    segmenter, out = on_ort(both, binding), np.empty(CAMERA, np.uint8)
    for seed in range(2):
        segmenter(**frames(seed, *CAMERA), out=out)
    before = machine.counts.copy()
    segmenter(**frames(7, *CAMERA), out=out)
    calls = machine.counts - before
    for name in ("run", "push", "use_device", "current_device"):  # cost no work
        del calls[name]
    assert calls["synchronize"] == 1
    assert calls["enqueue"] == calls["run_with_iobinding"] == 1
    assert not calls.keys() & {"allocate", "pinned", "launch_graph", "begin_capture"}
    assert segmenter.cuda_graph_disabled_reason == "onnxruntime-cuda cannot be captured"
    assert ort.runs == [{NO_WAITING: "1"}] * len(ort.runs)


@pytest.mark.parametrize("version", KEYS)
def test_the_session_gets_options_that_its_version_knows(
    both, install, version, machine
):
    state = install(version)
    segmenter = on_ort(both)
    (options,) = state.sessions
    assert options.keys() <= KEYS[version]
    stream = int(options.pop("user_compute_stream"))
    assert options == {"device_id": "0", "use_tf32": "0"}
    assert machine.live()["streams"] == 1
    assert machine.pending(stream) == []  # it would refuse one that is not live
    segmenter.backend.enqueue()
    # The double takes run options of the installed ONNX Runtime's own type alone.
    assert state.runs[-1] == {NO_WAITING: "1"}


def test_two_moments_share_the_one_slot_in_order(both, ort, frames, machine):
    segmenter, cpu = on_ort(both), on_cpu(both)
    wanted = [cpu(**frames(seed, *CAMERA)).labels for seed in range(6)]
    waiting, found = [], []
    for seed in range(6):
        if len(waiting) == 2:
            found.append(segmenter.result(waiting.pop(0)).labels)
        waiting.append(segmenter.submit(**frames(seed, *CAMERA)))
    found += [segmenter.result(ticket).labels for ticket in waiting]
    for seed, labels in enumerate(found):
        np.testing.assert_array_equal(labels, wanted[seed], err_msg=str(seed))
    assert machine.live()["streams"] == len(ort.sessions) == 1
    machine.check()


def test_sensors_that_are_missing_follow_the_policy(held, ort, frames):
    segmenter, cpu = on_ort(held), on_cpu(held)
    assert len(ort.sessions) == 1
    for at, names in enumerate(["rgb depth", "rgb", "depth", "", "rgb", "rgb depth"]):
        given = frames(at, *CAMERA)
        given = {n: fuseg.Frame(given[n], at * 1_000_000) for n in names.split()}
        found, wanted = (s(**given, stamp_ns=at * 1_000_000) for s in (segmenter, cpu))
        assert found.sources == wanted.sources
        np.testing.assert_array_equal(found.labels, wanted.labels)


def test_the_second_gpu_stays_as_current_as_it_was(both, ort, frames, machine, binding):
    machine.devices = 2
    segmenter, cpu = on_ort(both, binding, ordinal=1), on_cpu(both)
    given = frames(2, *CAMERA)
    np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)
    assert ort.sessions[0]["device_id"] == "1"
    assert machine.current_device() == 0


# Beginning and end


def test_a_clone_has_a_session_and_a_stream_of_its_own(both, ort, frames, machine):
    segmenter, cpu = on_ort(both), on_cpu(both)
    twin = segmenter.clone()
    assert twin.backend_name == "onnxruntime-cuda"
    first, second = ort.sessions
    assert first["user_compute_stream"] != second["user_compute_stream"]
    tickets = [s.submit(**frames(i, *CAMERA)) for i, s in enumerate((segmenter, twin))]
    for index, owner in ((1, twin), (0, segmenter)):
        found = owner.result(tickets[index]).labels
        np.testing.assert_array_equal(found, cpu(**frames(index, *CAMERA)).labels)
    machine.check()


@pytest.mark.usefixtures("ort")
def test_everything_is_given_back_and_the_session_before_its_stream(
    both, frames, machine, binding
):
    """The double refuses to end a session whose stream is gone, or that has work."""
    segmenter = on_ort(both, binding)
    segmenter(**frames(0, *CAMERA))
    segmenter.submit(**frames(1, *CAMERA))  # nobody takes its labels
    twin = segmenter.clone()
    twin(**frames(2, *CAMERA))
    backend = segmenter.backend
    assert living_sessions() == 2
    del segmenter, twin
    assert machine.live() == {}
    assert living_sessions() == 0  # though somebody still has the backend
    del backend
    machine.check()


@pytest.mark.usefixtures("ort")
def test_buffers_that_go_wait_for_the_network_first(both, machine, binding):
    opened, device = Bundle.open(both.path), open_device(binding=binding)
    backend = OnnxRuntimeCudaBackend(opened.read("fp32.onnx"), device)
    with device.active():
        buffers = Buffers(device, backend)
        stream = buffers.stream()
        backend.bind(*executor.shapes(opened.manifest), buffers, stream)
        backend.enqueue()
        assert machine.pending(stream) == ["enqueue"]
        del buffers
    assert machine.live() == {}


@pytest.mark.usefixtures("ort")
def test_a_network_of_other_tensors_is_refused_and_gives_all_back(
    both, make_bundle, color_input, machine
):
    other = Bundle.open(make_bundle(color_input(size=(13, 17))).path)
    engine = OnnxRuntimeCudaBackend(
        Bundle.open(both.path).read("fp32.onnx"), open_device()
    )
    with pytest.raises(BundleError, match="input tensors must be rgb"):
        fuseg.load(other, backend=engine)
    del engine
    assert machine.live() == {}


@pytest.mark.parametrize("spare", [600, 6000, 9000])
@pytest.mark.usefixtures("ort")
def test_a_gpu_that_is_full_says_what_is_free(both, machine, spare):
    """For the weights, the buffers, and what the first run takes."""
    free, _ = machine.memory()
    hog = machine.allocate(free - spare)
    with pytest.raises(DeviceMemoryError, match=r"MiB (are )?free"):
        on_ort(both)
    machine.free(hog)
    assert machine.live() == {}
    on_ort(both)


@pytest.mark.usefixtures("ort")
def test_a_run_that_fails_is_one_sentence_and_the_next_one_is_right(
    both, frames, machine
):
    segmenter, cpu = on_ort(both), on_cpu(both)
    given = frames(0, *CAMERA)
    machine.fail("run_with_iobinding")
    with pytest.raises(BackendError, match="failed to run the network on") as caught:
        segmenter(**given)
    assert str(caught.value).count("\n") == 0
    np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)


@pytest.mark.usefixtures("ort")
def test_a_lost_gpu_is_told_and_nothing_of_it_is_touched(both, frames, machine):
    segmenter = on_ort(both)
    segmenter(**frames(0, *CAMERA))
    machine.fail("synchronize", lost=True)
    for _ in range(2):
        with pytest.raises(DeviceError):
            segmenter(**frames(0, *CAMERA))
    del segmenter
    assert living_sessions() == 1


# What is not there


def test_a_session_that_the_provider_refuses_is_one_sentence(both, ort, machine):
    machine.fail("InferenceSession", error=doubles.Refused("CUDA failure 35", "a\nb"))
    with pytest.raises(BackendError) as caught:
        on_ort(both)
    sentence = "ONNX Runtime refuses the network on the GPU: CUDA failure 35: a b."
    assert str(caught.value) == sentence
    del caught  # its traceback
    gc.collect()  # the double's error and its frame hold each other
    assert machine.live() == {}
    assert len(ort.sessions) == 1


@pytest.mark.parametrize("version", KEYS)
@pytest.mark.parametrize("provider", ["does not load", "raises"])
def test_a_provider_that_does_not_load_is_one_sentence_and_keeps_stdout_clean(
    both, install, machine, version, provider, capsys, caplog
):
    caplog.set_level(logging.INFO, logger="fuseg")
    install(version, provider=provider)
    with pytest.raises(BackendError) as caught:
        on_ort(both)
    if provider == "raises":
        how = "did not load, and it fell back to the CPU (EP Error "
        if version != "1.18.1":  # which has an option against it
            how = "refuses the network on the GPU: "
        assert f"{how}CUDA_PATH is set but CUDA wasn't able" in str(caught.value)
    else:
        assert "did not load, and it fell back to the CPU (" in str(caught.value)
        assert "`fuseg doctor` says more." in str(caught.value)
    assert str(caught.value).count("\n") == 0
    assert capsys.readouterr().out == ""
    printed = [r.message for r in caplog.records if "ONNX Runtime: " in r.message]
    assert any("libcublasLt" in line for line in printed) == (version == "1.31.1")
    del caught  # its traceback
    assert machine.live() == {}


def test_two_threads_that_listen_leave_stdout_as_it_was():
    stdout, began, goes_on = sys.stdout, threading.Event(), threading.Event()

    def listen():
        with onnxruntime_cuda._what_it_prints():
            began.set()
            goes_on.wait(10)

    def listen_too():
        with onnxruntime_cuda._what_it_prints():
            pass

    first, second = (threading.Thread(target=t) for t in (listen, listen_too))
    first.start()
    assert began.wait(10)
    second.start()
    second.join(0.2)
    goes_on.set()
    first.join()
    second.join()
    assert sys.stdout is stdout


def test_what_another_thread_prints_meanwhile_goes_on(capsys):
    with onnxruntime_cuda._what_it_prints() as printed:
        print("mine")
        other = threading.Thread(target=print, args=["yours"])
        other.start()
        other.join()
        assert sys.stdout.isatty() is False
    assert printed == ["mine"]
    assert capsys.readouterr().out == "yours\n"


def test_onnxruntime_without_the_provider_cannot_be_tried(both, install):
    install(offered=False)
    assert "has no CUDA provider" in registry.unavailable("onnxruntime-cuda", 0)
    with pytest.raises(BackendError, match="backend onnxruntime-cuda cannot run here"):
        fuseg.load(both.path, backend="onnxruntime-cuda")
    with pytest.raises(BackendError, match="pip install onnxruntime-gpu"):
        on_ort(both)


# fuseg.load


@pytest.fixture
def path(sampled, with_variants):
    return with_variants(sampled(), {"fp32": None, "fp16": None, "int8-cpu": None})


@pytest.fixture
def no_tensorrt(machine, monkeypatch):  # noqa: ARG001
    monkeypatch.delitem(sys.modules, "tensorrt")
    monkeypatch.setattr(tensorrt_backend, "find_spec", lambda _: None)


def ran(segmenter):
    return segmenter.backend_name, segmenter.variant.name


@pytest.mark.usefixtures("ort", "no_tensorrt")
def test_without_tensorrt_it_is_the_first_choice_and_the_line_says_so(
    path, frames, caplog
):
    caplog.set_level(logging.INFO, logger="fuseg")
    segmenter, cpu = fuseg.load(path), fuseg.load(path, backend="onnxruntime")
    assert ran(segmenter) == ("onnxruntime-cuda", "fp16")
    assert segmenter.fallback is None
    messages = [r.message for r in caplog.records if ": variant " in r.message]
    assert messages[0].startswith(
        f"{path}: variant fp16 on onnxruntime-cuda, by default: not tensorrt: tensorrt "
        "is not installed; not tensorrt-rtx: TensorRT for RTX is not installed "
    )
    assert messages[0].endswith("; nothing is tuned here (fuseg tune)")
    given = frames(3, 60, 80)
    np.testing.assert_array_equal(segmenter(**given).labels, cpu(**given).labels)


@pytest.mark.usefixtures("no_tensorrt")
@pytest.mark.parametrize("provider", ["does not load", "raises"])
def test_where_it_does_not_load_the_cpu_takes_its_place(
    path, install, frames, provider
):
    install(provider=provider)
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime", "fp32")
    assert segmenter.fallback.startswith("variant fp16 does not run on onnxruntime-cu")
    segmenter(**frames(0, 60, 80))
    with pytest.raises(BackendError):
        fuseg.load(path, backend="onnxruntime-cuda")


def test_a_tensorrt_build_that_fails_gives_way_to_it(
    builds, ort, path, monkeypatch, frames
):
    before = len(ort.sessions), builds()
    monkeypatch.setenv("FUSEG_TENSORRT_DOUBLE_FAULT", "kill")
    segmenter = fuseg.load(path)
    assert ran(segmenter) == ("onnxruntime-cuda", "fp16")
    assert "does not run on tensorrt" in segmenter.fallback
    segmenter(**frames(0, 60, 80))
    assert builds() == before[1] + 1
    assert len(ort.sessions) > before[0]


@pytest.mark.usefixtures("ort", "no_tensorrt")
def test_it_takes_the_variants_that_are_for_it(path, machine):
    segmenter = fuseg.load(path, backend="onnxruntime-cuda", variant="fp32")
    assert ran(segmenter) == ("onnxruntime-cuda", "fp32")
    with pytest.raises(errors.ArgumentError, match="one of fp16, fp32"):
        fuseg.load(path, backend="onnxruntime-cuda", variant="int8-cpu")
    del segmenter
    assert machine.live() == {}
