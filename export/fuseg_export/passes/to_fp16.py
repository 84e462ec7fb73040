"""A network in float16: typed in the graph, float32 at its ends and where it must be.

Of the graphs in the tests ONNX Runtime's converter breaks a third: branches and loops,
Constant nodes, names used twice, pairs of INT8; and it rounds and clamps constants even
for nodes that stay float32. Here each operator's own ONNX schema says which of its
inputs and outputs may be float16, and every value has at most one float32 and one
float16 name, with one Cast between them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fuseg.errors import ArgumentError, ExportError

from ..errors import cause
from .tidy import all_nodes, attributes, free, names_in, prune, tidy

__all__ = ["to_fp16", "to_opset"]

PAIR = ("QuantizeLinear", "DequantizeLinear")
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_LARGEST = float(np.finfo(np.float16).max)
_NORMAL = float(np.finfo(np.float16).smallest_normal)
_EXACT = 1e-3  # what a scale may lose, relative
_FIRST_OPSET = 19  # whose QuantizeLinear takes float16 scales


def to_fp16(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """A copy of a network that computes in float16.

    Its inputs and outputs stay float32, with casts inside the graph. What stays float32
    beside the nodes in ``keep``: operators that ONNX does not define for float16, and
    inputs that it fixes (the scales of a Resize); If, Loop and Scan with their bodies;
    nodes with a constant that float16 would turn into infinity, or all of whose values
    it would make subnormal (an epsilon, the -1e9 of a mask); and a QuantizeLinear or
    DequantizeLinear with a scale that float16 would change by more than 1e-3, or whose
    largest value is beyond 65,504. A network with such pairs becomes opset 19 or newer.

    Args:
        model: Float32, of a batch, with shapes; pairs of INT8 may be in it.
        keep: Names of nodes that stay float32; see `fp16_overflow`.

    Raises:
        ArgumentError: A name in ``keep`` is no node's.
        ExportError: The graph is not valid, cannot be brought to opset 19, or has an
            operator beyond ONNX's own.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    tidy(made)
    names = {node.name for node in all_nodes(made.graph)}
    for name in keep:
        if name not in names:
            raise ArgumentError(f"keep must name nodes of the graph, got {name!r}.")
    pairs = any(node.op_type in PAIR for node in all_nodes(made.graph))
    if pairs and made.opset_import[0].version < _FIRST_OPSET:
        made = to_opset(made, _FIRST_OPSET)
    _Writer(made, frozenset(keep)).write()
    prune(made)
    taken: set[str] = set()
    for node in made.graph.node:
        node.name = free(taken, node.name or f"{node.output[0]}/{node.op_type}")
    tidy(made)
    return made


