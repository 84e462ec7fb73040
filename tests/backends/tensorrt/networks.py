"""Small networks with casts and pairs where the exporter puts them."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIZE = (6, 8)
SCALES = {"rgb": 0.03125, "depth": 0.0234375}  # float16 holds them exactly
CLASSES = 6  # more than four: the double then prefers hwc8
QUANTIZED = {
    "kind": "int8",
    "activations": "int8",
    "rest": "float16",
    "calibration": "minmax",
    "frames": "2",
    "float_nodes": "0",
}
PRECISIONS = {
    "fp32": ("any", {"kind": "fp32"}),
    "fp16": ("any", {"kind": "fp16", "float32_nodes": "0"}),
    "int8-trt": ("tensorrt", QUANTIZED),
    "int8-trt8": ("tensorrt-8", {**QUANTIZED, "rest": "float32"}),
}


def network(name: str, *, opset: int | None = None, seed: int = 3) -> bytes:
    """ONNX of a variant: scores are a 1 x 1 convolution of both inputs.

    It has the casts and pairs where the exporter puts them.
    """
    half, pairs = name in ("fp16", "int8-trt"), name.startswith("int8")
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    number = np.float16 if half else np.float32
    weights = np.random.default_rng(seed).normal(0, 0.3, (CLASSES, 4, 1, 1))
    stored = {"weights": weights.astype(number)}
    nodes, planes = [], []
    for tensor in ("rgb", "depth"):
        at = tensor
        if half:
            nodes.append(helper.make_node("Cast", [at], [f"{tensor}_half"], to=kind))
            at = f"{tensor}_half"
        if pairs:
            scale, zero = f"{tensor}_scale", f"{tensor}_zero"
            stored |= {scale: number(SCALES[tensor]), zero: np.int8(0)}
            for op, result in (("QuantizeLinear", "q"), ("DequantizeLinear", "dq")):
                after = f"{tensor}_{result}"
                nodes.append(helper.make_node(op, [at, scale, zero], [after]))
                at = after
        planes.append(at)
    scores = "scores_half" if half else "scores"
    nodes.append(helper.make_node("Concat", planes, ["planes"], axis=1))
    nodes.append(helper.make_node("Conv", ["planes", "weights"], [scores]))
    if half:
        nodes.append(helper.make_node("Cast", [scores], ["scores"], to=1))
    graph = helper.make_graph(
        nodes,
        "network",
        [
            helper.make_tensor_value_info(t, 1, (1, c, *SIZE))
            for t, c in (("rgb", 3), ("depth", 1))
        ],
        [helper.make_tensor_value_info("scores", 1, (1, CLASSES, *SIZE))],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in stored.items()],
    )
    used = opset or (19 if name == "int8-trt" else 17)
    imports = [helper.make_opsetid("", used)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9)
    return model.SerializeToString()
