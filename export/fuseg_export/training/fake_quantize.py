"""A torch network that computes what its INT8 variant will, and can be trained.

Where pairs of QuantizeLinear and DequantizeLinear stand, their scales and zero points
are the exporter's own: the network is traced to an ONNX graph, node for node,
`int8.quantize` writes its pairs into that graph, and a `FakeQuantize` goes to the same
positions.

Left out is the rounding of an int32 bias: its step is that of a product of two 8-bit
numbers, far below theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, fx, nn

from ..precision.calibrate import Ranges
from ..precision.int8.qdq_placement import QdqScheme
from ..precision.int8.quantize import quantize
from .fx_graph import FoldedConv, as_onnx, traced_graph

__all__ = ["FakeQuantize", "fake_quantized", "ranges_of"]

_LIMITS = {onnx.TensorProto.UINT8: (0, 255), onnx.TensorProto.INT8: (-128, 127)}


class FakeQuantize(nn.Module):
    """Rounds to the numbers that 8 bits can tell apart; shapes stay.

    The gradient passes straight through where the value is within the range, and is 0
    outside.

    Args:
        scale, zero: Of the pair.
        least, most: Of the integers.
    """

    def __init__(self, scale: float, zero: int, least: int, most: int) -> None:
        super().__init__()
        self.scale, self.zero = scale, zero
        self.least, self.most = least, most

    def forward(self, x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(
            x, self.scale, self.zero, self.least, self.most
        )

    def extra_repr(self) -> str:
        return f"{self.scale:g}, {self.zero}, {self.least}..{self.most}"


def ranges_of(
    network: nn.Module, frames: Iterable[Sequence[Tensor]], sensors: int
) -> Ranges:
    """The smallest and the largest value of every tensor inside, over these frames.

    Values have the names that `fake_quantized` gives them; each frame is a batch of
    any size.
    """
    observer = _Observer(traced_graph(network, sensors))
    count = 0
    with torch.no_grad():
        for tensors in frames:
            observer.run(*tensors)
            count += len(tensors[0])
    return Ranges("minmax", count, "", observer.seen)  # no digest: it is not stored


def fake_quantized(
    network: nn.Module, ranges: Ranges, scheme: QdqScheme, sensors: int
) -> fx.GraphModule:
    """The network as a graph that rounds wherever its variant of ``scheme`` does.

    It shares the network's parameters: training the one trains the other, and the
    network itself stays as it was, without anything to be taken out.

    Args:
        ranges: Of `ranges_of`.

    Raises:
        ExportError: See `fx_graph.traced_graph`.
    """
    made = traced_graph(network, sensors)
    quantized = quantize(as_onnx(made), ranges, scheme)
    stored = {i.name: i for i in quantized.graph.initializer}
    named = {node.name: node for node in made.graph.nodes}
    whole = {n.input[1] for n in quantized.graph.node if n.op_type == "Conv"}
    whole -= stored.keys()  # what is left is dequantized
    for pair in quantized.graph.node:
        if pair.op_type == "Conv":
            layer = made.get_submodule(str(named[pair.name].target))
            assert isinstance(layer, FoldedConv)
            layer.whole = pair.input[1] in whole
            layer.half_scales = not scheme.zero_point
        if pair.op_type != "QuantizeLinear":
            continue
        value, scale, zero = (str(name) for name in pair.input)
        made.add_submodule(
            f"{value}_rounded",
            FakeQuantize(
                float(numpy_helper.to_array(stored[scale])),
                int(numpy_helper.to_array(stored[zero])),
                *_LIMITS[stored[zero].data_type],
            ),
        )
        node = named[value]
        with made.graph.inserting_after(node):
            rounded = made.graph.call_module(f"{value}_rounded", (node,))
        node.replace_all_uses_with(rounded, lambda user, new=rounded: user is not new)
    made.recompile()
    return made


class _Observer(fx.Interpreter):
    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network)
        self.seen: dict[str, tuple[float, float]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            low, high = (float(end) for end in value.aminmax())
            before = self.seen.get(n.name, (low, high))
            self.seen[n.name] = (min(low, before[0]), max(high, before[1]))
        return value