class _Writer:
    """Writes a graph anew, node by node."""

    def __init__(self, model: onnx.ModelProto, keep: frozenset[str]) -> None:
        self._model, self._keep = model, keep
        self._opset = model.opset_import[0].version
        self._taken = names_in(model)
        inferred = onnx.shape_inference.infer_shapes(
            model, strict_mode=True, data_prop=True
        ).graph
        self._floats = {i.name for i in inferred.initializer if i.data_type == _FLOAT}
        self._others = set()  # sequences and the like
        for value in (*inferred.input, *inferred.output, *inferred.value_info):
            if value.type.tensor_type.elem_type == _FLOAT:
                self._floats.add(value.name)
            elif not value.type.HasField("tensor_type"):
                self._others.add(value.name)
        self._outputs = {value.name for value in model.graph.output}
        self._constants = {
            i.name: numpy_helper.to_array(i) for i in model.graph.initializer
        }
        self._full: dict[str, str] = {
            name: name for name in self._constants if name in self._floats
        }
        self._full |= {v.name: v.name for v in model.graph.input}
        self._half: dict[str, str] = {}

    def write(self) -> None:
        nodes = list(self._model.graph.node)
        del self._model.graph.node[:], self._model.graph.value_info[:]
        for node in nodes:
            if node.op_type == "Constant":
                self._remember(node)
            if node.op_type == "DequantizeLinear":
                self._revive(node)
            places = None if self._stays(node) else self._places(node)
            if places is None:
                self._write_full(node)
            else:
                self._write_half(node, *places)

    def _stays(self, node: onnx.NodeProto) -> bool:
        if node.name in self._keep or any(_bodies(node)):
            return True
        if any(value in self._others for value in (*node.input, *node.output)):
            return True
        if attributes(node).get("reduction", "none") != "none":
            return True  # a Scatter that adds: ONNX Runtime has none for float16
        if node.op_type in PAIR:
            return not self._scale_survives(node.input[1])
        return any(
            self._lost(self._constants[value], node.op_type)
            for value in node.input
            if value in self._constants and value in self._floats
        )

    def _places(self, node: onnx.NodeProto) -> tuple[list[int], list[int]] | None:
        """Which inputs and outputs become float16; None if the node stays float32."""
        schema = onnx.defs.get_schema(node.op_type, self._opset, "")
        halves = {
            c.type_param_str
            for c in schema.type_constraints
            if "tensor(float16)" in c.allowed_type_strs
        }
        takes = [_formal(schema.inputs, i) for i in range(len(node.input))]
        gives = [_formal(schema.outputs, i) for i in range(len(node.output))]
        inputs = [
            i
            for i, value in enumerate(node.input)
            if value in self._floats and takes[i] in halves
        ]
        bound = {takes[i] for i in inputs}
        floats = [i for i, value in enumerate(node.output) if value in self._floats]
        outputs = [i for i in floats if gives[i] in bound]
        fixed = [i for i in floats if gives[i] == "tensor(float)"]
        if not inputs or len(outputs) + len(fixed) < len(floats):
            return None  # what it makes has a type of its own: Cast, EyeLike
        return inputs, outputs

    def _write_half(
        self, node: onnx.NodeProto, inputs: list[int], outputs: list[int]
    ) -> None:
        for i, value in enumerate(node.input):
            if i in inputs:
                node.input[i] = self._as_half(value)
            elif value in self._floats:
                node.input[i] = self._as_full(value)
        ends = []
        for i, value in enumerate(node.output):
            if i not in outputs:
                self._full[value] = value
            elif value in self._outputs:
                node.output[i] = self._half[value] = self._new(f"{value}_float16")
                ends.append(value)
            else:
                self._half[value] = value
        self._model.graph.node.append(node)
        for value in ends:
            self._cast(self._half[value], value, TensorProto.FLOAT)
            self._full[value] = value

    def _write_full(self, node: onnx.NodeProto) -> None:
        for i, value in enumerate(node.input):
            if value in self._floats:
                node.input[i] = self._as_full(value)
        for body in _bodies(node):
            for inner in all_nodes(body):
                for i, value in enumerate(inner.input):
                    if value in self._full or value in self._half:
                        inner.input[i] = self._as_full(value)
        self._model.graph.node.append(node)
        self._full |= {v: v for v in node.output if v in self._floats}

    def _as_full(self, value: str) -> str:
        if value not in self._full:
            self._full[value] = self._new(f"{value}_float32")
            self._cast(self._half[value], self._full[value], TensorProto.FLOAT)
        return self._full[value]

    def _as_half(self, value: str) -> str:
        if value not in self._half:
            name = self._new(f"{value}_float16")
            stored = self._constants.get(value)
            if stored is None:
                self._cast(self._full[value], name, TensorProto.FLOAT16)
            else:
                half = numpy_helper.from_array(stored.astype(np.float16), name)
                self._model.graph.initializer.append(half)
            self._half[value] = name
        return self._half[value]

    def _cast(self, value: str, name: str, to: int) -> None:
        node = helper.make_node("Cast", [value], [name], f"{name}/Cast", to=to)
        self._model.graph.node.append(node)

    def _new(self, name: str) -> str:
        return free(self._taken, name)

    def _remember(self, node: onnx.NodeProto) -> None:
        """The float32 tensor of a Constant, so that float16 readers get their own."""
        for name, found in attributes(node).items():
            if name == "value":
                self._constants[node.output[0]] = numpy_helper.to_array(found)
            elif name in ("value_float", "value_floats"):
                self._constants[node.output[0]] = np.asarray(found, np.float32)

    def _revive(self, node: onnx.NodeProto) -> None:
        """Give channels whose weights are all 0 a scale that float16 has."""
        whole, scale = (self._constants.get(value) for value in node.input[:2])
        if whole is None or scale is None or scale.ndim != 1:
            return
        axis = attributes(node).get("axis", 1) % whole.ndim
        dead = ~whole.any(axis=tuple(i for i in range(whole.ndim) if i != axis))
        if len(node.input) > 2 and np.any(self._constants.get(node.input[2], 1)):
            return  # with a zero point, 0 is not zero
        mended = np.where(dead & (scale < _NORMAL), np.float32(_NORMAL), scale)
        if np.array_equal(mended, scale):
            return
        name = self._new(f"{node.input[1]}_mended")
        self._model.graph.initializer.append(numpy_helper.from_array(mended, name))
        self._constants[name], self._full[name] = mended, name
        self._floats.add(name)
        node.input[1] = name

    def _scale_survives(self, value: str) -> bool:
        scale = self._constants.get(value)
        if scale is None or value not in self._floats:
            return scale is not None
        if not np.all(np.isfinite(scale) & (scale > 0)):
            raise ExportError(
                f"the scale {value} must be finite and positive to become float16: "
                "calibrate the network again."
            )
        with np.errstate(over="ignore"):
            half = scale.astype(np.float16).astype(np.float32)
        near = np.abs(half - scale) <= _EXACT * scale
        return bool(np.all(near & (scale * 128 <= _LARGEST)))

    @staticmethod
    def _lost(constant: NDArray[np.float32], op: str) -> bool:
        """Whether float16 makes infinity of a constant, or loses it to subnormals."""
        finite = np.abs(constant[np.isfinite(constant)])
        largest = float(finite.max(initial=0))
        if largest > _LARGEST:
            return True
        # Weights this small belong to a layer that does nothing; an epsilon does.
        return 0 < largest < _NORMAL and op not in _WEIGHTED


_FLOAT = TensorProto.FLOAT


def _formal(parameters: Sequence[Any], index: int) -> str:
    """The type of a parameter; the last one repeats."""
    return str(parameters[min(index, len(parameters) - 1)].type_str)


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def to_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """A copy of a network in a newer operator set.

    Raises:
        ExportError: onnx cannot convert it.
    """
    try:
        made = onnx.version_converter.convert_version(model, opset)
    except Exception as err:  # its exceptions share no narrower base
        raise ExportError(
            f"the graph cannot be brought to opset {opset}, which float16 scales need: "
            f"{cause(err)}."
        ) from err
    names = {node.output[0]: node.name for node in model.graph.node}
    for node in made.graph.node:  # it forgets those of nodes that it rewrites
        node.name = node.name or names.get(node.output[0], "")
    tidy(made)
    return made
