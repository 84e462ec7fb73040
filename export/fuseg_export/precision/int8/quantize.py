"""INT8 written into the graph: QuantizeLinear and DequantizeLinear where they pay.

Weights are int8, symmetric, one scale per output channel. What is in ``keep`` stays in
float, and so does the node that makes the scores. `qdq_placement` says where the pairs
stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from ...passes.rewrite import constant, free, names_in, read, rewrite, store
from ..calibrate import Ranges
from .qdq_placement import (
    QdqScheme,
    output_axis,
    pair_owners,
    scale_groups,
    scale_sources,
    stored_weight,
)

__all__ = ["quantizable", "quantize"]

_SMALLEST = 1e-8  # of a scale: below, float32's reciprocal is not exact enough


def quantizable(model: onnx.ModelProto, scheme: QdqScheme) -> list[str]:
    """Names of the nodes that are quantized, in order: those with weights, and those
    without that compute in integers beside them.

    The one that makes the scores is not among them.
    """
    return [node.name or "" for node in pair_owners(read(model).graph, scheme)]


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
    return rewrite(model, _Quantize(ranges, scheme, keep), RemoveUnusedNodesPass())


@dataclass(frozen=True)
class _Scale:
    scale: float
    zero: int


class _Quantize(ir.passes.InPlacePass):
    """Puts pairs into a graph, each once.

    1. Weights of a quantized node become int8 and a DequantizeLinear before the node;
       so does its bias, in int32, where the scheme wants it.
    2. A value to be quantized gets a pair behind the node that makes it, or at the
       graph's begin if it is an input; every node of the graph reads the pair.
    3. But one of whose inputs all must be quantized or none reads no pair if some have
       none.
    """

    def __init__(
        self, ranges: Ranges, scheme: QdqScheme, keep: Collection[str]
    ) -> None:
        self._ranges, self._scheme, self._keep = ranges, scheme, keep

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        self._graph, self._taken = model.graph, names_in(model)
        sources = scale_sources(self._graph, self._scheme, self._keep)
        groups = scale_groups(self._graph, self._scheme, sources)
        scales = self._scales(sources, groups)
        self._in_float = {
            node
            for node in self._graph
            if node.op_type in self._scheme.all_or_none
            and any(value not in scales for value in node.inputs)
        }
        nodes = [(node, node.inputs[:1]) for node in self._graph]
        nodes[0][0].prepend(self._pairs(self._graph.inputs, scales))
        for node, given in nodes:
            stored = stored_weight(node, self._scheme)
            if stored is not None and node.name not in self._keep and given[0]:
                self._quantize_weight(node, stored, scales[given[0]].scale)
            node.append(self._pairs(node.outputs, scales))
        return ir.passes.PassResult(model, modified=True)

    def _scales(
        self, sources: dict[ir.Value, ir.Value], groups: Iterator[list[ir.Value]]
    ) -> dict[ir.Value, _Scale]:
        of = self._ranges.of
        ranges = {value: of[own.name or ""] for value, own in sources.items()}
        for group in groups:
            low = min(ranges[value][0] for value in group)
            high = max(ranges[value][1] for value in group)
            ranges.update(dict.fromkeys(group, (low, high)))
        return {value: self._scale(*limits) for value, limits in ranges.items()}

    def _pairs(
        self, values: Collection[ir.Value], scales: dict[ir.Value, _Scale]
    ) -> list[ir.Node]:
        """The pairs of the values to be quantized; whoever read these reads those."""
        whole = np.uint8 if self._scheme.zero_point else np.int8
        nodes: list[ir.Node] = []
        for value in values:
            if value not in scales:
                continue
            readers = value.uses()
            settings = [
                self._store(f"{value.name}_scale", np.float32(scales[value].scale)),
                self._store(f"{value.name}_zero_point", whole(scales[value].zero)),
            ]
            end = value
            for op, what in (
                ("QuantizeLinear", "quantized"),
                ("DequantizeLinear", "dequantized"),
            ):
                made = ir.Value(name=free(self._taken, f"{value.name}_{what}"))
                name = f"{value.name}/{op}"
                nodes.append(ir.node(op, [end, *settings], outputs=[made], name=name))
                end = made
            for reader, index in readers:
                # Bodies of loops stay in float, too.
                if reader.graph is self._graph and reader not in self._in_float:
                    reader.replace_input_with(index, end)
        return nodes

    def _quantize_weight(
        self, node: ir.Node, stored: NDArray[np.float32], given: float
    ) -> None:
        """Quantize a node's weights, and its bias where the scheme wants it.

        ``given`` is the scale of what the node reads.
        """
        axis = output_axis(node, stored.ndim)
        assert axis is not None, "a scheme quantizes what has output channels"
        others = tuple(i for i in range(stored.ndim) if i != axis)
        scale = np.maximum(np.abs(stored).max(axis=others) / 127, _SMALLEST)
        bias = None
        if self._scheme.whole_bias and len(node.inputs) > 2:
            bias = constant(node.inputs[2])
        if bias is not None:  # an int32 must hold it, after rounding too
            scale = np.maximum(scale, np.abs(bias) / (given * 2**30))
        scale = self._held(scale)
        shape = [1] * stored.ndim
        shape[axis] = -1
        whole = np.rint(stored / scale.reshape(shape)).clip(-127, 127)
        self._dequantized(node, 1, "weight", whole.astype(np.int8), scale, axis)
        if bias is not None:
            steps = np.float32(given) * scale
            whole = np.rint(bias.astype(np.float64) / steps)
            self._dequantized(node, 2, "bias", whole.astype(np.int32), steps, 0)

    def _dequantized(
        self,
        node: ir.Node,
        index: int,
        what: str,
        whole: NDArray[np.int8] | NDArray[np.int32],
        scale: NDArray[np.float32],
        axis: int,
    ) -> None:
        """Make an input of a node of stored integers."""
        name = free(self._taken, f"{node.name}/{what}")
        inputs = [
            self._store(f"{name}_quantized", whole),
            self._store(f"{name}_scale", scale),
            self._store(f"{name}_zero_point", np.zeros(scale.shape, whole.dtype)),
        ]
        made = ir.node(
            "DequantizeLinear",
            inputs,
            {"axis": axis},
            outputs=[ir.Value(name=name)],
            name=f"{name}/DequantizeLinear",
        )
        node.prepend(made)
        node.replace_input_with(index, made.outputs[0])

    def _store(self, name: str, array: NDArray[np.generic] | np.generic) -> ir.Value:
        return store(self._graph, array, free(self._taken, name))

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
