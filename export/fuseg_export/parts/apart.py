"""Parts of a network in one graph, side by side, and joined by the tensors' names.

Each part is exported and simplified with inputs of its own, so that nothing moves from
one part into another: what crosses between two of them keeps its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import onnx
from onnx import helper
from torch import Tensor, nn

from ..passes.rewrite import free
from ..passes.split import Piece
from ..passes.tidy import all_nodes, tidy
from .records import Part

__all__ = ["Apart", "as_list", "join", "key_of"]


def key_of(piece: Piece, tensor: str) -> str:
    """What a part reads or writes, and no other part does."""
    return f"{piece.name}/{tensor}"


def as_list(returned: Any) -> Any:
    """What a part returned, a tensor alone as a list of one."""
    return [returned] if isinstance(returned, Tensor) else returned


class Apart(nn.Module):
    """All parts, each with inputs of its own.

    Args:
        pieces, parts: Of the network, in the same order.
        tensors: What they read, by name.

    Attributes:
        example: A tensor for each argument, by its name in the graph.
        results: The names of what is returned.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        parts: Mapping[str, Part],
        tensors: Mapping[str, Tensor],
    ) -> None:
        super().__init__()
        self.parts = nn.ModuleList(part.module for part in parts.values())
        self.counts = [len(piece.reads) for piece in pieces]
        self.example = {key_of(p, r): tensors[r] for p in pieces for r in p.reads}
        self.results = [key_of(p, w) for p in pieces for w in p.writes]
        self.eval()

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for module, count in zip(self.parts, self.counts, strict=True):
            found += as_list(module(*given[:count]))
            given = given[count:]
        return tuple(found)


def join(
    apart: onnx.ModelProto,
    pieces: Sequence[Piece],
    inputs: Sequence[str],
    outputs: Sequence[tuple[str, str]],
) -> onnx.ModelProto:
    """Let each part read what others write.

    Args:
        apart: The graph of an `Apart`.
        inputs: The network's.
        outputs: What it gives, by key, and what to call each, if nothing else is.
    """
    joined = onnx.ModelProto()
    joined.CopyFrom(apart)
    graph = joined.graph
    read = {key_of(p, name): name for p in pieces for name in p.reads}
    made = {
        key_of(p, name): name
        for p in pieces
        if p.stands_in_for is None
        for name in p.writes
    }
    kinds = {v.name: v.type for v in (*graph.input, *graph.output)}
    crossing = {key: name for key, name in made.items() if name in read.values()}
    taken = {name for node in all_nodes(graph) for name in (*node.input, *node.output)}
    taken |= {*inputs, *crossing.values()}
    names, extra = {**read, **crossing}, []
    del graph.input[:], graph.output[:]
    by_name = {name: kinds[key] for key, name in read.items()}
    graph.input.extend(_value(name, by_name[name]) for name in inputs)
    graph.value_info.extend(_value(n, kinds[key]) for key, n in crossing.items())
    for key, wanted in outputs:
        name = free(taken, wanted)
        graph.output.append(_value(name, kinds[key]))
        if key in crossing:
            extra.append(helper.make_node("Identity", [crossing[key]], [name], name))
        else:
            names[key] = name
    for node in all_nodes(graph):
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    stored = [*inputs, *(tensor.name for tensor in graph.initializer)]
    nodes = list(_in_order([*graph.node, *extra], stored))
    del graph.node[:]
    graph.node.extend(nodes)
    tidy(joined)
    return joined


def _value(name: str, kind: onnx.TypeProto) -> onnx.ValueInfoProto:
    value = onnx.ValueInfoProto(name=name)
    value.type.CopyFrom(kind)
    return value


def _in_order(
    nodes: Sequence[onnx.NodeProto], known: Iterable[str]
) -> Iterator[onnx.NodeProto]:
    """Each node after those that make what it reads, else in the order given."""
    ready = {"", *known}
    waiting = list(nodes)
    while waiting:
        late = []
        for node in waiting:
            if ready.issuperset(node.input):
                ready.update(node.output)
                yield node
            else:
                late.append(node)
        assert len(late) < len(waiting), "the parts are in running order"
        waiting = late
