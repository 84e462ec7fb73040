"""A small graph with one thing in it that a parser or builder may refuse.

``ours`` and ``real`` are the two verdicts: whether the exporter's rules for TensorRT
10.3 find nothing, and whether TensorRT for RTX 1.7 builds it. Where they differ,
``difference`` says why that may stay:

- "rtx": only TensorRT for RTX is so, as its plugins and INT8 kernels are other ones;
- "newer": version 11's parser takes what 10.3's refuses, and variants serve both;
- "policy": it builds, but not into what was meant: INT8 that runs in float, uint8 that
  is computed as int8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import numpy_helper, parser

IMAGE = "float[1,8,16,16] x"
HALF = "float16[1,8,16,16] x"
HALF_OUT = "float16[N,C,H,W] y"


@dataclass(frozen=True)
class Case:
    name: str
    body: str
    ours: bool
    real: bool
    difference: str | None = None
    inputs: str = IMAGE
    outputs: str = "float[N,C,H,W] y"
    opset: int = 19

    def model(self) -> onnx.ModelProto:
        """The graph; its nodes are named after what they make."""
        text = (
            f'<ir_version: 9, opset_import: ["": {self.opset}]> '
            f"graph ({self.inputs}) => ({self.outputs}) {{ {self.body} }}"
        )
        model = parser.parse_model(text)
        graph = model.graph
        for node in graph.node:
            node.name = node.output[0]
        read = {name for node in graph.node for name in node.input}
        for name in sorted(read & CONSTANTS.keys()):
            graph.initializer.append(numpy_helper.from_array(CONSTANTS[name], name))
        return onnx.shape_inference.infer_shapes(model)


def _quantized(dtype: type[np.generic]) -> dict[str, np.ndarray]:
    tag = "h" if dtype is np.float16 else "f"
    return {
        f"s{tag}": np.array(0.05, dtype),
        f"t{tag}": np.array(0.1, dtype),
        f"w{tag}": np.linspace(-1, 1, 576).astype(dtype).reshape(8, 8, 3, 3),
        f"ws{tag}": np.full(8, 0.01, dtype),
        f"b{tag}": np.zeros(8, dtype),
        f"g{tag}": np.ones(16, dtype),
    }


CONSTANTS = {
    **_quantized(np.float32),
    **_quantized(np.float16),
    "z": np.int8(0),
    "z3": np.int8(3),
    "u0": np.uint8(0),
    "u128": np.uint8(128),
    "wq": np.linspace(-127, 127, 576).astype(np.int8).reshape(8, 8, 3, 3),
    "w128": np.linspace(-128, 127, 576).astype(np.int8).reshape(8, 8, 3, 3),
    "wz": np.zeros(8, np.int8),
    "wz1": np.ones(8, np.int8),
    "zero_scales": np.zeros(8, np.float32),
    "negative_scales": np.full(8, -0.01, np.float32),
    "one_by_one": np.ones((8, 8, 1, 1), np.int8),
    "bq": np.zeros(8, np.int32),
    "bs": np.full(8, 0.0005, np.float32),
    "twice": np.array([1, 1, 2, 2], np.float32),
    "twice_two": np.array([2, 2], np.float32),
    "half_size": np.array([1, 1, 0.5, 0.5], np.float32),
    "roi": np.array([0, 0, 0, 0, 1, 1, 1, 1], np.float32),
    "sizes": np.array([20, 24]),
    "rows": np.array([[1], [3]]),
    "cells": np.zeros((2, 4), np.int64),
    "nine": np.array([1, 8, 1, 16, 1, 16, 1, 1, 1]),
    "k5": np.array([5]),
    "k4000": np.array([4000]),
    "three": np.array(3, np.float32),
    "flat": np.array([1, 8, 256]),
    "kernels1": np.ones((1, 32, 4), np.float32),
    "kernels2": np.ones((1, 32, 8), np.float32),
}
