"""Cut a network in two: what one input alone decides, and the rest.

1. A value that depends on the input and on no other is made by the input's graph.
2. What the rest reads of those crosses. Where a node in front of the cut only makes the
   value larger, its own input crosses in its place.
3. A variant is cut at the same values, by name, whatever stands between them there, so
   that any variant of one graph fits any of the other; each crosses as float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir
from onnx import TensorProto, helper

from fuseg.errors import ArgumentError, ExportError

from .rewrite import bodies, read, static_shape

__all__ = ["Cut", "about", "cut_at", "find_cut", "find_cuts"]

_LEAST_SHARE = 0.05  # of multiply-adds; below, a border costs more than it saves
_CHEAP = (
    *("Cast", "Expand", "Flatten", "Identity", "Relu", "Reshape", "Resize"),
    *("Sigmoid", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)


@dataclass(frozen=True)
class Cut:
    """Where a network is cut in two.

    Attributes:
        tensor: The input that the first part reads.
        crossing: What the second part reads of the first, by name.
        shapes: Of these.
        share: The first part's share of the multiply-adds.
    """

    tensor: str
    crossing: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    share: float


def find_cuts(
    network: onnx.ModelProto, tensors: Sequence[str], inputs: Sequence[str]
) -> list[Cut]:
    """A cut for each of these inputs; see `find_cut`.

    Args:
        inputs: The tensors that sensors fill.

    Raises:
        ArgumentError: One is no input, is named twice, or they are all there are.
        ExportError: See `find_cut`.
    """
    for name in tensors:
        if name not in inputs or tensors.count(name) > 1 or len(inputs) == len(tensors):
            raise ArgumentError(
                "--split must name some of the network's tensors, not all and each "
                f"once ({', '.join(inputs)}), got {', '.join(tensors)}."
            )
    return [find_cut(network, name) for name in tensors]


def about(cut: Cut) -> str:
    """One sentence for the user."""
    return (
        f"{cut.tensor} has a graph of its own, {cut.share:.1%} of the multiply-adds, "
        "which runs when its frame is new"
    )


def find_cut(network: onnx.ModelProto, tensor: str) -> Cut:
    """Find where to cut off what depends on one input alone.

    Args:
        network: Float32, with static shapes.
        tensor: An input's name.

    Raises:
        ExportError: Too little depends on it alone, or on something else, too.
    """
    graph = read(network).graph
    if any(True for node in graph for _ in bodies(node)):
        raise ExportError(
            "--split needs a network without If, Loop and Scan, got one that has some."
        )
    sources = _sources(graph)
    own = frozenset([tensor])
    crossing: dict[str, tuple[int, ...]] = {}
    for value, used in sources.items():
        if used == own and not value.is_graph_input():
            outside = (n for n in value.consumers() if sources[n.outputs[0]] != own)
            if any(True for _ in outside) or value.is_graph_output():
                chosen = _smaller(value, sources)
                crossing[chosen.name or ""] = static_shape(chosen) or ()
    costs = {node: _multiply_adds(node) for node in graph}
    alone = sum(cost for n, cost in costs.items() if sources[n.outputs[0]] == own)
    share = alone / max(1, sum(costs.values()))
    if share < _LEAST_SHARE or share == 1 or not crossing:
        raise ExportError(
            f"--split {tensor} must leave {_LEAST_SHARE:.0%} of the network's "
            f"multiply-adds or more in a graph of its own, got {share:.1%}: the "
            "network mixes its inputs too early to gain from it."
        )
    return Cut(tensor, tuple(crossing), tuple(crossing.values()), share)


def cut_at(
    network: onnx.ModelProto, cuts: Sequence[Cut]
) -> tuple[list[onnx.ModelProto], onnx.ModelProto]:
    """The parts of a variant: one for each cut, and the rest.

    Raises:
        ExportError: The variant has no such value.
    """
    whole = onnx.shape_inference.infer_shapes(network, data_prop=True)
    known = {v.name: v for v in (*whole.graph.value_info, *whole.graph.input)}
    for cut in cuts:
        for name in cut.crossing:
            if name not in known:
                raise ExportError(
                    f"--split {cut.tensor}: this variant has no value {name}: export "
                    "it without --split, or without this precision."
                )
    extract = onnx.utils.Extractor(whole).extract_model
    parts = [
        _with_float32(extract([cut.tensor], list(cut.crossing)), cut) for cut in cuts
    ]
    crossing = [name for cut in cuts for name in cut.crossing]
    others = [
        value.name
        for value in whole.graph.input
        if value.name not in {cut.tensor for cut in cuts}
    ]
    rest = extract([*others, *crossing], [v.name for v in whole.graph.output])
    for cut in cuts:
        rest = _with_float32(rest, cut)
    return parts, rest


def _sources(graph: ir.Graph) -> dict[ir.Value, frozenset[str]]:
    """The inputs that each value depends on."""
    found = {value: frozenset([value.name or ""]) for value in graph.inputs}
    for node in graph:
        used = (found.get(v, frozenset()) for v in node.inputs if v is not None)
        joined: frozenset[str] = frozenset().union(*used)
        found |= dict.fromkeys(node.outputs, joined)
    return found


def _smaller(value: ir.Value, sources: dict[ir.Value, frozenset[str]]) -> ir.Value:
    """What a value is made of, as long as that is no larger and cheap to repeat."""
    node = value.producer()
    while node is not None and node.op_type in _CHEAP and len(node.outputs) == 1:
        live = [v for v in node.inputs if v is not None and sources.get(v)]
        if len(live) != 1 or live[0].is_graph_input():
            break
        before, after = (static_shape(v) or () for v in (live[0], value))
        if math.prod(before) > math.prod(after) or live[0].dtype != value.dtype:
            break
        value = live[0]
        node = value.producer()
    return value


def _multiply_adds(node: ir.Node) -> int:
    """Of a convolution or a product of matrices; 0 for all else."""
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    shapes = [static_shape(v) or () for v in (*node.inputs[:2], node.outputs[0])]
    given, weights, made = map(math.prod, shapes)
    if node.op_type == "Conv":
        return made * weights // shapes[1][0]
    if node.op_type == "ConvTranspose":
        return given * weights // shapes[1][0]
    return made * shapes[0][-1]


def _with_float32(model: onnx.ModelProto, cut: Cut) -> onnx.ModelProto:
    """What crosses as float32: cast where this part has it in another type."""
    graph = model.graph
    del graph.value_info[:]
    for value in _crossing(graph.output, cut):
        inner = f"{value.name}_inside"
        _rename(graph, value.name, inner)
        graph.node.append(helper.make_node("Cast", [inner], [value.name], to=1))
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    for value in _crossing(graph.input, cut):
        inner, kind = f"{value.name}_inside", value.type.tensor_type.elem_type
        _rename(graph, value.name, inner)
        cast = helper.make_node("Cast", [value.name], [inner], to=kind)
        graph.node.insert(0, cast)
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    return model


def _crossing(
    values: Sequence[onnx.ValueInfoProto], cut: Cut
) -> Iterator[onnx.ValueInfoProto]:
    for value in values:
        other = value.type.tensor_type.elem_type != TensorProto.FLOAT
        if value.name in cut.crossing and other:
            yield value


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
