"""INT8 written into the graph: QuantizeLinear and DequantizeLinear where they pay.

Weights are int8, symmetric, one scale per output channel. What is in ``keep`` stays in
float, and so does the node that makes the scores. `places` says where the pairs stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ..passes.tidy import Graph, attributes, free_name, prune
from .calibrate import Ranges
from .qdq_placement import Places, QdqScheme

__all__ = ["quantizable", "quantize"]

_SMALLEST = 1e-8  # of a scale: below, float32's reciprocal is not exact enough


def quantizable(model: onnx.ModelProto, scheme: QdqScheme) -> list[str]:
    """Names of the nodes that have weights to quantize, in order.

    The one that makes the scores is not among them.
    """
    graph = Places(model, scheme)
    return [n.name for n in model.graph.node if graph.weight(n) is not None]


def quantize(
    model: onnx.ModelProto,
    ranges: Ranges,
    scheme: QdqScheme,
    keep: Collection[str] = (),
) -> onnx.ModelProto:
    """A copy of a float32 network with the pairs of ``scheme`` in it.

    Args:
        ranges: Of this very network.
        keep: Names of nodes that stay in float.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    places = Places(made, scheme)
    sources = places.sources(keep)
    writer = _Writer(made, scheme, ranges)
    scales = writer.scales(sources, places.groups(sources))
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


@dataclass(frozen=True)
class _Scale:
    scale: float
    zero: int


class _Writer:
    """Writes pairs into a graph, each once."""

    def __init__(
        self, model: onnx.ModelProto, scheme: QdqScheme, ranges: Ranges
    ) -> None:
        self._model = model
        self._scheme = scheme
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
        whole = np.uint8 if self._scheme.zero_point else np.int8
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
        """Quantize a node's weights, and its bias where the scheme wants it."""
        stored = self._graph.constant(node.input[1])
        assert stored is not None, "only nodes with stored weights come here"
        axis = _output_axis(node, stored.ndim)
        others = tuple(i for i in range(stored.ndim) if i != axis)
        scale = np.maximum(np.abs(stored).max(axis=others) / 127, _SMALLEST)
        bias = None
        if self._scheme.whole_bias and len(node.input) > 2 and node.input[2]:
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
        if not self._scheme.zero_point:
            kind = np.finfo(np.float16)
            normal = (scale >= kind.smallest_normal) & (scale <= kind.max)
            half = np.where(normal, scale, 1).astype(np.float16)
            scale = np.where(normal, half, scale)
        return scale.astype(np.float32)

    def _scale(self, low: float, high: float) -> _Scale:
        low, high = min(low, 0.0), max(high, 0.0)
        if not self._scheme.zero_point:
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
