"""The runtimes that a kernel is measured against, each held to one thread.

A peer that is not installed is left out, and the record says that it is absent.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fuseg  # noqa: F401 - first: it turns ONNX Runtime's telemetry off

# isort: split
import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from fuseg.backends.openvino import the_core

Call = Callable[[], Any]

EAGER = "torch eager"
CHANNELS_LAST = "torch channels_last"
COMPILED = "torch.compile"
ONNXRUNTIME = "ONNX Runtime"
OPENVINO = "OpenVINO"
FRAMEWORKS = (EAGER, CHANNELS_LAST, COMPILED, ONNXRUNTIME, OPENVINO)
OPENCV = "cv2 (tuned)"

_TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float16): TensorProto.FLOAT16,
    np.dtype(np.uint8): TensorProto.UINT8,
    np.dtype(np.int64): TensorProto.INT64,
}


def onnx_model(
    nodes: Sequence[onnx.NodeProto],
    feed: Mapping[str, np.ndarray],
    outputs: Mapping[str, type],
    constants: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """A graph with inputs like ``feed``, as bytes."""
    graph = helper.make_graph(
        list(nodes),
        "peer",
        [
            helper.make_tensor_value_info(name, _TYPES[array.dtype], array.shape)
            for name, array in feed.items()
        ],
        [
            helper.make_tensor_value_info(name, _TYPES[np.dtype(kind)], None)
            for name, kind in outputs.items()
        ],
        [onnx.numpy_helper.from_array(a, n) for n, a in (constants or {}).items()],
    )
    opset = helper.make_opsetid("", 13)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    return model.SerializeToString()


def runtimes(model: bytes, feed: Mapping[str, np.ndarray]) -> dict[str, Call]:
    """ONNX Runtime and OpenVINO on ``model``; a call returns the list of outputs."""
    calls = {ONNXRUNTIME: _onnxruntime(model, feed)}
    if importlib.util.find_spec("openvino"):
        calls[OPENVINO] = _openvino(model, feed)
    return calls


def _onnxruntime(model: bytes, feed: Mapping[str, np.ndarray]) -> Call:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model, options, providers=["CPUExecutionProvider"]
    )
    return lambda: session.run(None, dict(feed))


def _openvino(model: bytes, feed: Mapping[str, np.ndarray]) -> Call:
    core = the_core()
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "ENABLE_CPU_PINNING": False,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    request = compiled.create_infer_request()
    inputs = dict(feed)

    def call() -> list[np.ndarray]:
        results = request.infer(inputs, share_inputs=True, share_outputs=True)
        return [results[port] for port in compiled.outputs]

    return call


def torch_ways(function: Callable[..., Any], *tensors: torch.Tensor) -> dict[str, Call]:
    """``function`` eager, on channels_last images, and compiled for these shapes."""
    images = [
        t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t
        for t in tensors
    ]
    # Functions of one source line share a cache of at most eight shapes.
    torch._dynamo.reset()
    compiled = torch.compile(function, dynamic=False)
    with torch.inference_mode():
        compiled(*tensors)

    def under(function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> Call:
        def call() -> Any:
            with torch.inference_mode():
                return function(*inputs)

        return call

    return {
        EAGER: under(function, tensors),
        CHANNELS_LAST: under(function, images),
        COMPILED: under(compiled, tensors),
    }
