"""What is true of every graph that the exporter makes: clean, valid, ONNX's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx

from fuseg.errors import ExportError

from ..errors import first_sentence

__all__ = ["all_nodes", "count_nodes", "tidy"]


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
        raise ExportError(
            f"the exported graph is not valid: {first_sentence(err)}."
        ) from err


def _strip(message: Any) -> None:
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            parts = [value] if hasattr(value, "ListFields") else value
            for part in parts:
                _strip(part)
