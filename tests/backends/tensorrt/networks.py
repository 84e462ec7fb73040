"""Small networks with casts and pairs where the exporter puts them; their bundles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fuseg import bundle
from fuseg.manifest import Graph, Network, Tail, Tensor, Variant, input_shapes

FORMAT1 = Path(__file__).parents[2] / "data" / "format1.fuseg"

SIZE = (6, 8)
SCALES = {"rgb": 0.03125, "depth": 0.0234375}  # float16 holds them exactly
CLASSES = 6
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
    nodes.append(helper.make_node("Concat", planes, ["planes"], "join", axis=1))
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


def write_bundle(path: Path, networks: dict[str, bytes]) -> bundle.Bundle:
    """A bundle of colour and depth with these variants, by name, in this order."""
    old = bundle.Bundle.open(FORMAT1).manifest
    inputs = tuple(
        replace(
            i,
            resize=replace(i.resize, height=SIZE[0], width=SIZE[1]),
        )
        for i in old.inputs
    )
    (output,) = old.outputs
    words = [f"class{i}" for i in range(CLASSES)]
    output = replace(
        output,
        tensor="scores",
        classes=tuple(replace(output.classes[0], name=word) for word in words),
        tail=Tail(("Resize", "ArgMax"), SIZE),
    )
    variants, files = [], {}
    for name in networks:
        target, precision = PRECISIONS[name]
        opset = 19 if name == "int8-trt" else 17
        files[name] = Network(f"{name}.onnx", opset, 9)
        variants.append(Variant(name, (target,), precision, ()))
    shapes = input_shapes(inputs)
    tensors = shapes | {"scores": (1, CLASSES, *SIZE)}
    whole = replace(
        old,
        tensors={name: Tensor(shape) for name, shape in tensors.items()},
        inputs=inputs,
        graphs=(Graph("net", tuple(shapes), ("scores",), files),),
        outputs=(output,),
        variants=tuple(variants),
        samples=(),
        files={},
    )
    members = {f"{name}.onnx": data for name, data in networks.items()}
    bundle.write(path, whole, members)
    return bundle.Bundle.open(path)
