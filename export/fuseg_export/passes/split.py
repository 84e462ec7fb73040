"""Cut a network into graphs: at values that are named, or where an input's own end.

1. For ``--split`` a value that depends on the input and on no other is made by the
   input's graph.
2. What the rest reads of those crosses. Where a node in front of the cut only makes the
   value larger, its own input crosses in its place, and for a size what it measures.
3. A variant is cut at the same values, by name, whatever stands between them there, so
   that any variant of one graph fits any of the others; what is float16 there crosses
   as float32.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import onnx
import onnx_ir as ir
from onnx import TensorProto, helper

from fuseg.errors import ArgumentError, ExportError

from .rewrite import bodies, read, static_shape

__all__ = [
    "MAIN",
    "Cut",
    "Piece",
    "about",
    "cut_out",
    "find_cut",
    "find_cuts",
    "multiply_adds",
    "one_piece",
    "with_encoder",
]

MAIN = "net"  # the graph's name where the user names none

_LEAST_SHARE = 0.05  # of multiply-adds; below, a border costs more than it saves
_ENDS = (TensorProto.FLOAT, TensorProto.INT64)  # what crosses
_CHEAP = (
    *("Cast", "Expand", "Flatten", "Identity", "Relu", "Reshape", "Resize"),
    *("Sigmoid", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
)
_RECURRENT = ("GRU", "LSTM", "RNN")


@dataclass(frozen=True)
class Piece:
    """One of the graphs that a network is cut into.

    Attributes:
        name, reads, writes, stands_in_for: As in the manifest.
        inside: What the network's graph calls what is written, in order; empty: the
            same.
    """

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    stands_in_for: str | None = None
    inside: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, ...]:
        """The network's values that are written."""
        return self.inside or self.writes


@dataclass(frozen=True)
class Cut:
    """Where what one input alone decides ends.

    Attributes:
        tensor: The input.
        crossing: What the rest reads of that, by name.
        share: Of the multiply-adds that come before.
        results: The network's outputs that it decides, too.
    """

    tensor: str
    crossing: tuple[str, ...]
    share: float
    results: tuple[str, ...] = ()

    @property
    def writes(self) -> tuple[str, ...]:
        """All that comes of that input alone."""
        return tuple(dict.fromkeys((*self.crossing, *self.results)))


def one_piece(network: onnx.ModelProto) -> Piece:
    """A network that is one graph."""
    inputs, outputs = network.graph.input, network.graph.output
    return Piece(MAIN, tuple(v.name for v in inputs), tuple(v.name for v in outputs))


def with_encoder(pieces: Sequence[Piece], cut: Cut) -> tuple[Piece, ...]:
    """These graphs, and one in front of the cut one for what the input alone decides.

    Stand-ins stay as they are.
    """
    found: list[Piece] = []
    for piece in pieces:
        if cut.tensor not in piece.reads or piece.stands_in_for is not None:
            found.append(piece)
            continue
        named = dict(zip(piece.values, piece.writes, strict=True))
        kept = [value for value in piece.values if value not in cut.results]
        others = (name for name in piece.reads if name != cut.tensor)
        found += [
            Piece(
                f"{cut.tensor}-encoder",
                (cut.tensor,),
                tuple(named.get(value, value) for value in cut.writes),
                inside=cut.writes,
            ),
            replace(
                piece,
                reads=(*others, *(named.get(v, v) for v in cut.crossing)),
                writes=tuple(named[value] for value in kept),
                inside=tuple(kept),
            ),
        ]
    return tuple(found)


