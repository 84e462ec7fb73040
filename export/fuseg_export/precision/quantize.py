"""INT8 written into the graph: QuantizeLinear and DequantizeLinear where they pay.

One calibration, several flavours, because runtimes read the same pair of nodes in
different ways:

- ``CPU``: activations uint8 with a zero point, a pair on every value between quantized
  nodes, int32 bias. ONNX Runtime and OpenVINO fuse each node with its pairs into an
  integer one; of symmetric int8 ONNX Runtime leaves those in float whose input has
  several readers (microsoft/onnxruntime #21251).
- ``TENSORRT``: activations int8 with zero point 0, pairs only before what is computed
  in INT8 (the inputs of a convolution, both inputs of an addition behind one), after
  the activation, never between a convolution and its Relu; float bias.

Weights are int8, symmetric, one scale per output channel. What is in ``keep`` stays in
float, and so does the node that makes the scores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ..graph import Graph, attributes, free_name, prune
from .calibrate import Ranges

__all__ = ["CPU", "TENSORRT", "Flavour", "quantizable", "quantize"]

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ACTIVATIONS = ("Relu", "Clip")
_RESHAPERS = ("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze")
_MOVERS = (*_RESHAPERS, "Resize", "MaxPool", "Slice")
_SMALLEST = 1e-8  # of a scale: below, float32's reciprocal is not exact enough


@dataclass(frozen=True)
class Flavour:
    """What one kind of runtime wants.

    Attributes:
        zero_point: Whether activations are uint8 with a zero point, else int8.
        computes: Operators computed in integers, beside those that have weights.
        moves: Operators that hand integers on, with the scale of their input.
        outputs: Whether the results of quantized nodes are quantized too.
        whole_bias: Whether the bias is int32, else float.
        one_scale: Operators whose inputs must have one common scale.
    """

    zero_point: bool
    computes: tuple[str, ...]
    moves: tuple[str, ...]
    outputs: bool
    whole_bias: bool
    one_scale: tuple[str, ...]


CPU = Flavour(
    zero_point=True,
    computes=("Add", "Mul", "Concat", "GlobalAveragePool", "AveragePool", "Sigmoid"),
    moves=_MOVERS,
    outputs=True,
    whole_bias=True,
    one_scale=(),
)
TENSORRT = Flavour(
    zero_point=False,
    computes=("Add",),
    moves=(),
    outputs=False,
    whole_bias=False,
    one_scale=("Concat",),
)


def quantizable(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that have weights to quantize, in order.

    The one that makes the scores is not among them.
    """
    graph = _Places(model)
    return [n.name for n in model.graph.node if graph.weight(n) is not None]


def quantize(
    model: onnx.ModelProto,
    ranges: Ranges,
    flavour: Flavour,
    keep: Collection[str] = (),
) -> onnx.ModelProto:
    """A copy of a float32 network with the pairs of ``flavour`` in it.

    Args:
        ranges: Of this very network.
        keep: Names of nodes that stay in float.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    places = _Places(made)
    sources = places.sources(flavour, keep)
    writer = _Writer(made, flavour, ranges)
    scales = writer.scales(sources, places.groups(flavour, sources))
    nodes = list(made.graph.node)
    del made.graph.node[:]
    for value in made.graph.input:
        writer.pair(value.name, scales)
    for node in nodes:
        weight = places.weight(node)
        chosen = weight is not None and node.name not in keep
        inputs = list(node.input)
        for i, value in enumerate(inputs):
            if value in scales:
                node.input[i] = writer.read(value)
        if chosen:
            writer.weight(node, inputs[0], scales)
        made.graph.node.append(node)
        for value in node.output:
            writer.pair(value, scales)
    prune(made)
    return made


class _Places:
    """Which values of a network are to be quantized."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._graph = Graph(model)
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for value in node.input:
                self._readers.setdefault(value, []).append(node)
        self._outputs = {value.name for value in model.graph.output}

    def weight(self, node: onnx.NodeProto) -> NDArray[np.float32] | None:
        """The stored weights of a node that may be quantized."""
        if node.op_type not in _WEIGHTED or self._makes_scores(node):
            return None
        if self._graph.element(node.input[0]) not in (0, onnx.TensorProto.FLOAT):
            return None
        return self._graph.constant(node.input[1])

    def sources(self, flavour: Flavour, keep: Collection[str]) -> dict[str, str]:
        """The values to quantize; each with the value whose scale it takes."""
        sources: dict[str, str] = {}
        for node in self._model.graph.node:
            if node.name in keep:
                continue
            weighted = self.weight(node) is not None
            if weighted:
                sources.setdefault(node.input[0], node.input[0])
            elif self._computes(node, flavour):
                for value in node.input:
                    sources.setdefault(value, value)
            elif node.op_type in flavour.moves and node.input[0] in sources:
                result = node.output[0]
                if result not in self._outputs:
                    sources.setdefault(result, sources[node.input[0]])
                continue
            else:
                continue
            result = self._activated(node.output[0])
            if flavour.outputs and result not in self._outputs:
                sources.setdefault(result, result)
        return sources

    def groups(self, flavour: Flavour, sources: dict[str, str]) -> Iterator[list[str]]:
        """Values of ``sources`` that must have one common scale."""
        for node in self._model.graph.node:
            if node.op_type in flavour.one_scale:
                group = [v for v in (*node.input, *node.output) if v in sources]
                if len(group) > 1:
                    yield group

    def _computes(self, node: onnx.NodeProto, flavour: Flavour) -> bool:
        if node.op_type not in flavour.computes:
            return False
        if any(self._graph.constant(value) is not None for value in node.input):
            return False
        if self._makes_scores(node):
            return False
        # A scalar's reader, or an addition far from any convolution, gains nothing.
        if flavour.outputs or node.op_type != "Add":
            return True
        makers = [self._graph.producer(value) for value in node.input]
        return any(m is not None and m.op_type in _WEIGHTED for m in makers)

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


