"""Who makes and who reads each value of a graph, past the casts between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from ..passes.tidy import Graph

__all__ = ["ACTIVATIONS", "PAIR", "WEIGHTED", "Wiring"]

PAIR = ("QuantizeLinear", "DequantizeLinear")
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "PRelu", "Elu", "Sigmoid", "Tanh")
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


class Wiring:
    """A graph that can be walked both ways.

    Attributes:
        graph: Its nodes, in order.
        opset: Of ONNX's own operators.
        pairs: The QuantizeLinear and DequantizeLinear among the nodes.

    Raises:
        InferenceError: onnx's, if the types in the graph contradict one another.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        strict = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        self.graph = strict.graph
        self.opset = next(
            o.version for o in model.opset_import if o.domain in ("", "ai.onnx")
        )
        self.pairs = [n for n in self.graph.node if n.op_type in PAIR]
        self._known = Graph(strict)
        self._stored = {i.name: i.data_type for i in self.graph.initializer}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.graph.node:
            for value in dict.fromkeys(node.input):
                self._readers.setdefault(value, []).append(node)

    def producer(self, value: str) -> onnx.NodeProto | None:
        """The node that makes a value; None for an input or a stored tensor."""
        return self._known.producer(value)

    def constant(self, value: str) -> NDArray[Any] | None:
        """A value that is stored in the graph; None if it is computed."""
        return self._known.constant(value)

    def shape(self, value: str) -> tuple[int, ...] | None:
        """A value's shape; None if it is not known as a whole."""
        stored = self._known.constant(value)
        return self._known.shape(value) if stored is None else stored.shape

    def element(self, value: str) -> int:
        """A value's element type, as in `onnx.TensorProto`; 0 if it is not known."""
        return self._stored.get(value) or self._known.element(value)

    def readers(self, value: str) -> list[onnx.NodeProto]:
        """The nodes that read a value."""
        return self._readers.get(value, [])

    def consumers(self, node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
        """The nodes that compute with a node's result, past casts and pairs."""
        for reader in self.readers(node.output[0]):
            if reader.op_type in ("Cast", *PAIR):
                yield from self.consumers(reader)
            else:
                yield reader

    def dequantizer(self, value: str) -> onnx.NodeProto | None:
        """The DequantizeLinear that makes a value, past a cast; None if none does."""
        node = self.producer(value)
        while node is not None and node.op_type == "Cast":
            node = self.producer(node.input[0])
        found = node is not None and node.op_type == "DequantizeLinear"
        return node if found else None

    def weights_behind(self, pair: onnx.NodeProto) -> NDArray[Any] | None:
        """The stored tensor that one of a pair reads, past the other one."""
        stored = self.constant(pair.input[0])
        maker = self.producer(pair.input[0])
        if stored is None and maker is not None and maker.op_type in PAIR:
            return self.constant(maker.input[0])
        return stored

    def float_inputs(self, node: onnx.NodeProto) -> Iterator[tuple[str, int]]:
        """A node's float inputs whose type is the graph's to choose, with the type."""
        if node.op_type in ("Cast", "CastLike"):
            return
        schema = onnx.defs.get_schema(node.op_type, self.opset, "")
        open_types = {c.type_param_str for c in schema.type_constraints}
        for i, value in enumerate(node.input):
            formal = schema.inputs[min(i, len(schema.inputs) - 1)]
            # The region of a Resize may have another type than its picture.
            fixed = formal.type_str not in open_types or formal.name == "roi"
            if value and not fixed and self.element(value) in _FLOATS:
                yield value, self.element(value)
