"""Mix channels before they are enlarged, and not after it.

Heads that enlarge features of several strides, join them and mix their channels by a
convolution of 1 x 1 (SegFormer and its kin, the pooled branch of ASPP) do most of their
multiplications on interpolated values. Interpolation works on each channel by itself,
with weights that sum to 1, so it commutes with such a convolution and its bias:

    Conv(Concat(Resize(a), b)) = Resize(Conv_a(a)) + Conv_b(b)

where the parts of the convolution have the weights of their channels, and one of them
the bias. Of 1 x 1 pixels nothing is enlarged: the sum repeats them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from .rewrite import constant, free, names_in, producer, rewrite, static_shape, store

__all__ = ["convolve_before_resize"]

# What one value of an enlarged or summed tensor costs, in multiply-adds of a
# convolution: measured with ONNX Runtime on one thread of an x86 CPU.
_RESIZED = 64
_SUMMED = 8


def convolve_before_resize(
    model: onnx.ModelProto,
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy of a network that computes the same, and the convolutions that were moved.

    One is moved if that saves more multiplications than the sums and the channels cost
    that are enlarged instead. Without any the model itself is returned.

    Args:
        model: Of fixed shapes, or nothing is found.
    """
    moved = _Move()
    made = rewrite(model, moved, RemoveUnusedNodesPass())
    return (made, tuple(moved.names)) if moved.names else (model, ())


@dataclass(frozen=True)
class _Branch:
    """What the convolution reads: channels of one size.

    Attributes:
        value: Before it is enlarged.
        resize: What enlarges it; None if nothing does.
        shape: Of ``value``.
    """

    value: ir.Value
    resize: ir.Node | None
    shape: tuple[int, ...]

    @property
    def planes(self) -> int:
        return self.shape[1]

    @property
    def is_one_pixel(self) -> bool:
        return self.shape[2:] == (1, 1)


class _Move(ir.passes.InPlacePass):
    def __init__(self) -> None:
        self.names: list[str] = []

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        taken = names_in(model)
        for node in tuple(model.graph):
            weights = _weights(node)
            if weights is None:
                continue
            branches = _branches(node)
            if any(b.resize for b in branches) and _pays(branches, node):
                _move(model.graph, node, weights, branches, taken)
                self.names.append(node.name or node.op_type)
        return ir.passes.PassResult(model, modified=bool(self.names))


