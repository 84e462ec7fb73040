"""Small graphs, each with one thing in it that a parser or builder may refuse.

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

Q = "xq = QuantizeLinear(x, sf, z) xd = DequantizeLinear(xq, sf, z) "
QH = "xq = QuantizeLinear(x, sh, z) xd = DequantizeLinear(xq, sh, z) "
W = "wd = DequantizeLinear<axis=0>(wq, wsf, wz) "
WH = "wd = DequantizeLinear<axis=0>(wq, wsh, wz) "
CONV = "c = Conv<pads=[1,1,1,1]>(xd, wd, bf) "
CONVH = "c = Conv<pads=[1,1,1,1]>(xd, wd, bh) "
END = "r = Relu(c) rq = QuantizeLinear(r, tf, z) y = DequantizeLinear(rq, tf, z)"
ENDH = "r = Relu(c) rq = QuantizeLinear(r, th, z) y = DequantizeLinear(rq, th, z)"
HALF_OUT = "float16[N,C,H,W] y"
ROWS = {"inputs": "float[8,4] x, float[2,4] u", "outputs": "float[N,M] y"}
TWO = "float[1,8,16,16] x, float[1,8,16,16] v"

QUANTIZATION = [
    Case("int8 convolution", Q + W + CONV + END, True, True),
    Case(
        "int8 convolution in float16",
        QH + WH + CONVH + ENDH,
        True,
        True,
        inputs=HALF,
        outputs=HALF_OUT,
    ),
    Case("at opset 13", Q + W + CONV + END, True, True, opset=13),
    Case("at opset 17", Q + W + CONV + END, True, True, opset=17),
    Case("at opset 21", Q + W + CONV + END, False, True, "newer", opset=21),
    Case("at opset 23", Q + W + CONV + END, False, True, "newer", opset=23),
    Case(
        "uint8, zero point 0",
        "q = QuantizeLinear(x, sf, u0) y = DequantizeLinear(q, sf, u0)",
        False,
        True,
        "policy",
    ),
    Case(
        "uint8, zero point 128",
        "q = QuantizeLinear(x, sf, u128) y = DequantizeLinear(q, sf, u128)",
        False,
        False,
    ),
    Case(
        "no zero point",
        "q = QuantizeLinear(x, sf) y = DequantizeLinear(q, sf)",
        False,
        True,
        "policy",
    ),
    Case(
        "zero point 3",
        "q = QuantizeLinear(x, sf, z3) y = DequantizeLinear(q, sf, z3)",
        False,
        False,
    ),
    Case(
        "zero points 1 of weights",
        Q + "wd = DequantizeLinear<axis=0>(wq, wsf, wz1) " + CONV + END,
        False,
        False,
    ),
    Case(
        "one zero point, scales per channel",
        Q + "wd = DequantizeLinear<axis=0>(wq, wsf, z) " + CONV + END,
        False,
        False,
    ),
    Case(
        "weights' axis 1",
        Q + "wd = DequantizeLinear<axis=1>(wq, wsf, wz) " + CONV + END,
        False,
        True,
        "policy",
    ),
    Case(
        "scales 0",
        Q + "wd = DequantizeLinear<axis=0>(wq, zero_scales, wz) " + CONV + END,
        False,
        False,
    ),
    Case(
        "negative scales",
        Q + "wd = DequantizeLinear<axis=0>(wq, negative_scales, wz) " + CONV + END,
        False,
        False,
    ),
    Case(
        "a weight of -128",
        Q + "wd = DequantizeLinear<axis=0>(w128, wsf, wz) " + CONV + END,
        False,
        True,
        "policy",
    ),
    Case(
        "activations per channel",
        "q = QuantizeLinear<axis=1>(x, wsf, wz) "
        "y = DequantizeLinear<axis=1>(q, wsf, wz)",
        False,
        True,
        "policy",
    ),
    Case(
        "a computed scale",
        "m = ReduceMax<keepdims=0>(x) s = Mul(m, sf) q = QuantizeLinear(x, s, z) "
        "y = DequantizeLinear(q, s, z)",
        False,
        True,
        "policy",
    ),
    Case(
        "a quantized bias",
        Q
        + W
        + "bd = DequantizeLinear<axis=0>(bq, bs) "
        + "c = Conv<pads=[1,1,1,1]>(xd, wd, bd) "
        + END,
        False,
        False,
    ),
    Case(
        "a float32 bias in float16",
        QH + WH + CONV + ENDH,
        False,
        False,
        inputs=HALF,
        outputs=HALF_OUT,
    ),
    Case("a float16 bias in float32", Q + W + CONVH + END, False, False),
    Case(
        "float32 scales of weights in float16",
        QH + W + CONVH + ENDH,
        False,
        False,
        inputs=HALF,
        outputs=HALF_OUT,
    ),
    Case(
        "a float16 scale at opset 17",
        QH + WH + CONVH + ENDH,
        False,
        True,
        "newer",
        inputs=HALF,
        outputs=HALF_OUT,
        opset=17,
    ),
    Case(
        "a pair between convolution and activation",
        Q + W + CONV + "cq = QuantizeLinear(c, tf, z) "
        "cd = DequantizeLinear(cq, tf, z) y = Relu(cd)",
        False,
        True,
        "policy",
    ),
    Case(
        "an addition quantized on one side", Q + "y = Add(xd, x)", False, True, "policy"
    ),
    Case(
        "a concatenation with two scales",
        Q
        + "vq = QuantizeLinear(v, tf, z) vd = DequantizeLinear(vq, tf, z) "
        + "y = Concat<axis=1>(xd, vd)",
        False,
        True,
        "policy",
        inputs=TWO,
    ),
    Case(
        "a pool of int8",
        "q = QuantizeLinear(x, sf, z) p = MaxPool<kernel_shape=[2,2]>(q) "
        "y = DequantizeLinear(p, sf, z)",
        False,
        True,
        "newer",
    ),
    Case(
        "QLinearConv",
        "y = QLinearConv(x, sf, z, one_by_one, sf, z, sf, z)",
        False,
        False,
        inputs="int8[1,8,16,16] x",
        outputs="int8[N,C,H,W] y",
    ),
    Case(
        "DynamicQuantizeLinear",
        "q, s, zp = DynamicQuantizeLinear(x) y = DequantizeLinear(q, s, zp)",
        False,
        False,
    ),
]

TYPES = [
    Case(
        "float32 and float16 added",
        "y = Add(x, v)",
        False,
        False,
        inputs="float[1,8,16,16] x, float16[1,8,16,16] v",
    ),
    Case(
        "int16 between casts",
        "i = Cast<to=5>(x) y = Cast<to=1>(i)",
        False,
        False,
    ),
    Case(
        "uint32 between casts",
        "i = Cast<to=12>(x) y = Cast<to=1>(i)",
        False,
        False,
    ),
    Case("int64 between casts", "i = Cast<to=7>(x) y = Cast<to=1>(i)", True, True),
    Case("float64 between casts", "d = Cast<to=11>(x) y = Cast<to=1>(d)", True, True),
    Case(
        "a uint8 input that is cast",
        "y = Cast<to=1>(x)",
        False,
        True,
        "newer",
        inputs="uint8[1,8,16,16] x",
    ),
    Case(
        "nine axes",
        "n = Reshape(x, nine) y = Relu(n)",
        False,
        False,
        outputs="float[A,B,C,D,E,F,G,H,I] y",
    ),
]

RESIZE = [
    *(
        Case(
            f"nearest, {place}, {rounding}",
            f'y = Resize<mode="nearest", coordinate_transformation_mode="{place}", '
            f'nearest_mode="{rounding}">(x, , twice)',
            ok,
            ok,
        )
        for place, rounding, ok in (
            ("half_pixel", "floor", True),
            ("asymmetric", "ceil", True),
            ("align_corners", "round_prefer_ceil", True),
            ("tf_half_pixel_for_nn", "round_prefer_floor", True),
            ("tf_half_pixel_for_nn", "floor", False),
            ("tf_half_pixel_for_nn", "round_prefer_ceil", False),
            ("half_pixel_symmetric", "floor", False),
        )
    ),
    Case("linear", 'y = Resize<mode="linear">(x, , twice)', True, True),
    Case("cubic", 'y = Resize<mode="cubic">(x, , twice)', True, True),
    Case(
        "antialias",
        'y = Resize<mode="linear", antialias=1>(x, , half_size)',
        False,
        False,
    ),
    Case(
        "keep_aspect_ratio_policy",
        'y = Resize<mode="linear", keep_aspect_ratio_policy="not_larger", '
        "axes=[2,3]>(x, , , sizes)",
        False,
        False,
    ),
    Case(
        "scales of some axes",
        'y = Resize<mode="linear", axes=[2,3]>(x, , twice_two)',
        True,
        True,
    ),
    Case(
        "tf_crop_and_resize",
        'y = Resize<mode="linear", coordinate_transformation_mode='
        '"tf_crop_and_resize">(x, roi, twice)',
        False,
        False,
    ),
]

OPERATORS = [
    *(
        Case(
            f"ScatterND, reduction {how}",
            f'y = ScatterND<reduction="{how}">(x, rows, u)',
            ok,
            ok,
            **ROWS,
        )
        for how, ok in (("none", True), ("add", False), ("max", False))
    ),
    Case("ScatterElements", "y = ScatterElements(x, cells, u)", True, True, **ROWS),
    Case(
        "ScatterElements, reduction add",
        'y = ScatterElements<reduction="add">(x, cells, u)',
        True,
        False,
        "rtx",
        **ROWS,
    ),
    Case(
        "the 5 largest",
        "y, i = TopK(x, k5)",
        True,
        True,
        inputs="float[1,5000] x",
        outputs="float[N,K] y",
    ),
    Case(
        "the 4000 largest",
        "y, i = TopK(x, k4000)",
        False,
        False,
        inputs="float[1,5000] x",
        outputs="float[N,K] y",
    ),
    Case(
        "the 5 largest, unsorted",
        "y, i = TopK<sorted=0>(x, k5)",
        True,
        True,
        inputs="float[1,5000] x",
        outputs="float[N,K] y",
    ),
    Case(
        "normalisation in training",
        "y, m, v = BatchNormalization<training_mode=1>(x, bf, bf, bf, bf)",
        False,
        False,
    ),
    Case("Mod of floats with fmod", "y = Mod<fmod=1>(x, three)", True, True),
    Case("LpPool of order 3", "y = LpPool<p=3, kernel_shape=[2,2]>(x)", False, False),
    Case("LayerNormalization", "y = LayerNormalization(x, gf, gf)", True, True),
    Case(
        "LayerNormalization, three outputs",
        "y, m, v = LayerNormalization(x, gf, gf)",
        False,
        False,
        outputs="float[N,C,H,W] y, float[N,C,H,1] m",
    ),
    Case(
        "MaxPool with indices",
        "y, i = MaxPool<kernel_shape=[2,2]>(x)",
        False,
        False,
        outputs="float[N,C,H,W] y, int64[N,C,H,W] i",
    ),
    Case(
        "a dilated MaxPool",
        "y = MaxPool<kernel_shape=[2,2], dilations=[2,2]>(x)",
        False,
        False,
    ),
    Case(
        "an AveragePool of one axis",
        "y = AveragePool<kernel_shape=[2]>(x)",
        True,
        True,
        inputs="float[1,4,16] x",
        outputs="float[N,C,W] y",
    ),
    *(
        Case(
            f"a {kind}Pool over {columns * 250:,} samples",
            f"y = {kind}Pool<kernel_shape=[{columns},250]>(x)",
            ok,
            ok,
            inputs="float[1,1,400,250] x",
        )
        for kind in ("Average", "Max", "Lp")
        for columns, ok in ((399, True), (400, False))
    ),
    Case(
        "an AveragePool over 216,000 samples of three axes",
        "y = AveragePool<kernel_shape=[60,60,60]>(x)",
        True,
        True,
        inputs="float[1,1,60,60,60] x",
        outputs="float[N,C,D,H,W] y",
    ),
    Case(
        "a GridSample of five axes",
        "y = GridSample(x, g)",
        False,
        True,
        "newer",
        inputs="float[1,4,8,8,8] x, float[1,4,4,4,3] g",
        outputs="float[N,C,D,H,W] y",
        opset=20,
    ),
    Case(
        "a float32 grid for float16",
        "y = GridSample(x, g)",
        False,
        False,
        inputs="float16[1,8,16,16] x, float[1,4,4,2] g",
        outputs=HALF_OUT,
    ),
    Case(
        "LSTM, input_forget",
        "y = LSTM<hidden_size=8, input_forget=1>(x, kernels1, kernels2)",
        False,
        False,
        inputs="float[5,1,4] x",
    ),
    Case(
        "LSTM, layout 1",
        "y = LSTM<hidden_size=8, layout=1>(x, kernels1, kernels2)",
        False,
        True,
        "newer",
        inputs="float[1,5,4] x",
    ),
    Case("Swish", "y = Swish(x)", False, True, "newer", opset=24),
    Case(
        "NonZero",
        "i = NonZero(x) y = Cast<to=1>(i)",
        True,
        False,
        "rtx",
        outputs="float[N,M] y",
    ),
    Case(
        "MaxUnpool",
        "y = MaxUnpool<kernel_shape=[2,2], strides=[2,2]>(x, i)",
        False,
        False,
        inputs=IMAGE + ", int64[1,8,16,16] i",
    ),
]

CASES = [*QUANTIZATION, *TYPES, *RESIZE, *OPERATORS]
