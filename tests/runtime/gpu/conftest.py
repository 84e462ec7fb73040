"""A GPU made of host memory, and engines of a bundle on it."""

from __future__ import annotations

import importlib.machinery
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doubles
import doubles.onnxruntime_cuda
import doubles.tensorrt
import numpy as np
import pytest
from doubles.bounded import bounded  # noqa: F401

import fuseg
from fuseg import manifest
from fuseg.backends.tensorrt.backend import TensorRtBackend, open_engine
from fuseg.backends.tensorrt.libraries import RTX
from fuseg.backends.tensors import decode
from fuseg.bundle import Bundle
from fuseg.cuda import open_device
from fuseg.cuda.buffers import Buffers

ELEMENTS = {"float32": 1, "float16": 10, "int8": 3}  # ONNX's numbers


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> doubles.Machine:
    """One GPU; pycuda, fuseg's CUDA module and TensorRT 10.3 are doubles on it."""
    made = doubles.install(monkeypatch, doubles.Machine(memory_bytes=1 << 30))
    trt = doubles.tensorrt.make(made, "10.3.0")
    trt.__spec__ = importlib.machinery.ModuleSpec("tensorrt", None)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    return made


@pytest.fixture(params=["pycuda", "native"])
def binding(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def builds(
    machine: doubles.Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[], int]:
    """TensorRT 10.3 that child processes build with, too; ``builds()``: how often."""
    log = tmp_path / "builds"
    doubles.in_children(monkeypatch, "10.3.0", builds=log)
    assert machine.name == "Pretend GPU"
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def library(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[str, doubles.Machine, Callable[[], int]]:
    """A GPU with this TensorRT, for child processes too: backend, machine, builds."""
    version, machine = request.param, doubles.Machine(capability=(8, 9))
    rtx = version.startswith("rtx")
    doubles.install(monkeypatch, machine)
    trt, module = doubles.tensorrt.make(machine, version), "tensorrt"
    if rtx:
        module = RTX.module
    trt.__spec__ = importlib.machinery.ModuleSpec(module, None)
    monkeypatch.setitem(sys.modules, module, trt)
    log = tmp_path / "builds"
    doubles.in_children(monkeypatch, version, builds=log)
    return (
        "tensorrt-rtx" if rtx else "tensorrt",
        machine,
        lambda: len(log.read_text().splitlines()),
    )


@pytest.fixture(params=["tensorrt", "onnxruntime-cuda"])
def kind(
    request: pytest.FixtureRequest,
    machine: doubles.Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """What runs graphs; ONNX Runtime's CUDA provider is a double, too."""
    if request.param == "onnxruntime-cuda":
        made = doubles.onnxruntime_cuda.make(machine)
        monkeypatch.setitem(sys.modules, "onnxruntime", made)
    name: str = request.param
    return name


@pytest.fixture
def on_gpu(machine: doubles.Machine) -> Callable[..., fuseg.Segmenter]:  # noqa: ARG001
    """``on_gpu(linear, binding=, inputs=, scores=, layouts=)``: a Segmenter of it.

    ``inputs`` and ``scores``: element types of the engine's tensors; ``layouts``:
    TensorRT's names of formats, by tensor; ``options``: the Segmenter's.
    """

    def make(
        made: Any,
        *,
        binding: str = "pycuda",
        inputs: str = "float32",
        scores: str = "float32",
        layouts: dict[str, str] | None = None,
        scale: float = 1 / 32,
        ordinal: int = 0,
        **options: Any,
    ) -> fuseg.Segmenter:
        opened = Bundle.open(made.path)
        onnx = with_io_types(opened.read("fp32.onnx"), inputs, scores, scale)
        plan = doubles.tensorrt.plan_of(sys.modules["tensorrt"], onnx, layouts)
        device = open_device(ordinal, binding=binding)
        names = {entry.tensor for entry in opened.manifest.inputs}
        scales = dict.fromkeys(names, scale if inputs == "int8" else 1.0)
        with device.active():
            backend = TensorRtBackend(open_engine(plan), device, scales)
        return fuseg.load(opened, backend=backend, **options)

    return make


@pytest.fixture
def tensors() -> Callable[[fuseg.Segmenter], dict[str, np.ndarray]]:
    """``tensors(segmenter)``: the input tensors that lie on the GPU now, float32."""

    def read(segmenter: fuseg.Segmenter) -> dict[str, np.ndarray]:
        device, found = segmenter.backend.device, {}
        with device.active():
            buffers = Buffers(device)
            stream = buffers.stream()
            for name, tensor in segmenter.backend.inputs.items():
                pinned = buffers.pinned(tensor.nbytes).array
                device.download(pinned, tensor.address, stream)
                device.synchronize(stream)
                stored = pinned.view(tensor.dtype).reshape(tensor.stored)
                found[name] = decode(stored.copy(), tensor)
        return found

    return read


def with_io_types(onnx: bytes, inputs: str, scores: str, scale: float) -> bytes:
    """The network with other element types at its ends, cast inside."""
    from onnx import ModelProto, helper

    model = ModelProto.FromString(onnx)
    graph = model.graph
    for tensor in graph.input:
        if inputs == "float32":
            continue
        outer, tensor.type.tensor_type.elem_type = tensor.name, ELEMENTS[inputs]
        for node in graph.node:
            node.input[:] = [f"{n}_inner" if n == outer else n for n in node.input]
        cast = helper.make_node("Cast", [outer], [f"{outer}_cast"], to=1)
        factor = scale if inputs == "int8" else 1.0
        graph.initializer.append(helper.make_tensor(f"{outer}_f", 1, [], [factor]))
        multiply = helper.make_node(
            "Mul", [f"{outer}_cast", f"{outer}_f"], [f"{outer}_inner"]
        )
        graph.node.insert(0, multiply)
        graph.node.insert(0, cast)
    for tensor in graph.output:
        if scores == "float32":
            continue
        tensor.type.tensor_type.elem_type = ELEMENTS[scores]
        for node in graph.node:
            node.output[:] = [
                f"{n}_inner" if n == tensor.name else n for n in node.output
            ]
        graph.node.append(
            helper.make_node(
                "Cast", [f"{tensor.name}_inner"], [tensor.name], to=ELEMENTS[scores]
            )
        )
    return model.SerializeToString()


HOLD = manifest.Missing("hold", 100, "substitute")
SUBSTITUTE = manifest.Missing("substitute")


@pytest.fixture
def held(make_bundle: Any, color_input: Any, plane_input: Any) -> Any:
    """Depth is held for 100 ms, then -1; colour that is missing is 0.25."""
    return make_bundle(
        color_input(size=(13, 17), missing=SUBSTITUTE, fill=0.25),
        plane_input(size=(13, 17), missing=HOLD),
    )


@pytest.fixture(params=["in the bundle", "at load"])
def held_either_way(request: Any, held: Any, both: Any) -> tuple[Any, dict[str, Any]]:
    """The policies of ``held``, and ``both`` with the option that makes them so."""
    if request.param == "in the bundle":
        return held, {}
    hold = {"policy": "hold", "max_age_ms": 100, "then": "substitute"}
    missing = {"rgb": {"policy": "substitute"}, "depth": hold}
    return both, {"missing": missing}


@pytest.fixture
def both(make_bundle: Any, color_input: Any, plane_input: Any) -> Any:
    """Colour and depth of 13 x 17, scores at half of that, five classes."""
    return make_bundle(
        color_input(size=(13, 17)), plane_input(size=(13, 17)), classes=5, stride=2
    )


@pytest.fixture
def stacked(make_bundle: Any, color_input: Any, plane_input: Any) -> Any:
    """Depth and colour in one tensor of four channels, depth first."""
    size = (13, 17)
    return make_bundle(
        plane_input(size=size, tensor="rgbd"),
        color_input(size=size, tensor="rgbd", channel=1),
    )


def moved(frames: dict[str, Any], stamp_ns: int) -> dict[str, fuseg.Frame]:
    return {name: fuseg.Frame(a, stamp_ns) for name, a in frames.items()}


@pytest.fixture
def poisoned() -> Callable[[tuple[int, int]], np.ndarray]:
    return lambda size: np.full(size, 0x77, np.uint8)
