"""A network in float16: typed in the graph, float32 in, out and where it must be.

Of the graphs in the tests ONNX Runtime's converter breaks a third: branches and loops,
Constant nodes, names used twice, pairs of INT8; and it rounds and clamps constants even
for nodes that stay float32. Here each operator's own ONNX schema says which of its
inputs and outputs may be float16, and every value has at most one float32 and one
float16 name, with one Cast between them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeGuard

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from fuseg.errors import ArgumentError, ExportError

from ..errors import first_sentence
from .rewrite import PAIR, WEIGHTED, bodies, constant, free, names_in, rewrite, store
from .tidy import all_nodes, tidy

__all__ = ["to_fp16", "to_opset"]

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
    made = rewrite(made, _ToFp16(keep), RemoveUnusedNodesPass(), strict=True)
    del made.graph.value_info[:]  # its types are the float32 network's
    taken: set[str] = set()
    for node in made.graph.node:
        node.name = free(taken, node.name or f"{node.output[0]}/{node.op_type}")
    tidy(made)
    return made


class _ToFp16(ir.passes.InPlacePass):
    """Gives every node float16 inputs and outputs, unless it has to stay float32.

    1. A node that stays reads float32; whatever float16 value it reads gets one Cast.
    2. Another node reads float16; a stored tensor is stored again, a computed one cast.
    3. Its results are float16; of the graph's outputs a Cast makes float32 again.
    4. Bodies of If, Loop and Scan stay as they are and read float32.
    """

    def __init__(self, keep: Collection[str]) -> None:
        self._keep = keep

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        self._graph, self._taken = model.graph, names_in(model)
        self._opset = model.graph.opset_imports[""]
        self._half: set[ir.Value] = set()  # of values that a node makes in float16
        self._other: dict[ir.Value, ir.Value] = {}  # the same in the other float type
        for node in tuple(self._graph):
            if node.op_type == "DequantizeLinear":
                self._revive(node)
            halves = None if self._stays(node) else self._halves(node)
            if halves is None:
                self._keep_full(node)
            else:
                self._make_half(node, *halves)
        return ir.passes.PassResult(model, modified=True)

    def _stays(self, node: ir.Node) -> bool:
        if node.name in self._keep or any(bodies(node)):
            return True
        types = [v.type for v in (*node.inputs, *node.outputs) if v and v.type]
        if not all(isinstance(type_, ir.TensorType) for type_ in types):
            return True  # sequences and the like
        if node.attributes.get_string("reduction", "none") != "none":
            return True  # a Scatter that adds: ONNX Runtime has none for float16
        if node.op_type in PAIR:
            return not self._scale_survives(node.inputs[1])
        return any(
            self._lost(stored, node.op_type)
            for stored in map(constant, filter(_is_float, node.inputs))
            if stored is not None
        )

    def _halves(self, node: ir.Node) -> tuple[list[int], list[int]] | None:
        """Which inputs and outputs become float16; None if the node stays float32."""
        schema = onnx.defs.get_schema(node.op_type, self._opset, "")
        halves = {
            c.type_param_str
            for c in schema.type_constraints
            if "tensor(float16)" in c.allowed_type_strs
        }
        takes = [_formal(schema.inputs, i) for i in range(len(node.inputs))]
        gives = [_formal(schema.outputs, i) for i in range(len(node.outputs))]
        inputs = [
            i
            for i, value in enumerate(node.inputs)
            if _is_float(value) and takes[i] in halves
        ]
        bound = {takes[i] for i in inputs}
        floats = [i for i, value in enumerate(node.outputs) if _is_float(value)]
        outputs = [i for i in floats if gives[i] in bound]
        fixed = [i for i in floats if gives[i] == "tensor(float)"]
        if not inputs or len(outputs) + len(fixed) < len(floats):
            return None  # what it makes has a type of its own: Cast, EyeLike
        return inputs, outputs

    def _make_half(self, node: ir.Node, inputs: list[int], outputs: list[int]) -> None:
        for i, value in enumerate(node.inputs):
            self._read(node, i, value, half=i in inputs)
        casts = []
        for value in (node.outputs[i] for i in outputs):
            self._half.add(value)
            if value.is_graph_output():
                output = ir.val(value.name, ir.DataType.FLOAT, value.shape)
                value.name = free(self._taken, f"{value.name}_float16")
                casts.append(_cast(value, output, ir.DataType.FLOAT))
                self._other[value] = output
                graph_outputs = self._graph.outputs
                graph_outputs[graph_outputs.index(value)] = output
        node.append(casts)

    def _keep_full(self, node: ir.Node) -> None:
        for i, value in enumerate(node.inputs):
            self._read(node, i, value, half=False)
        for body in bodies(node):
            for inner in body.all_nodes():
                for i, value in enumerate(inner.inputs):
                    if value in self._half:
                        inner.replace_input_with(i, self._converted(value, node))

    def _read(
        self, node: ir.Node, index: int, value: ir.Value | None, *, half: bool
    ) -> None:
        """Let a node read a value in one float type or the other."""
        if _is_float(value) and (value in self._half) != half:
            node.replace_input_with(index, self._converted(value, node))

    def _converted(self, value: ir.Value, reader: ir.Node) -> ir.Value:
        """A value in the other float type, made before ``reader`` if it is new."""
        if value not in self._other:
            half = value not in self._half
            name = free(self._taken, f"{value.name}_float{16 if half else 32}")
            stored = constant(value) if half else None
            if stored is None:
                self._other[value] = ir.Value(name=name)
                to = ir.DataType.FLOAT16 if half else ir.DataType.FLOAT
                reader.prepend(_cast(value, self._other[value], to))
            else:
                rounded = stored.astype(np.float16)
                self._other[value] = store(self._graph, rounded, name)
        return self._other[value]

    def _revive(self, node: ir.Node) -> None:
        """Give channels whose weights are all 0 a scale that float16 has."""
        whole, scale = (constant(value) for value in node.inputs[:2])
        if whole is None or scale is None or scale.ndim != 1 or not node.inputs[1]:
            return
        axis = node.attributes.get_int("axis", 1) % whole.ndim
        if whole.shape[axis] != scale.size:
            return  # as a rule of TensorRT's says, with the node's name
        dead = ~whole.any(axis=tuple(i for i in range(whole.ndim) if i != axis))
        if len(node.inputs) > 2:
            zero = constant(node.inputs[2])
            if zero is None or zero.any():
                return  # with a zero point, 0 is not zero
        mended = np.where(dead & (scale < _NORMAL), np.float32(_NORMAL), scale)
        if not np.array_equal(mended, scale):
            name = free(self._taken, f"{node.inputs[1].name}_mended")
            node.replace_input_with(1, store(self._graph, mended, name))

    def _scale_survives(self, value: ir.Value | None) -> bool:
        scale = constant(value)
        if scale is None or value is None or not _is_float(value):
            return scale is not None
        if not np.all(np.isfinite(scale) & (scale > 0)):
            raise ExportError(
                f"the scale {value.name} must be finite and positive to become "
                "float16: calibrate the network again."
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
        return 0 < largest < _NORMAL and op not in WEIGHTED


def _is_float(value: ir.Value | None) -> TypeGuard[ir.Value]:
    return (
        value is not None
        and isinstance(value.type, ir.TensorType)
        and value.dtype == ir.DataType.FLOAT
    )


def _cast(value: ir.Value, made: ir.Value, to: ir.DataType) -> ir.Node:
    return ir.node(
        "Cast", [value], {"to": to}, outputs=[made], name=f"{made.name}/Cast"
    )


def _formal(parameters: Sequence[Any], index: int) -> str:
    """The type of a parameter; the last one repeats."""
    return str(parameters[min(index, len(parameters) - 1)].type_str)


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
            f"{first_sentence(err)}."
        ) from err
    names = {node.output[0]: node.name for node in model.graph.node}
    for node in made.graph.node:  # it forgets those of nodes that it rewrites
        node.name = node.name or names.get(node.output[0], "")
    tidy(made)
    return made
