"""Take a part of joined tensors from where it came from, and not from the join.

Networks that join their sensors first and cut them apart again (RTFNet) would look to
``--split`` as if everything depended on every sensor.

1. A Slice of a Concat, along its axis and in steps of one, that takes whole parts of it
   is that part, or a Concat of these parts.
2. So is each output of a Split of a Concat, along its axis.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from .rewrite import constant, free, names_in, producer, rewrite, static_shape

__all__ = ["fold_slices"]


def fold_slices(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a network that computes the same; it is unchanged if nothing is found.

    Args:
        model: Of fixed shapes.
    """
    return rewrite(model, _FoldSlices(), RemoveUnusedNodesPass())


class _FoldSlices(ir.passes.InPlacePass):
    def call(self, model: ir.Model) -> ir.passes.PassResult:
        taken = names_in(model)
        for node in tuple(model.graph):
            for value, low, high in _taken_ranges(node):
                parts = _whole_parts(node, low, high)
                if not parts or value.is_graph_output():
                    continue
                source = parts[0]
                if len(parts) > 1:
                    axis = {"axis": _axis(node)}
                    name = free(taken, f"{value.name}_joined")
                    joined = ir.node("Concat", parts, axis, name=f"{name}/Concat")
                    source = joined.outputs[0]
                    source.name, source.type = name, value.type
                    source.shape = value.shape
                    node.prepend([joined])
                value.replace_all_uses_with(source)
        return ir.passes.PassResult(model, modified=True)


def _taken_ranges(node: ir.Node) -> Iterator[tuple[ir.Value, int, int]]:
    """What a node takes of its input along `_axis`: each value, from where to where."""
    concat = producer(node.inputs[0]) if node.inputs else None
    if concat is None or concat.op_type != "Concat" or _axis(node) is None:
        return
    axis = _axis(node) or 0
    if concat.attributes.get_int("axis", 0) % _rank(node) != axis:
        return
    size = (static_shape(node.inputs[0]) or ())[axis]
    if node.op_type == "Slice":
        starts, ends = (constant(value) for value in node.inputs[1:3])
        assert starts is not None, "see _axis"
        assert ends is not None, "see _axis"
        low, high, _ = slice(int(starts[0]), int(ends[0])).indices(size)
        yield node.outputs[0], low, high
        return
    low = 0
    for value in node.outputs:
        high = low + (static_shape(value) or (0,) * _rank(node))[axis]
        yield value, low, high
        low = high


def _axis(node: ir.Node) -> int | None:
    """The one axis along which a Slice or a Split takes parts; None of other nodes."""
    rank = _rank(node)
    if not rank:
        return None
    if node.op_type == "Split":
        return node.attributes.get_int("axis", 0) % rank
    if node.op_type != "Slice" or len(node.inputs) < 4:
        return None
    stored = [constant(value) for value in node.inputs[1:]]
    if any(array is None or array.size != 1 for array in stored):
        return None
    starts, _, axes, *steps = stored
    assert starts is not None, "looked at above"
    assert axes is not None, "looked at above"
    if any(step is not None and step[0] != 1 for step in steps):
        return None
    return int(axes[0]) % rank


def _rank(node: ir.Node) -> int:
    return len(static_shape(node.inputs[0]) or ()) if node.inputs else 0


def _whole_parts(node: ir.Node, low: int, high: int) -> list[ir.Value]:
    """The inputs of the Concat that a range is made of; none if it cuts through one."""
    concat, axis = producer(node.inputs[0]), _axis(node) or 0
    assert concat is not None, "see _taken_ranges"
    parts, first = [], 0
    for value in concat.inputs:
        shape = static_shape(value)
        if value is None or shape is None:
            return []
        last = first + shape[axis]
        if low <= first and last <= high:
            parts.append(value)
        elif first < high and last > low:
            return []
        first = last
    return parts
