"""What the ONNX parsers of TensorRT 8.6 and 10.3 take, as tables, and what they do not.

Source: docs/operators.md and the importers' own checks in onnx/onnx-tensorrt, branches
release/8.6-GA (6ba67d3, 2023-05-04) and release/10.1-GA (96e7811, 2024-06-17), read
2026-11-20 and 2026-11-30. No copy of release/10.3-GA was at hand; both of 10.x say
opset 9 to 20. TensorRT for RTX 1.7, whose parser is a later state of the same source
and TensorRT 11's, is asked in tests:

- What only its parser and builder check, not 10.1's, is marked so and refused.
- What the documents of 8.6 and 10.1 refuse, but neither their source nor that parser
  does, is allowed: cubic Resize, pools over one axis, TopK with sorted=0.
- What only that parser takes is refused, as variants are for 10.3 too: opsets above 20,
  GridSample of 5 axes, an LSTM with layout=1 (which 10.1's importer does not read).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import onnx_ir as ir

from ...passes.average_pools import POOL_WINDOW
from ...passes.rewrite import constant, static_shape

__all__ = ["OPERATORS", "Version", "unsupported"]

Version = Literal["8.6", "10.3"]

_OPSETS = {"8.6": (7, 17), "10.3": (9, 20)}

_BOTH = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool
BatchNormalization Cast Ceil Celu Clip Concat Constant ConstantOfShape Conv
ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu
Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample
GroupNormalization HardSigmoid HardSwish Identity If InstanceNormalization IsInf
IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mod Mul
Neg NonMaxSuppression NonZero Not OneHot Or PRelu Pad Pow QuantizeLinear RNN
RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal
ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin
ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign
Round Scan Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh
Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan
Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
OPERATORS = {
    "8.6": frozenset(_BOTH.split()),
    "10.3": frozenset([*_BOTH.split(), "CastLike", "DeformConv", "Gelu", "Hardmax"])
    | {"Mish"},
}

# Values that an attribute may have; a list must have nothing else in it.
_RESIZE: dict[str, tuple[object, ...]] = {
    "coordinate_transformation_mode": (
        *("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn"),
        *("asymmetric", "align_corners"),
    ),
    "nearest_mode": ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"),
}
_ATTRIBUTES: dict[Version, dict[str, dict[str, tuple[object, ...]]]] = {
    "8.6": {"Resize": _RESIZE},
    "10.3": {
        "Resize": {
            **_RESIZE,
            "keep_aspect_ratio_policy": ("stretch",),
            "antialias": (0,),
        },
        "AveragePool": {"dilations": (1,)},
        "MaxPool": {"dilations": (1,)},
        "LpPool": {"dilations": (1,), "p": (1, 2)},  # p: RTX 1.7
        "LSTM": {"input_forget": (0,), "layout": (0,)},
        "ScatterND": {"reduction": ("none",)},
        "BatchNormalization": {"training_mode": (0,)},  # RTX 1.7
        "LpNormalization": {"p": (1, 2)},  # RTX 1.7
    },
}

# Inputs, by position, that must be stored in the graph.
_AXES = {"Squeeze": 1, "Unsqueeze": 1, "Slice": 3, "CumSum": 1}
_STORED: dict[Version, dict[str, int]] = {
    "8.6": _AXES,
    "10.3": {
        **_AXES,
        "Pad": 3,
        "OneHot": 1,
        **dict.fromkeys(
            (
                *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp"),
                *("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"),
                *("ReduceSum", "ReduceSumSquare"),
            ),
            1,
        ),
    },
}

# How many axes the first input may have: all but two of them are the picture's.
_RANKS: dict[Version, dict[str, tuple[int, ...]]] = {
    "8.6": {"AveragePool": (3, 4, 5), "MaxPool": (3, 4, 5)},
    "10.3": {"AveragePool": (3, 4, 5), "MaxPool": (3, 4, 5), "GridSample": (4,)},
}

# Of RTX 1.7; the limits of shapes and types are older than that.
_TYPES = ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT8", "UINT8", "INT32", "INT64")
_NO_TYPES = frozenset(ir.DataType) - {
    *(ir.DataType[name] for name in _TYPES),
    *(ir.DataType.BOOL, ir.DataType.UNDEFINED),
}
_MOST_AXES = 8
_LARGEST_K = 3840

# Operators of which only the first output is there.
_SINGLE_OUTPUT: dict[Version, tuple[str, ...]] = {
    "8.6": ("MaxPool",),
    "10.3": ("MaxPool", "LayerNormalization"),
}


def unsupported(graph: ir.Graph, version: Version) -> Iterator[str]:
    """One sentence for each thing in a graph that a parser does not take."""
    oldest, newest = _OPSETS[version]
    opset = graph.opset_imports[""]
    if not oldest <= opset <= newest:
        yield (
            f"the opset must be {oldest} to {newest} for TensorRT {version}, got "
            f"{opset}."
        )
    for node in graph.all_nodes():
        if node.op_type not in OPERATORS[version]:
            yield (
                f"node {node.name} is a {node.op_type}, which TensorRT {version} does "
                "not have."
            )
        limits = _ATTRIBUTES[version].get(node.op_type, {})
        for name, allowed in limits.items():
            found = node.attributes.get(name)
            if found is None:
                continue
            got = list(found.value) if isinstance(found.value, tuple) else found.value
            values = got if isinstance(got, list) else [got]
            if any(value not in allowed for value in values):
                yield (
                    f"{name} of {node.op_type} {node.name} must be "
                    f"{' or '.join(map(str, allowed))} for TensorRT {version}, got "
                    f"{got}."
                )
        index = _STORED[version].get(node.op_type, len(node.inputs))
        value = node.inputs[index] if index < len(node.inputs) else None
        if value and constant(value) is None:
            yield (
                f"input {index} of {node.op_type} {node.name} must be stored in the "
                f"graph for TensorRT {version}, but {value.name} is computed."
            )
        ranks = _RANKS[version].get(node.op_type)
        shape = static_shape(node.inputs[0]) if ranks else None
        if ranks and shape is not None and len(shape) not in ranks:
            yield (
                f"{node.op_type} {node.name} must be of {' or '.join(map(str, ranks))} "
                f"axes for TensorRT {version}, got {len(shape)}."
            )
        if node.op_type in _SINGLE_OUTPUT[version] and any(
            v.name for v in node.outputs[1:]
        ):
            yield (
                f"{node.op_type} {node.name} must make only its first output for "
                f"TensorRT {version}."
            )
        yield from _of_no_table(node)


def _of_no_table(node: ir.Node) -> Iterator[str]:
    what = f"{node.op_type} {node.name}"
    for value in node.outputs:
        if value.dtype in _NO_TYPES:
            yield (
                f"{what} must make float, 8-bit, int32, int64 or bool, which TensorRT "
                f"has, got {value.dtype.name.lower()}."
            )
        if value.shape is not None and len(value.shape) > _MOST_AXES:
            yield (
                f"{what} must make at most {_MOST_AXES} axes, got {len(value.shape)}."
            )
    if node.op_type == "TopK":
        k = constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if k is not None and k.max() > _LARGEST_K:
            yield f"k of {what} must be at most {_LARGEST_K}, got {k.max()}."
    window = node.attributes.get_ints("kernel_shape", ())
    pools = node.op_type in ("AveragePool", "LpPool", "MaxPool")
    if pools and len(window) <= 2 and math.prod(window) >= POOL_WINDOW:  # RTX 1.7
        yield (
            f"the window of {what} must be below {POOL_WINDOW:,} samples, got "
            f"{math.prod(window):,}."
        )
    place = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    if node.op_type == "Resize" and place == "tf_half_pixel_for_nn":
        rounding = node.attributes.get_string("nearest_mode", "round_prefer_floor")
        if rounding != "round_prefer_floor":
            yield (
                f"nearest_mode of {what} must be round_prefer_floor with "
                f"{place}, got {rounding}."
            )
