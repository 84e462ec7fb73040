"""Looking at and changing ONNX graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import onnx
from numpy.typing import NDArray

from fuseg.errors import ExportError

from ..errors import cause

__all__ = [
    "Graph",
    "all_nodes",
    "attributes",
    "count_nodes",
    "free",
    "free_name",
    "names_in",
    "prune",
    "rename",
    "tidy",
]


class Graph:
    """What is known of a graph's values, without running it.

    Attributes:
        output: Name of the graph's first output.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
        self.output: str = inferred.output[0].name
        self._producers = {v: n for n in inferred.node for v in n.output if v}
        self._initializers = {i.name: i for i in inferred.initializer}
        self._types = {
            v.name: v.type.tensor_type
            for v in (*inferred.value_info, *inferred.input, *inferred.output)
        }

    def producer(self, value: str) -> onnx.NodeProto | None:
        """The node that makes a value; None for an input or a stored tensor."""
        return self._producers.get(value)

    def shape(self, value: str) -> tuple[int, ...] | None:
        """A value's shape; None if it is not known as a whole."""
        known = self._types.get(value)
        if known is None or not known.HasField("shape"):
            return None
        sides = tuple(d.dim_value for d in known.shape.dim)
        return sides if all(sides) else None

    def element(self, value: str) -> int:
        """A value's element type, as in `onnx.TensorProto`; 0 if it is not known."""
        known = self._types.get(value)
        return known.elem_type if known is not None else 0

    def constant(self, value: str) -> NDArray[Any] | None:
        """A value that is stored in the graph; None if it is computed."""
        stored = self._initializers.get(value)
        node = self.producer(value)
        if stored is None and node is not None and node.op_type == "Constant":
            stored = attributes(node).get("value")
        return None if stored is None else onnx.numpy_helper.to_array(stored)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """A node's attributes by name; texts as str."""
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in found.items()}


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of a graph, those of its branches and loop bodies included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from all_nodes(inner)


def count_nodes(model: onnx.ModelProto) -> int:
    """Nodes that compute something: all but constants."""
    return sum(node.op_type != "Constant" for node in all_nodes(model.graph))


def prune(model: onnx.ModelProto) -> None:
    """Remove the nodes and stored tensors that no output of the graph needs."""
    graph = model.graph
    producers = {v: i for i, n in enumerate(graph.node) for v in n.output if v}
    needed: set[int] = set()
    wanted = [v.name for v in graph.output]
    while wanted:
        index = producers.get(wanted.pop())
        if index is not None and index not in needed:
            needed.add(index)
            wanted.extend(_reads(graph.node[index]))
    kept = [n for i, n in enumerate(graph.node) if i in needed]
    read = {v for n in kept for v in _reads(n)} | {v.name for v in graph.output}
    made = {v for n in kept for v in n.output}
    stored = [i for i in graph.initializer if i.name in read]
    known = [v for v in graph.value_info if v.name in made]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(stored)
    graph.value_info.extend(known)


def free_name(model: onnx.ModelProto, wanted: str) -> str:
    """``wanted``, with as many _ behind it as it takes to be a new name."""
    taken = {v for n in all_nodes(model.graph) for v in (*n.input, *n.output)}
    taken |= {v.name for v in (*model.graph.input, *model.graph.initializer)}
    while wanted in taken:
        wanted += "_"
    return wanted


def names_in(model: onnx.ModelProto) -> set[str]:
    """All names of values in a graph."""
    taken = {v for n in all_nodes(model.graph) for v in (*n.input, *n.output)}
    return taken | {v.name for v in (*model.graph.input, *model.graph.initializer)}


def free(taken: set[str], wanted: str) -> str:
    """``wanted``, with as many _ behind it as it takes; taken from now on."""
    while wanted in taken:
        wanted += "_"
    taken.add(wanted)
    return wanted


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Give a value another name, wherever it is made or read."""
    for node in all_nodes(model.graph):
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                if name == old:
                    names[i] = new
    for value in (*model.graph.value_info, *model.graph.output):
        if value.name == old:
            value.name = new


def tidy(model: onnx.ModelProto) -> None:
    """Strip what varies or tells where a graph was made; check what is left.

    Documentation, metadata (the exporters' stack traces, with paths), producer and
    unused operator sets go; the IR version becomes the oldest that the operator set
    allows, for old runtimes.

    Raises:
        ExportError: The graph is not valid, or uses operators beyond ONNX's own.
    """
    for node in all_nodes(model.graph):
        if node.domain not in ("", "ai.onnx"):
            raise ExportError(
                f"the network needs the operator {node.domain}::{node.op_type} "
                f"({node.name}), which is none of ONNX's own: no other runtime has it."
            )
    _strip(model)
    model.producer_name, model.producer_version = "fuseg", ""
    model.graph.name = "network"
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    del model.opset_import[:], model.functions[:]
    model.opset_import.append(onnx.helper.make_opsetid("", opset))
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
        ValueError,
    ) as err:
        raise ExportError(f"the exported graph is not valid: {cause(err)}.") from err


def _reads(node: onnx.NodeProto) -> Sequence[str]:
    inner = [g for a in node.attribute for g in (a.g, *a.graphs)]
    names = [*node.input]
    for graph in inner:
        names += [v for n in all_nodes(graph) for v in n.input]
        names += [v.name for v in graph.output]
    return names


def _strip(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            parts = [value] if hasattr(value, "ListFields") else value
            for part in parts:
                _strip(part)