def find_cuts(
    network: onnx.ModelProto,
    pieces: Sequence[Piece],
    tensors: Sequence[str],
    inputs: Sequence[str],
) -> list[Cut]:
    """A cut for each of these inputs; see `find_cut`.

    Args:
        pieces: The graphs that the network is.
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
    found = []
    for name in tensors:
        owners = [p for p in pieces if name in p.reads and p.stands_in_for is None]
        if len(owners) != 1:
            raise ArgumentError(
                f"--split must name inputs that one part reads, got {name}, which is "
                f"read by {', '.join(owner.name for owner in owners) or 'none'}."
            )
        (graph,) = cut_out(network, owners)
        found.append(find_cut(graph, name))
    return found


def about(cut: Cut) -> str:
    """One sentence for the user."""
    return (
        f"{cut.tensor} has a graph of its own, {cut.share:.1%} of the multiply-adds, "
        "which runs when that is new"
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
    crossing: dict[str, None] = {}
    results = [v.name or "" for v in graph.outputs if sources[v] == own]
    for value, used in sources.items():
        if used == own and not value.is_graph_input():
            outside = (n for n in value.consumers() if sources[n.outputs[0]] != own)
            if any(True for _ in outside):
                ready = value.is_graph_output()
                chosen = [value] if ready else _measured(value)
                for one in chosen or [_smaller(value, sources)]:
                    crossing[one.name or ""] = None
    costs = {node: multiply_adds(node) for node in graph}
    alone = sum(cost for n, cost in costs.items() if sources[n.outputs[0]] == own)
    share = alone / max(1, sum(costs.values()))
    if share < _LEAST_SHARE or share == 1 or not (crossing or results):
        raise ExportError(
            f"--split {tensor} must leave {_LEAST_SHARE:.0%} of the network's "
            f"multiply-adds or more in a graph of its own, got {share:.1%}: too "
            "little depends on it alone, or too much, to gain from it."
        )
    return Cut(tensor, tuple(crossing), share, tuple(results))


def cut_out(network: onnx.ModelProto, pieces: Sequence[Piece]) -> list[onnx.ModelProto]:
    """The graphs of these pieces, of one variant of a network.

    Raises:
        ExportError: The variant has no such value.
    """
    ends = [v.name for v in (*network.graph.input, *network.graph.output)]
    if [sorted((*p.reads, *p.values)) for p in pieces] == [sorted(ends)]:
        return [network]  # all of it, and as it is
    whole = onnx.shape_inference.infer_shapes(network, data_prop=True)
    graph = whole.graph
    known = {v.name for v in (*graph.value_info, *graph.input, *graph.output)}
    extract = onnx.utils.Extractor(whole).extract_model
    made = []
    for piece in pieces:
        for name in (*piece.reads, *piece.values):
            if name not in known:
                raise ExportError(
                    f"graph {piece.name}: this variant has no value {name}: export it "
                    "as one graph, or without this precision."
                )
        made.append(extract(list(piece.reads), list(piece.values)))
        _close(made[-1].graph, piece)
    return made


def _sources(graph: ir.Graph) -> dict[ir.Value, frozenset[str]]:
    """The inputs that each value depends on."""
    found = {value: frozenset([value.name or ""]) for value in graph.inputs}
    for node in graph:
        used = (found.get(v, frozenset()) for v in node.inputs if v is not None)
        joined: frozenset[str] = frozenset().union(*used)
        found |= dict.fromkeys(node.outputs, joined)
    return found


def _measured(value: ir.Value) -> list[ir.Value]:
    """The values whose sizes alone make a value, if it is a size or a shape.

    They cross in its place, and the rest measures them itself: with a dimension a size
    that is computed is no tensor that a bundle can name.
    """
    if value.dtype != ir.DataType.INT64 or len(static_shape(value) or ()) > 1:
        return []
    found: dict[ir.Value, None] = {}
    seen, todo = {value}, [value]
    while todo:
        node = todo.pop().producer()
        if node is None:
            continue  # it is stored
        used = [v for v in node.inputs if v is not None]
        if node.op_type == "Shape":
            found |= dict.fromkeys(used)
        else:
            todo += [v for v in used if v not in seen]
            seen |= {*used}
    measured_input = any(v.is_graph_input() for v in (*found, *seen))
    return [] if measured_input else list(found)


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


def multiply_adds(node: ir.Node) -> int:
    """Of a convolution, a product of matrices, a recurrent layer; 0 for all else."""
    if node.op_type in _RECURRENT:
        steps, batch, _ = static_shape(node.inputs[0]) or (0, 0, 0)
        stored = (static_shape(value) or () for value in node.inputs[1:3])
        return steps * batch * sum(map(math.prod, stored))
    if node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0
    shapes = [static_shape(v) or () for v in (*node.inputs[:2], node.outputs[0])]
    given, weights, made = map(math.prod, shapes)
    if node.op_type == "Conv":
        return made * weights // shapes[1][0]
    if node.op_type == "ConvTranspose":
        return given * weights // shapes[1][0]
    return made * shapes[0][-1]


def _close(graph: onnx.GraphProto, piece: Piece) -> None:
    """Give a piece's graph ends of its own names, float32 or int64."""
    del graph.value_info[:]
    for value, name in zip(graph.output, piece.writes, strict=True):
        if value.type.tensor_type.elem_type not in _ENDS:
            _rename(graph, value.name, f"{name}_inside")
            cast = helper.make_node("Cast", [f"{name}_inside"], [name], to=_ENDS[0])
            graph.node.append(cast)
            value.type.tensor_type.elem_type = _ENDS[0]
        else:
            _rename(graph, value.name, name)
        value.name = name
    for value in graph.input:
        kind, inner = value.type.tensor_type.elem_type, f"{value.name}_inside"
        if kind not in _ENDS:
            _rename(graph, value.name, inner)
            cast = helper.make_node("Cast", [value.name], [inner], to=kind)
            graph.node.insert(0, cast)
            value.type.tensor_type.elem_type = _ENDS[0]


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
