"""What the parser of the TensorRT doubles refuses, as NVIDIA's own does.

`tests/tensorrt_real/test_double.py` holds it against what the real one says. TensorRT
for RTX alone has no plugins.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

_UNKNOWN = ("QLinearConv", "DynamicQuantizeLinear", "MaxUnpool")
_PLUGINS = ("NonZero", "NonMaxSuppression", "RoiAlign", "DeformConv")
_PAIR = ("QuantizeLinear", "DequantizeLinear")
_PLACES = "half_pixel pytorch_half_pixel tf_half_pixel_for_nn asymmetric align_corners"
_TAKEN: dict[str, tuple[object, ...]] = {
    "Resize coordinate_transformation_mode": tuple(_PLACES.encode().split()),
    "Resize keep_aspect_ratio_policy": (b"stretch",),
    "Resize antialias": (0,),
    "ScatterND reduction": (b"none",),
    "BatchNormalization training_mode": (0,),
    "LSTM input_forget": (0,),
    "LpPool p": (1, 2),
    **{f"{kind}Pool dilations": ([1], [1, 1]) for kind in ("Max", "Average", "Lp")},
}
_FLOATS = (1, 10, 11, 16)  # float, half, double, bfloat16: of ONNX
_NO_TYPES = (4, 5, 8, 12, 13, 14, 15)  # 16 bits, unsigned, strings, complex


class Refusal(NamedTuple):
    sentence: str
    index: int = -1
    node: Any = None


def first_refusal(model: Any, *, rtx: bool) -> Refusal | None:
    """The first node that is refused, by TensorRT or for RTX; None if none is."""
    import onnx

    context = onnx.checker.C.CheckerContext()
    context.ir_version = model.ir_version
    context.opset_imports = {o.domain: o.version for o in model.opset_import}
    arrays = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    kinds = _kinds(model)
    for index, node in enumerate(model.graph.node):
        try:
            onnx.checker.check_node(node, context)
        except onnx.checker.ValidationError as err:
            return Refusal(str(err), index, node)
        for sentence, broken in _rules(node, arrays, kinds, rtx).items():
            if broken:
                return Refusal(sentence, index, node)
    return None


def _kinds(model: Any) -> dict[str, tuple[int, int]]:
    """By value: its type, in ONNX's numbers, and how many axes it has."""
    import onnx

    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    typed.graph.ClearField("value_info")
    for opset in typed.opset_import:  # in TensorRT a pair makes its scale's type
        if opset.domain == "" and opset.version >= 13:
            opset.version = max(opset.version, 19)
    graph = onnx.shape_inference.infer_shapes(typed).graph
    found = {t.name: (t.data_type, len(t.dims)) for t in graph.initializer}
    for info in (*graph.input, *graph.value_info, *graph.output):
        tensor = info.type.tensor_type
        found[info.name] = tensor.elem_type, len(tensor.shape.dim)
    return found


def _rules(node: Any, arrays: Any, kinds: Any, rtx: bool) -> dict[str, bool]:
    """For each sentence, whether the node is to be refused with it."""
    op = node.op_type
    given = {a.name: a.s or list(a.ints) or a.i for a in node.attribute}
    window = given.get("kernel_shape", [1])
    place = given.get("coordinate_transformation_mode")
    nearest = given.get("nearest_mode", b"round_prefer_floor")
    read = [kinds.get(name, (0, 0))[0] for name in node.input]
    made = [kinds.get(name, (0, 0)) for name in node.output]
    scale, zero = (arrays.get(name) for name in (*node.input, "", "", "")[1:3])
    pair, both = op in _PAIR, scale is not None and zero is not None
    return {
        f"no importer for {op}": op in _UNKNOWN,
        f"no plugin for {op}": rtx
        and (op in _PLUGINS or given.get("reduction", b"none") != b"none"),
        "attribute not supported": any(
            value not in _TAKEN.get(f"{op} {name}", (value,))
            for name, value in given.items()
        ),
        "only round_prefer_floor in tf_half_pixel_for_nn": (
            place == b"tf_half_pixel_for_nn" and nearest != b"round_prefer_floor"
        ),
        f"more than 1 output of {op}": (
            op in ("LayerNormalization", "MaxPool") and any(node.output[1:])
        ),
        "window too large": (
            op.endswith("Pool") and len(window) <= 2 and math.prod(window) >= 100_000
        ),
        "K exceeds the maximum value allowed (3840)": (
            op == "TopK" and scale is not None and scale.max() > 3840
        ),
        "Unsupported data type": any(kind in _NO_TYPES for kind, _ in made),
        "Number of dimensions is not in the valid range": any(n > 8 for _, n in made),
        "Int32 cannot be dequantized": pair and read[0] == 6,
        "Non-zero zero point is not supported": pair and both and zero.any(),
        "Scale must be positive": pair and scale is not None and (scale <= 0).any(),
        "Scale and zero point must have the same volume": (
            pair and both and scale.size != zero.size
        ),
        "incompatible float types": (
            op != "Resize" and len({kind for kind in read if kind in _FLOATS}) > 1
        ),
    }
