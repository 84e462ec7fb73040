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
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from ..passes.tidy import Graph

__all__ = ["CPU", "TENSORRT", "Places", "QdqScheme"]

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
    """

    weighted: tuple[str, ...]
    zero_point: bool
    computes: tuple[str, ...]
    moves: tuple[str, ...]
    outputs: bool
    whole_bias: bool
    one_scale: tuple[str, ...]


CPU = QdqScheme(
    weighted=_WEIGHTED,
    zero_point=True,
    computes=("Add", "Mul", "Concat", "GlobalAveragePool", "AveragePool", "Sigmoid"),
    moves=_MOVERS,
    outputs=True,
    whole_bias=True,
    one_scale=(),
)
TENSORRT = QdqScheme(
    weighted=(*_WEIGHTED, "ConvTranspose"),
    zero_point=False,
    computes=("Add",),
    moves=(),
    outputs=False,
    whole_bias=False,
    one_scale=("Concat",),
)


class Places:
    """Which values of a network are to be quantized."""

    def __init__(self, model: onnx.ModelProto, scheme: QdqScheme) -> None:
        self._model = model
        self._scheme = scheme
        self._graph = Graph(model)
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for value in node.input:
                self._readers.setdefault(value, []).append(node)
        self._outputs = {value.name for value in model.graph.output}

    def weight(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        """The stored weights of a node that may be quantized."""
        if node.op_type not in self._scheme.weighted or self._makes_scores(node):
            return None
        if self._graph.element(node.input[0]) not in (0, onnx.TensorProto.FLOAT):
            return None
        return self._graph.constant(node.input[1])

    def sources(self, keep: Collection[str]) -> dict[str, str]:
        """The values to quantize; each with the value whose scale it takes."""
        scheme = self._scheme
        sources: dict[str, str] = {}
        for node in self._model.graph.node:
            if node.name in keep:
                continue
            weighted = self.weight(node) is not None
            if weighted:
                sources.setdefault(node.input[0], node.input[0])
            elif self._computes(node):
                for value in node.input:
                    sources.setdefault(value, value)
            elif node.op_type in scheme.moves and node.input[0] in sources:
                result = node.output[0]
                if result not in self._outputs:
                    sources.setdefault(result, sources[node.input[0]])
                continue
            else:
                continue
            result = self._activated(node.output[0])
            if scheme.outputs and result not in self._outputs:
                sources.setdefault(result, result)
        return sources

    def groups(self, sources: dict[str, str]) -> Iterator[list[str]]:
        """Values of ``sources`` that must have one common scale."""
        for node in self._model.graph.node:
            if node.op_type in self._scheme.one_scale:
                group = [v for v in (*node.input, *node.output) if v in sources]
                if len(group) > 1:
                    yield group

    def _computes(self, node: onnx.NodeProto) -> bool:
        if node.op_type not in self._scheme.computes:
            return False
        if any(self._graph.constant(value) is not None for value in node.input):
            return False
        if self._makes_scores(node):
            return False
        # A scalar's reader, or an addition far from any convolution, gains nothing.
        if self._scheme.outputs or node.op_type != "Add":
            return True
        makers = [self._graph.producer(value) for value in node.input]
        return any(m is not None and m.op_type in self._scheme.weighted for m in makers)

    def _activated(self, value: str) -> str:
        """The value behind the activation that alone reads it, reshaped or not."""
        end = value
        while len(readers := self._readers.get(end, [])) == 1:
            end = str(readers[0].output[0])
            if readers[0].op_type in _ACTIVATIONS:
                return end
            if readers[0].op_type not in _RESHAPERS:
                break
        return value

    def _makes_scores(self, node: onnx.NodeProto) -> bool:
        return any(value in self._outputs for value in node.output)
