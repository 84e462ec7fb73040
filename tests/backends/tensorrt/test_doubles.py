"""The doubles of TensorRT are as strict and as late as they say."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from doubles import Machine, Misuse, tensorrt
from onnx import TensorProto, helper

SIZE = 6 * 3 * 5


def onnx(kind=TensorProto.FLOAT16, *, channels=6):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [info("x", kind, (1, channels, 3, 5))],
        [info("y", kind, (1, channels, 3, 5))],
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return made.SerializeToString()


class LoadedEngine:
    """An engine with a context, memory and a stream."""

    def __init__(self, version, channels=6, profile=None):
        self.machine, self.version = Machine(), version
        self.trt = trt = tensorrt.make(self.machine, version)
        self.logged = logged = []

        class Log(trt.ILogger):
            def __init__(self):
                trt.ILogger.__init__(self)

            def log(self, severity, msg):
                logged.append((severity.name, msg))

        self.runtime = trt.Runtime(Log())
        self.plan = tensorrt.plan_of(trt, onnx(channels=channels), profile=profile)
        self.engine = self.runtime.deserialize_cuda_engine(self.plan)
        self.context = self.engine.create_execution_context()
        self.x, self.y = (self.machine.allocate_pinned(2 * SIZE) for _ in "xy")
        self.stream = self.machine.create_stream()
        assert self.context.set_tensor_address("x", self.x)
        assert self.context.set_tensor_address("y", self.y)

    def array(self, address):
        import ctypes

        memory = (ctypes.c_uint8 * (2 * SIZE)).from_address(address)
        return np.frombuffer(memory, np.float16)


@pytest.fixture(params=tensorrt.VERSIONS)
def loaded(request):
    return LoadedEngine(request.param)


def test_an_engine_runs_when_the_stream_is_waited_for(loaded):
    loaded.array(loaded.x)[:] = np.linspace(-2, 2, SIZE)
    before = loaded.array(loaded.y).copy()
    assert loaded.context.execute_async_v3(loaded.stream) is True
    np.testing.assert_array_equal(loaded.array(loaded.y), before)
    loaded.machine.synchronize(loaded.stream)
    wanted = np.maximum(loaded.array(loaded.x), 0)
    np.testing.assert_array_equal(loaded.array(loaded.y), wanted)


def test_it_runs_again_in_a_graph(loaded):
    loaded.machine.begin_capture(loaded.stream)
    assert loaded.context.execute_async_v3(loaded.stream)
    graph = loaded.machine.end_capture(loaded.stream)
    for value in (-1, 3):
        loaded.array(loaded.x)[:] = value
        loaded.machine.launch_graph(graph, loaded.stream)
        loaded.machine.synchronize(loaded.stream)
        assert set(loaded.array(loaded.y)) == {max(value, 0)}


@pytest.mark.parametrize("address", [0, None, "odd"])
def test_addresses_that_are_missing_or_not_aligned_are_misuse(loaded, address):
    if address is None:
        loaded.context = loaded.engine.create_execution_context()
    else:
        loaded.context.set_tensor_address("x", loaded.x + 2 if address else 0)
    with pytest.raises(Misuse, match="tensor x"):
        loaded.context.execute_async_v3(loaded.stream)
    assert loaded.logged[-1][0] == "ERROR"


def test_memory_that_is_too_small_is_misuse(loaded):
    small = loaded.machine.allocate_pinned(SIZE)
    loaded.context.set_tensor_address("y", small)
    with pytest.raises(Misuse):
        loaded.context.execute_async_v3(loaded.stream)


def test_a_context_on_two_streams_at_once_is_misuse(loaded):
    other = loaded.machine.create_stream()
    loaded.context.execute_async_v3(loaded.stream)
    with pytest.raises(Misuse, match="at work on stream"):
        loaded.context.execute_async_v3(other)
    loaded.machine.synchronize(loaded.stream)
    assert loaded.context.execute_async_v3(other)


def test_a_context_that_goes_before_its_work_is_done_is_misuse(loaded):
    loaded.context.execute_async_v3(loaded.stream)
    loaded.context = None
    gc.collect()
    with pytest.raises(Misuse, match="deleted before its work"):
        loaded.machine.synchronize(loaded.stream)


@pytest.mark.parametrize("call", ["execute_async_v3", "enqueue"])
def test_a_gpu_that_refuses_is_false_and_a_line_of_the_log(loaded, call):
    loaded.machine.fail(call)
    assert loaded.context.execute_async_v3(loaded.stream) is False
    assert "cudaErrorLaunchFailure" in loaded.logged[-1][1]
    assert loaded.context.execute_async_v3(loaded.stream) is True


def test_what_cannot_be_made_is_none(loaded):
    for call, make in (
        ("create_execution_context", loaded.engine.create_execution_context),
        (
            "deserialize_cuda_engine",
            lambda: loaded.runtime.deserialize_cuda_engine(loaded.plan),
        ),
    ):
        loaded.machine.fail(call)
        assert make() is None
        assert loaded.logged[-1][0] == "ERROR"
        assert make() is not None


@pytest.fixture(params=["8.6.1", "11.4.0", "rtx-1.7.1"])
def resizable(request):
    """Of 2 to 6 channels."""
    sizes = [(1, channels, 3, 5) for channels in (2, 4, 6)]
    return LoadedEngine(request.param, "channels", {"x": sizes})


def test_a_context_runs_for_the_shape_that_was_set(resizable):
    context, machine, stream = resizable.context, resizable.machine, resizable.stream
    assert tuple(resizable.engine.get_tensor_shape("y")) == (1, -1, 3, 5)
    assert context.execute_async_v3(stream) is False
    assert "allInputDimensionsSpecified" in resizable.logged[-1][1]
    for shape in ((1, 7, 3, 5), (1, 1, 3, 5), (1, 4, 3, 6), (4, 3, 5)):
        assert context.set_input_shape("x", shape) is False
        assert resizable.logged[-1][0] == "ERROR"
    assert context.set_input_shape("y", (1, 4, 3, 5)) is False
    with pytest.raises(TypeError):
        context.set_input_shape("x", "1, 4, 3, 5")
    resizable.array(resizable.x)[:] = -1
    resizable.array(resizable.y)[:] = 7
    assert context.set_input_shape("x", (1, 2, 3, 5)) is True
    assert context.execute_async_v3(stream)
    machine.synchronize(stream)
    planes = resizable.array(resizable.y).reshape(6, 15)
    assert (planes[:2] == 0).all()
    assert (planes[2:] == 7).all()


def test_a_graph_is_of_the_shape_that_it_was_captured_with(resizable):
    context, machine, stream = resizable.context, resizable.machine, resizable.stream

    def capture():
        machine.begin_capture(stream)
        try:
            assert context.execute_async_v3(stream)
        finally:
            graph = machine.end_capture(stream)
        return graph

    context.set_input_shape("x", (1, 4, 3, 5))
    with pytest.raises(Misuse, match="before it ran once"):
        capture()
    assert context.execute_async_v3(stream)
    graph = capture()
    machine.launch_graph(graph, stream)
    machine.synchronize(stream)
    context.set_input_shape("x", (1, 3, 3, 5))
    machine.launch_graph(graph, stream)
    with pytest.raises(Misuse, match="has changed since"):
        machine.synchronize(stream)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_plan_is_none(loaded, damage):
    plan = bytearray(loaded.plan)
    plan[len(plan) // 2] ^= 1
    damaged = {"cut": loaded.plan[:-9], "flipped": bytes(plan), "empty": b""}[damage]
    assert loaded.runtime.deserialize_cuda_engine(damaged) is None
    assert loaded.logged[-1][0] == "ERROR"


def test_a_plan_of_another_version_is_none(loaded):
    others = [v for v in tensorrt.VERSIONS if v != loaded.version]
    for version in others:
        plan = tensorrt.plan_of(tensorrt.make(None, version), onnx())
        assert loaded.runtime.deserialize_cuda_engine(plan) is None
        assert "Version tag does not match" in loaded.logged[-1][1]


def test_names_and_keywords_are_the_versions_own(loaded):
    old = loaded.version == "8.6.1"
    new = loaded.version.startswith(("11", "rtx"))
    assert hasattr(loaded.trt, "IProgressMonitor") is not old
    assert (
        hasattr(loaded.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED") is not old
    )
    assert hasattr(loaded.trt.BuilderFlag, "FP16") is not new
    for wrong in (
        lambda: loaded.trt.NoSuchName,
        lambda: loaded.engine.no_such_name,
        lambda: setattr(loaded.context, "no_such_name", 1),
        lambda: setattr(loaded.engine, "num_io_tensors", 3),
    ):
        with pytest.raises(AttributeError):
            wrong()
    for wrong in (
        lambda: loaded.context.execute_async_v3(stream=loaded.stream),
        lambda: loaded.context.execute_async_v3(),
        lambda: loaded.context.set_tensor_address("x", "y"),
        lambda: loaded.trt.Runtime("no logger"),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_an_enumeration_is_no_number(loaded):
    flag = loaded.trt.BuilderFlag.VERSION_COMPATIBLE
    assert flag == loaded.trt.BuilderFlag.VERSION_COMPATIBLE
    assert flag != int(flag)
    with pytest.raises(TypeError):
        1 << flag


def test_a_subclass_that_forgets_its_base_is_refused(loaded):
    class Log(loaded.trt.ILogger):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match="__init__"):
        loaded.trt.Builder(Log())


def test_every_use_is_listed(loaded):
    before = len(loaded.trt.uses)
    loaded.context.execute_async_v3(stream_handle=loaded.stream)
    _ = loaded.trt.TensorFormat.HWC8
    assert loaded.trt.uses[before:] == [
        ("IExecutionContext", "execute_async_v3", 0, ("stream_handle",)),
        ("trt", "TensorFormat", "get", ()),
        ("TensorFormat", "HWC8", "get", ()),
    ]


@pytest.mark.parametrize(
    ("kind", "layout", "stored"),
    [
        (TensorProto.FLOAT16, "HWC8", (1, 3, 5, 8)),
        (TensorProto.INT8, "CHW4", (1, 2, 3, 5, 4)),
    ],
)
def test_layouts_are_what_they_are_called(kind, layout, stored):
    from doubles import tensorrt_plan as plans

    shape = (1, 6, 3, 5)
    assert plans.stored_shape(shape, layout) == stored
    numbers = np.arange(SIZE).astype(np.int8).reshape(shape)
    old = np.full(stored, -1, np.int8)
    made = plans.store(numbers, layout, old)
    flat = made.ravel()
    for c, y, x in np.ndindex(shape[1:]):
        at = (y * 5 + x) * 8 + c
        if layout == "CHW4":
            at = ((c // 4) * 15 + y * 5 + x) * 4 + c % 4
        assert flat[at] == numbers[0, c, y, x]
    assert (flat == -1).sum() == flat.size - SIZE
    np.testing.assert_array_equal(plans.load(made, shape, layout), numbers)
    assert kind in (TensorProto.FLOAT16, TensorProto.INT8)