def _weights(node: ir.Node) -> NDArray[Any] | None:
    """Those of a convolution of 1 x 1; None of another node."""
    if node.op_type != "Conv" or static_shape(node.outputs[0]) is None:
        return None
    weights = constant(node.inputs[1])
    fixed = node.attributes
    plain = (
        fixed.get_int("group", 1) == 1
        and not any(fixed.get_ints("pads", ()))
        and fixed.get_string("auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and set(fixed.get_ints("strides", ())) <= {1}
    )
    return weights if plain and _is_1x1(weights) else None


def _is_1x1(weights: NDArray[Any] | None) -> bool:
    return weights is not None and weights.ndim == 4 and weights.shape[2:] == (1, 1)


def _branches(conv: ir.Node) -> list[_Branch]:
    """What it reads, piece by piece; none if a piece is needed elsewhere too."""
    source = conv.inputs[0]
    assert source is not None, "a Conv has an input"
    join = producer(source)
    values: Sequence[ir.Value | None] = [source]
    if join is not None and join.op_type == "Concat" and _only_use(source):
        if join.attributes.get_int("axis", 0) % 4 != 1:
            return []
        values = join.inputs
    branches = []
    for value in values:
        resize = producer(value)
        if resize is not None and _mixes_nothing(resize) and _only_use(value):
            value = resize.inputs[0]
        else:
            resize = None
        shape = static_shape(value)
        if value is None or shape is None:
            return []
        branches.append(_Branch(value, resize, shape))
    return branches


def _only_use(value: ir.Value | None) -> bool:
    return value is not None and len(value.uses()) == 1 and not value.is_graph_output()


def _mixes_nothing(node: ir.Node) -> bool:
    """Whether it enlarges height and width alone, by weights that sum to 1."""
    old, new = static_shape(node.inputs[0]), static_shape(node.outputs[0])
    if node.op_type != "Resize" or old is None or new is None or len(old) != 4:
        return False
    grid = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    enlarges = old[:2] == new[:2] and math.prod(old) < math.prod(new)
    stored = [value for value in node.inputs[1:] if value is not None]
    known = all(constant(value) is not None for value in stored)
    return enlarges and known and grid != "tf_crop_and_resize"


def _pays(branches: Sequence[_Branch], conv: ir.Node) -> bool:
    _, planes, height, width = static_shape(conv.outputs[0]) or (0, 0, 0, 0)
    if all(branch.is_one_pixel for branch in branches):
        return False  # nothing would enlarge the sum
    saved = 0
    for branch in branches:
        if branch.resize is not None:
            small = math.prod(branch.shape[2:])
            saved += branch.planes * planes * (height * width - small)
            more = (0 if branch.is_one_pixel else planes) - branch.planes
            saved -= _RESIZED * more * height * width
    parts = sum(branch.resize is not None for branch in branches)
    parts += any(branch.resize is None for branch in branches)
    return saved > _SUMMED * (parts - 1) * planes * height * width


class _Parts:
    """Nodes that are put in the place of a convolution."""

    def __init__(self, graph: ir.Graph, conv: ir.Node, taken: set[str]) -> None:
        self._graph, self._conv, self._taken = graph, conv, taken
        self._name = conv.name or conv.op_type
        self.nodes: list[ir.Node] = []

    def add(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        attributes: Iterable[ir.Attr] = (),
    ) -> ir.Value:
        count = sum(node.op_type == op for node in self.nodes)
        node = ir.Node("", op, inputs, attributes, name=f"{self._name}/{op}_{count}")
        self.nodes.append(node)
        value = node.outputs[0]
        value.name = free(self._taken, f"{node.name}_output")
        value.type = self._conv.outputs[0].type
        return value

    def stored(self, array: NDArray[Any], what: str) -> ir.Value:
        return store(self._graph, array, free(self._taken, f"{self._name}/{what}"))

    def resized(self, resize: ir.Node, value: ir.Value, planes: int) -> ir.Value:
        """Another tensor, of so many planes, enlarged as ``resize`` does."""
        inputs = [value, *resize.inputs[1:]]
        sizes = constant(inputs[3]) if len(inputs) > 3 else None
        if sizes is not None and sizes.size == 4:
            inputs[3] = self.stored(np.array([1, planes, *sizes[2:]]), "sizes")
        return self.add("Resize", inputs, resize.attributes.values())


def _move(
    graph: ir.Graph,
    conv: ir.Node,
    weights: NDArray[Any],
    branches: Sequence[_Branch],
    taken: set[str],
) -> None:
    """Put the parts of a convolution, their enlargements and their sum in its place."""
    parts, result = _Parts(graph, conv, taken), conv.outputs[0]
    bias = conv.inputs[2] if len(conv.inputs) > 2 else None
    first = 0
    total: ir.Value | None = None
    for resize, group in groupby(branches, lambda branch: branch.resize):
        together = list(group)
        last = first + sum(branch.planes for branch in together)
        own = parts.stored(np.ascontiguousarray(weights[:, first:last]), "weight")
        first, value = last, together[0].value
        if len(together) > 1:
            joined = [branch.value for branch in together]
            value = parts.add("Concat", joined, [ir.AttrInt64("axis", 1)])
        if total is None and bias is not None:
            value = parts.add("Conv", [value, own, bias])
        else:
            value = parts.add("Conv", [value, own])
        if resize is not None and not together[0].is_one_pixel:
            value = parts.resized(resize, value, len(weights))
        total = value if total is None else parts.add("Add", [total, value])
    assert total is not None, "there is a branch"
    conv.prepend(parts.nodes)
    total.shape = result.shape
    for index, output in enumerate(graph.outputs):
        if output is result:
            graph.outputs[index] = total
            name, result.name = result.name, None
            total.name = name
    result.replace_all_uses_with(total)
