"""Which nodes float16 would spoil: a rule on the ranges of their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import numpy as np
import onnx
import onnx_ir as ir

from fuseg.errors import ExportError

from ..passes.rewrite import constant, read, static_shape

__all__ = ["overflow_risks"]

# Calibration sees few frames, and its methods may clip the ends of a range: a value
# that comes within three bits of float16's end is taken to pass it one day.
LARGEST = float(np.finfo(np.float16).max) / 8
# Below float16's normal numbers bits are lost one by one.
SMALLEST = float(np.finfo(np.float16).smallest_normal)
# What they compute on the way (sums of exponentials, of squares, of differences from a
# mean) has a wider range than what they read and make.
STATISTICS = (
    *("Softmax", "LogSoftmax", "Exp", "Log", "Pow", "Softplus", "CumSum", "Det"),
    *("LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN"),
    *("MeanVarianceNormalization", "LpNormalization", "RMSNormalization", "LpPool"),
    *("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"),
    *("ReduceProd", "GlobalLpPool", "Reciprocal", "Sqrt"),
)
_MEANS = ("GlobalAveragePool", "AveragePool", "ReduceMean")


def overflow_risks(
    ranges: Mapping[str, tuple[float, float]], model: onnx.ModelProto
) -> list[str]:
    """Names of the nodes that must stay float32, in the order of the graph.

    A node is one of them if

    - a value that it reads or makes comes within a factor of 8 of 65,504 (8,188 and
      more), or is never larger than 2**-14, where float16 loses bits; 0 alone is fine;
    - it is a mean whose sum, the largest mean times what it is of, is beyond 65,504;
    - it divides by a value that comes within 2**-14 of 0, or makes such a divisor:
      float16 may turn the epsilon in it into 0;
    - it is of a kind in `STATISTICS`, or multiplies a value with itself: what it
      computes on the way has a wider range than its values;
    - the range of one of its float32 values is not known.

    Args:
        ranges: Smallest and largest value by name, on calibration frames, as
            ``minmax`` finds them; of the model's inputs too.
        model: The float32 network.

    Raises:
        ExportError: A node that must stay float32 has no name.
    """
    graph = read(model).graph
    divisors = {
        node.inputs[1]
        for node in graph
        if node.op_type == "Div" and _near_zero(node.inputs[1], ranges)
    }
    names = []
    for node in graph:
        if node.op_type == "Constant":
            continue
        if not _at_risk(node, ranges) and divisors.isdisjoint(
            (*node.inputs, *node.outputs)
        ):
            continue
        if not node.name:
            raise ExportError(
                f"the {node.op_type} that makes {node.outputs[0].name} must stay "
                "float32, but has no name: give every node one."
            )
        names.append(node.name)
    return names


def _at_risk(node: ir.Node, ranges: Mapping[str, tuple[float, float]]) -> bool:
    values = list(_computed_floats(node))
    if not values:
        return False
    if node.op_type in STATISTICS:
        return True
    if node.op_type == "Mul" and node.inputs[0] is node.inputs[1]:
        return True
    for value in values:
        if value not in ranges:
            return True
        largest = max(abs(end) for end in ranges[value])
        if largest >= LARGEST or 0 < largest < SMALLEST:
            return True
    if node.op_type not in _MEANS:
        return False
    largest = max(abs(end) for end in ranges[node.outputs[0].name or ""])
    return largest * _summed(node) > LARGEST * 8


def _near_zero(
    value: ir.Value | None, ranges: Mapping[str, tuple[float, float]]
) -> bool:
    name = value.name if value else None
    low, high = ranges.get(name or "", (1.0, 1.0))  # or a constant, or not known
    return low < SMALLEST and high > -SMALLEST


def _computed_floats(node: ir.Node) -> Iterator[str]:
    """Names of what a node reads and makes in float32, stored tensors apart."""
    for value in (*node.inputs, *node.outputs):
        if value and value.dtype == ir.DataType.FLOAT and constant(value) is None:
            yield value.name or ""


def _summed(node: ir.Node) -> float:
    """How many values one mean is of, at most; infinity if it is not known."""
    given, made = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if given is None or made is None:
        return float("inf")
    if node.op_type == "AveragePool":
        return float(prod(node.attributes["kernel_shape"].as_ints()))
    return prod(given) / prod(made)
