"""The graph of an ONNX file, made such as torch's exporters write one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass
from torch import Tensor

from fuseg.errors import ArgumentError, ExportError

from ...dimensions import Shape, with_names
from ...errors import first_sentence
from ...network.outputs import Source
from ...passes.rewrite import free, names_in, rewrite, store
from ...to_onnx import OPSETS, Exported, finish
from .network import OnnxNetwork

__all__ = ["from_file"]


def from_file(
    network: OnnxNetwork,
    example: Mapping[str, Tensor],
    chosen: Sequence[Source],
    opset: int,
    outputs: Sequence[str],
    *,
    given: Mapping[str, Shape],
    returned: Sequence[Shape],
) -> Exported:
    """Take a file's graph with inputs and outputs of other names and fixed shapes.

    Args:
        network: Of the file.
        example: A tensor for each of its inputs, by the name that it gets.
        chosen: Its outputs: tensors in the file, and their layouts.
        opset: That a file gets whose own is too old.
        outputs: What these are called, as in `to_onnx`.
        given, returned: As in `to_onnx`.

    Raises:
        ArgumentError: ``opset`` is no such one.
        ExportError: See `to_onnx`; or the file is too old to be brought to ``opset``.
    """
    if opset not in OPSETS:
        raise ArgumentError(
            f"--opset must be {OPSETS[0]} to {OPSETS[-1]}, got {opset}."
        )
    model, said = _new_enough(network, opset)
    shapes = {name: given.get(name, tuple(t.shape)) for name, t in example.items()}
    with_names(model, dict(zip(network.inputs, shapes.values(), strict=True)))
    del model.graph.value_info[:], model.training_info[:]
    taken = set(example)
    names = [free(taken, name) for name in outputs]
    renamed = dict(zip(network.inputs, example, strict=True))
    choose = _Choose(renamed, chosen, names)
    model = rewrite(model, choose, RemoveUnusedNodesPass())
    tensors = network(*example.values())
    for value, source, shape in zip(model.graph.output, chosen, returned, strict=True):
        dtype = source(tensors).numpy().dtype
        kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
        made = onnx.helper.make_tensor_value_info(value.name, kind, shape)
        value.CopyFrom(made)
    finish(model, list(example))
    return Exported(model, "file", model.opset_import[0].version, said)


def _new_enough(
    network: OnnxNetwork, opset: int
) -> tuple[onnx.ModelProto, tuple[str, ...]]:
    """A copy of the graph; brought to an opset if it is older than all taken ones."""
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    old = max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    if old in OPSETS or old > OPSETS[-1]:
        return model, ()
    try:
        model = onnx.version_converter.convert_version(model, opset)
    except Exception as err:  # native code raises anything
        raise ExportError(
            f"{network.file.path} is of opset {old}, and onnx cannot bring it to "
            f"{opset} ({first_sentence(err)}): export it again, in opset {OPSETS[0]} "
            "or newer."
        ) from err
    return model, (f"the file is of opset {old}, and was brought to {opset}",)


def _as_taken(graph: ir.Graph, value: ir.Value, layout: str) -> ir.Value:
    """A value as `Source` takes it: (1, C, h, w), and no wider float than float32."""
    if layout == "nhwc":
        value = _appended(graph, "Transpose", [value], perm=[0, 3, 1, 2])
    elif layout == "chw":
        first = store(graph, np.array([0]), f"{value.name}/axis")
        value = _appended(graph, "Unsqueeze", [value, first])
    if value.dtype == ir.DataType.DOUBLE:
        value = _appended(graph, "Cast", [value], to=int(ir.DataType.FLOAT))
        value.type = ir.TensorType(ir.DataType.FLOAT)
    return value


def _appended(
    graph: ir.Graph, op: str, inputs: Sequence[ir.Value], **attributes: Any
) -> ir.Value:
    node = ir.node(op, inputs, attributes, name=f"{inputs[0].name}/{op}")
    graph.append(node)
    made = node.outputs[0]
    made.type = inputs[0].type
    return made


class _Choose(ir.passes.InPlacePass):
    """Gives a graph these inputs and outputs, by the names that they get."""

    def __init__(
        self, inputs: Mapping[str, str], chosen: Sequence[Source], names: Sequence[str]
    ) -> None:
        self._inputs, self._chosen, self._names = inputs, chosen, names

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph = model.graph
        values = ir.convenience.create_value_mapping(graph)
        outputs = [
            _as_taken(graph, values[str(source.path[0])], source.layout)
            for source in self._chosen
        ]
        order = [values[name] for name in self._inputs]
        del graph.outputs[:], graph.inputs[:]
        graph.inputs.extend(order)
        for name, output in zip(self._names, outputs, strict=True):
            if output in graph.outputs or output.producer() is None:
                same = ir.node("Identity", [output], name=f"{name}/Identity")
                graph.append(same)
                same.outputs[0].type = output.type
                output = same.outputs[0]
            graph.outputs.append(output)
        ends = [*graph.inputs, *graph.outputs]
        wanted = [*self._inputs.values(), *self._names]
        others = names_in(model) | {*wanted}
        for value in values.values():
            if value.name in wanted and value not in ends:
                value.name = free(others, f"{value.name}_")
        for value in ends:
            value.name = None
        for value, name in zip(ends, wanted, strict=True):
            value.name = name
        return ir.passes.PassResult(model, modified=True)