@dataclass(frozen=True)
class _Scale:
    scale: float
    zero: int


class _Writer:
    """Writes pairs into a graph, each once."""

    def __init__(
        self, model: onnx.ModelProto, flavour: Flavour, ranges: Ranges
    ) -> None:
        self._model = model
        self._flavour = flavour
        self._ranges = ranges
        self._graph = Graph(model)
        self._read: dict[str, str] = {}

    def scales(
        self, sources: dict[str, str], groups: Iterator[list[str]]
    ) -> dict[str, _Scale]:
        ends = {value: self._ranges.of[own] for value, own in sources.items()}
        for group in groups:
            low = min(ends[value][0] for value in group)
            high = max(ends[value][1] for value in group)
            ends.update(dict.fromkeys(group, (low, high)))
        return {value: self._scale(*end) for value, end in ends.items()}

    def read(self, value: str) -> str:
        """The name by which the quantized form of a value is read, as float."""
        if value not in self._read:
            self._read[value] = free_name(self._model, f"{value}_dequantized")
        return self._read[value]

    def pair(self, value: str, scales: dict[str, _Scale]) -> None:
        """Append the pair of a value, if it is to be quantized."""
        if value not in scales:
            return
        whole = np.uint8 if self._flavour.zero_point else np.int8
        settings = [
            self._store(f"{value}_scale", np.float32(scales[value].scale)),
            self._store(f"{value}_zero_point", whole(scales[value].zero)),
        ]
        quantized = f"{value}_quantized"
        for op, given, result in (
            ("QuantizeLinear", value, quantized),
            ("DequantizeLinear", quantized, self.read(value)),
        ):
            self._model.graph.node.append(
                helper.make_node(op, [given, *settings], [result], f"{value}/{op}")
            )

    def weight(
        self, node: onnx.NodeProto, given: str, scales: dict[str, _Scale]
    ) -> None:
        """Quantize a node's weights, and its bias where the flavour wants it."""
        stored = self._graph.constant(node.input[1])
        assert stored is not None, "only nodes with stored weights come here"
        axis = _output_axis(node, stored.ndim)
        others = tuple(i for i in range(stored.ndim) if i != axis)
        scale = np.maximum(np.abs(stored).max(axis=others) / 127, _SMALLEST)
        bias = None
        if self._flavour.whole_bias and len(node.input) > 2 and node.input[2]:
            bias = self._graph.constant(node.input[2])
        if bias is not None:  # an int32 must hold it, after rounding too
            least = np.abs(bias) / (scales[given].scale * 2**30)
            scale = np.maximum(scale, least)
        scale = self._held(scale)
        shape = [1] * stored.ndim
        shape[axis] = -1
        whole = np.rint(stored / scale.reshape(shape)).clip(-127, 127)
        node.input[1] = self._constant(
            node.name, "weight", whole.astype(np.int8), scale, axis
        )
        if bias is not None:
            steps = np.float32(scales[given].scale) * scale
            whole = np.rint(bias.astype(np.float64) / steps)
            node.input[2] = self._constant(
                node.name, "bias", whole.astype(np.int32), steps, 0
            )

    def _constant(
        self,
        node: str,
        what: str,
        whole: NDArray[np.int8] | NDArray[np.int32],
        scale: NDArray[np.float32],
        axis: int,
    ) -> str:
        name = f"{node}/{what}"
        inputs = [
            self._store(f"{name}_quantized", whole),
            self._store(f"{name}_scale", scale),
            self._store(f"{name}_zero_point", np.zeros(scale.shape, whole.dtype)),
        ]
        self._model.graph.node.append(
            helper.make_node(
                "DequantizeLinear",
                inputs,
                [name],
                f"{name}/DequantizeLinear",
                axis=axis,
            )
        )
        return name

    def _store(self, name: str, values: NDArray[np.generic] | np.generic) -> str:
        self._model.graph.initializer.append(
            numpy_helper.from_array(np.asarray(values), name)
        )
        return name

    def _held(self, scale: NDArray[np.floating]) -> NDArray[np.float32]:
        """The same as float32; for TensorRT as float16 too, so that the variant with
        float16 around its pairs computes the same integers."""
        if not self._flavour.zero_point:
            kind = np.finfo(np.float16)
            normal = (scale >= kind.smallest_normal) & (scale <= kind.max)
            half = np.where(normal, scale, 1).astype(np.float16)
            scale = np.where(normal, half, scale)
        return scale.astype(np.float32)

    def _scale(self, low: float, high: float) -> _Scale:
        low, high = min(low, 0.0), max(high, 0.0)
        if not self._flavour.zero_point:
            scale = max(-low, high, 127 * _SMALLEST) / 127
            return _Scale(float(self._held(np.array(scale))), 0)
        scale = max(high - low, 255 * _SMALLEST) / 255
        return _Scale(scale, round(-low / scale))


def _output_axis(node: onnx.NodeProto, axes: int) -> int:
    """The axis of a node's weights that its result's channels lie on."""
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "MatMul":
        return axes - 1
    if node.op_type == "Gemm":
        return 0 if attributes(node).get("transB", 0) else 1
    return 0
