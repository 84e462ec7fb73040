"""Which values of a network are quantized, for one kind of runtime or another.

Runtimes read the same pair of nodes in different ways:

- ``CPU``: activations uint8 with a zero point, a pair on every value between quantized
  nodes, int32 bias. ONNX Runtime and OpenVINO fuse each node with its pairs into an
  integer one; of symmetric int8 ONNX Runtime leaves those in float whose input has
  several readers (microsoft/onnxruntime #21251).
- ``TENSORRT``: activations int8 with zero point 0, pairs only before what is computed
  in INT8 (the inputs of a convolution, both inputs of an addition behind one), after
  the activation, never between a convolution and its Relu; float bias.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ...passes.rewrite import constant

__all__ = [
    "CPU",
    "TENSORRT",
    "QdqScheme",
    "output_axis",
    "pair_owners",
    "scale_groups",
    "scale_sources",
    "stored_weight",
]

_WEIGHTED = ("Conv", "Gemm", "MatMul")
_ACTIVATIONS = ("Relu", "Clip")
_RESHAPERS = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze")
_MOVERS = (*_RESHAPERS, "Resize", "MaxPool", "Slice")


@dataclass(frozen=True)
class QdqScheme:
    """What one kind of runtime wants.

    Attributes:
        weighted: Operators with weights that are computed in integers.
        zero_point: Whether activations are uint8 with a zero point, else int8.
        computes: Operators without weights that are.
        moves: Operators that hand integers on, with the scale of their input.
        outputs: Whether the results of quantized nodes are quantized too.
        whole_bias: Whether the bias is int32, else float.
        one_scale: Operators whose inputs must have one common scale.
        all_or_none: Operators of whose inputs none may be quantized unless all are.
        beside: Whether operators without weights are quantized only beside a layer in
            integers. In float there, or far from any, they would gain nothing.
    """

    weighted: tuple[str, ...]
    zero_point: bool
    computes: tuple[str, ...]
    moves: tuple[str, ...]
    outputs: bool
    whole_bias: bool
    one_scale: tuple[str, ...]
    all_or_none: tuple[str, ...]
    beside: bool = True

    def anywhere(self) -> QdqScheme:
        """The same with operators quantized that nothing in integers is beside."""
        return replace(self, beside=False)


CPU = QdqScheme(
    weighted=_WEIGHTED,
    zero_point=True,
    computes=("Add", "Mul", "Concat", "GlobalAveragePool", "AveragePool", "Sigmoid"),
    moves=_MOVERS,
    outputs=True,
    whole_bias=True,
    one_scale=(),
    all_or_none=(),
)
TENSORRT = QdqScheme(
    weighted=(*_WEIGHTED, "ConvTranspose"),
    zero_point=False,
    computes=("Add",),
    moves=(),
    outputs=False,
    whole_bias=False,
    one_scale=("Concat",),
    all_or_none=("Add", "Concat"),
)


def stored_weight(node: ir.Node, scheme: QdqScheme) -> NDArray[np.float32] | None:
    """The stored weights of a node that may be quantized."""
    if node.op_type not in scheme.weighted or _makes_scores(node):
        return None
    if not node.inputs[0] or node.inputs[0].dtype not in (None, ir.DataType.FLOAT):
        return None
    return constant(node.inputs[1])


def output_axis(node: ir.Node, axes: int) -> int | None:
    """The axis of a node's weights that the channels of its result lie on."""
    if node.op_type == "Gemm":
        return 0 if node.attributes.get_int("transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": axes - 1}.get(node.op_type)


def pair_owners(graph: ir.Graph, scheme: QdqScheme) -> list[ir.Node]:
    """The nodes that have pairs of their own, in order: those with weights, and those
    that compute without. What only moves values rounds nothing of its own."""
    return _placed(graph, scheme, ())[1]


def scale_sources(
    graph: ir.Graph, scheme: QdqScheme, keep: Collection[str]
) -> dict[ir.Value, ir.Value]:
    """The values to quantize; each with the value whose scale it takes."""
    return _placed(graph, scheme, keep)[0]


def _placed(
    graph: ir.Graph, scheme: QdqScheme, keep: Collection[str]
) -> tuple[dict[ir.Value, ir.Value], list[ir.Node]]:
    sources: dict[ir.Value, ir.Value] = {}
    owners = []
    for node in graph:
        if node.name in keep:
            continue
        given = [value for value in node.inputs if value is not None]
        result = node.outputs[0]
        if stored_weight(node, scheme) is not None:
            sources.setdefault(given[0], given[0])
        elif _computes(node, scheme, keep, sources):
            for value in given:
                sources.setdefault(value, value)
        elif node.op_type in scheme.moves and given[0] in sources:
            if not result.is_graph_output():
                sources.setdefault(result, sources[given[0]])
            continue
        else:
            continue
        owners.append(node)
        result = _activated(result)
        if scheme.outputs and not result.is_graph_output():
            sources.setdefault(result, result)
    return sources, owners


def scale_groups(
    graph: ir.Graph, scheme: QdqScheme, sources: Collection[ir.Value]
) -> Iterator[list[ir.Value]]:
    """Values of ``sources`` that must have one common scale."""
    for node in graph:
        if node.op_type in scheme.one_scale:
            group = [v for v in (*node.inputs, *node.outputs) if v and v in sources]
            if len(group) > 1:
                yield group


def _computes(
    node: ir.Node,
    scheme: QdqScheme,
    keep: Collection[str],
    sources: Collection[ir.Value],
) -> bool:
    if node.op_type not in scheme.computes:
        return False
    if any(constant(value) is not None for value in node.inputs):
        return False
    if _makes_scores(node):
        return False
    if not scheme.beside:
        return True
    if scheme.outputs:
        return any(value in sources for value in node.inputs)
    makers = node.predecessors()
    return any(m.op_type in scheme.weighted and m.name not in keep for m in makers)


def _activated(value: ir.Value) -> ir.Value:
    """The value behind the activation that alone reads it, reshaped or not."""
    end = value
    while len(uses := end.uses()) == 1:
        ((reader, _),) = uses
        end = reader.outputs[0]
        if reader.op_type in _ACTIVATIONS:
            return end
        if reader.op_type not in _RESHAPERS:
            break
    return value


def _makes_scores(node: ir.Node) -> bool:
    return any(value.is_graph_output() for value in node.outputs)
