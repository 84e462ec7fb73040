"""The doubles of TensorRT are as strict and as late as they say."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from doubles import Machine, Misuse, tensorrt
from onnx import TensorProto, helper

SIZE = 6 * 3 * 5


def onnx(kind=TensorProto.FLOAT16):
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [info("x", kind, (1, 6, 3, 5))],
        [info("y", kind, (1, 6, 3, 5))],
    )
    opset = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return made.SerializeToString()


class Ready:
    """An engine with a context, memory and a stream."""

    def __init__(self, version):
        self.machine = Machine()
        self.trt = trt = tensorrt.make(self.machine, version)
        self.said = said = []

        class Log(trt.ILogger):
            def __init__(self):
                trt.ILogger.__init__(self)

            def log(self, severity, msg):
                said.append((severity.name, msg))

        self.runtime = trt.Runtime(Log())
        self.plan = tensorrt.plan_of(trt, onnx())
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
def ready(request):
    return Ready(request.param)


def test_an_engine_runs_when_the_stream_is_waited_for(ready):
    ready.array(ready.x)[:] = np.linspace(-2, 2, SIZE)
    before = ready.array(ready.y).copy()
    assert ready.context.execute_async_v3(ready.stream) is True
    np.testing.assert_array_equal(ready.array(ready.y), before)
    ready.machine.synchronize(ready.stream)
    wanted = np.maximum(ready.array(ready.x), 0)
    np.testing.assert_array_equal(ready.array(ready.y), wanted)


def test_it_runs_again_in_a_graph(ready):
    ready.machine.begin_capture(ready.stream)
    assert ready.context.execute_async_v3(ready.stream)
    graph = ready.machine.end_capture(ready.stream)
    for value in (-1, 3):
        ready.array(ready.x)[:] = value
        ready.machine.launch_graph(graph, ready.stream)
        ready.machine.synchronize(ready.stream)
        assert set(ready.array(ready.y)) == {max(value, 0)}


@pytest.mark.parametrize("address", [0, None, "odd"])
def test_addresses_that_are_missing_or_not_aligned_are_misuse(ready, address):
    if address is None:
        ready.context = ready.engine.create_execution_context()
    else:
        ready.context.set_tensor_address("x", ready.x + 2 if address else 0)
    with pytest.raises(Misuse, match="tensor x"):
        ready.context.execute_async_v3(ready.stream)
    assert ready.said[-1][0] == "ERROR"


def test_memory_that_is_too_small_is_misuse(ready):
    small = ready.machine.allocate_pinned(SIZE)
    ready.context.set_tensor_address("y", small)
    with pytest.raises(Misuse):
        ready.context.execute_async_v3(ready.stream)


def test_a_context_on_two_streams_at_once_is_misuse(ready):
    other = ready.machine.create_stream()
    ready.context.execute_async_v3(ready.stream)
    with pytest.raises(Misuse, match="at work on stream"):
        ready.context.execute_async_v3(other)
    ready.machine.synchronize(ready.stream)
    assert ready.context.execute_async_v3(other)


def test_a_context_that_goes_before_its_work_is_done_is_misuse(ready):
    ready.context.execute_async_v3(ready.stream)
    ready.context = None
    gc.collect()
    with pytest.raises(Misuse, match="deleted before its work"):
        ready.machine.synchronize(ready.stream)


@pytest.mark.parametrize("call", ["execute_async_v3", "enqueue"])
def test_a_gpu_that_refuses_is_false_and_a_line_of_the_log(ready, call):
    ready.machine.fail(call)
    assert ready.context.execute_async_v3(ready.stream) is False
    assert "cudaErrorLaunchFailure" in ready.said[-1][1]
    assert ready.context.execute_async_v3(ready.stream) is True


def test_what_cannot_be_made_is_none(ready):
    for call, make in (
        ("create_execution_context", ready.engine.create_execution_context),
        (
            "deserialize_cuda_engine",
            lambda: ready.runtime.deserialize_cuda_engine(ready.plan),
        ),
    ):
        ready.machine.fail(call)
        assert make() is None
        assert ready.said[-1][0] == "ERROR"
        assert make() is not None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_plan_is_none(ready, damage):
    plan = bytearray(ready.plan)
    plan[len(plan) // 2] ^= 1
    damaged = {"cut": ready.plan[:-9], "flipped": bytes(plan), "empty": b""}[damage]
    assert ready.runtime.deserialize_cuda_engine(damaged) is None
    assert ready.said[-1][0] == "ERROR"


def test_a_plan_of_another_version_is_none(ready):
    others = [v for v in tensorrt.VERSIONS if v != ready.trt.__version__]
    for version in others:
        plan = tensorrt.plan_of(tensorrt.make(None, version), onnx())
        assert ready.runtime.deserialize_cuda_engine(plan) is None
        assert "Version tag does not match" in ready.said[-1][1]


def test_names_and_keywords_are_the_versions_own(ready):
    old = ready.trt.__version__ == "8.6.1"
    new = ready.trt.__version__.startswith("11")
    assert hasattr(ready.trt, "IProgressMonitor") is not old
    assert hasattr(ready.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED") is not old
    assert hasattr(ready.trt.BuilderFlag, "FP16") is not new
    for wrong in (
        lambda: ready.trt.NoSuchName,
        lambda: ready.engine.no_such_name,
        lambda: setattr(ready.context, "no_such_name", 1),
        lambda: setattr(ready.engine, "num_io_tensors", 3),
    ):
        with pytest.raises(AttributeError):
            wrong()
    for wrong in (
        lambda: ready.context.execute_async_v3(stream=ready.stream),
        lambda: ready.context.execute_async_v3(),
        lambda: ready.context.set_tensor_address("x", "y"),
        lambda: ready.trt.Runtime("no logger"),
    ):
        with pytest.raises(TypeError):
            wrong()


def test_an_enumeration_is_no_number(ready):
    flag = ready.trt.BuilderFlag.VERSION_COMPATIBLE
    assert flag == ready.trt.BuilderFlag.VERSION_COMPATIBLE
    assert flag != int(flag)
    with pytest.raises(TypeError):
        1 << flag


def test_a_subclass_that_forgets_its_base_is_refused(ready):
    class Log(ready.trt.ILogger):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match="__init__"):
        ready.trt.Builder(Log())


def test_every_use_is_listed(ready):
    before = len(ready.trt.uses)
    ready.context.execute_async_v3(stream_handle=ready.stream)
    _ = ready.trt.TensorFormat.HWC8
    assert ready.trt.uses[before:] == [
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
