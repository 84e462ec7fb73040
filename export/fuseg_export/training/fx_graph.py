"""A torch network as a graph of the operators that its exported form has.

Convolutions have their normalisations folded in, as the exporter folds them; the
parameters stay the network's own.
"""

from __future__ import annotations

import operator
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor, fx, nn
from torch.nn import functional as F

from fuseg.errors import ExportError

__all__ = ["FoldedConv", "as_onnx", "traced_graph"]

_FUNCTIONS = {
    operator.add: "Add",
    operator.mul: "Mul",
    torch.relu: "Relu",
    torch.sigmoid: "Sigmoid",
    torch.cat: "Concat",
    F.interpolate: "Resize",
}
_METHODS = {"relu": "Relu", "sigmoid": "Sigmoid"}
_SHAPES = (getattr, operator.getitem)  # of what is asked of a tensor's shape


class FoldedConv(nn.Module):
    """A convolution with its normalisation folded into it, as the exporter does.

    The statistics are those that ``norm`` has; its weight and bias are trained.

    Args:
        conv, norm: Of the network, which go on belonging to it.

    Attributes:
        whole: Whether the folded weights are rounded: int8, symmetric, one scale an
            output channel.
        half_scales: Whether the scales are numbers of float16, as for TensorRT.
    """

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm
        self.whole = False
        self.half_scales = False

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """Weights (O, I, H, W) and bias (O,), not rounded."""
        weight, bias, norm = self.conv.weight, self.conv.bias, self.norm
        if norm is None:
            return weight, bias
        assert norm.running_var is not None
        assert norm.running_mean is not None
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        mean = norm.running_mean if bias is None else norm.running_mean - bias
        return weight * factor.reshape(-1, 1, 1, 1), norm.bias - mean * factor

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.folded()
        if self.whole:
            largest = weight.detach().abs().amax((1, 2, 3))
            scale = (largest / 127).clamp(min=1e-8)
            if self.half_scales:
                kind = torch.finfo(torch.float16)
                normal = (scale >= kind.smallest_normal) & (scale <= kind.max)
                scale = torch.where(normal, scale.half().float(), scale)
            zeros = torch.zeros(len(scale), dtype=torch.int32)
            weight = torch.fake_quantize_per_channel_affine(
                weight, scale, zeros, 0, -127, 127
            )
        conv = self.conv
        return F.conv2d(
            x, weight, bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )


def traced_graph(network: nn.Module, sensors: int) -> fx.GraphModule:
    """The network as a graph with folded convolutions, which shares its parameters.

    Args:
        sensors: How many tensors ``forward`` takes.

    Raises:
        ExportError: ``forward`` has an operation that this module does not know.
    """
    try:
        traced = fx.GraphModule(network, _Tracer(sensors).trace(network))
    except (fx.proxy.TraceError, TypeError, RuntimeError) as err:
        raise ExportError(
            f"the network must be one that torch.fx can trace, got: {err}."
        ) from err
    for node in list(traced.graph.nodes):
        layer = _layer(traced, node)
        if isinstance(layer, nn.Identity):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
        elif isinstance(layer, nn.Conv2d) and layer.padding_mode == "zeros":
            norm = _only_reader(traced, node)
            traced.set_submodule(str(node.target), FoldedConv(layer, norm))
            if norm is not None:
                (reader,) = node.users
                reader.replace_all_uses_with(node)
                traced.graph.erase_node(reader)
    traced.recompile()
    return traced.eval()


def as_onnx(traced: fx.GraphModule) -> onnx.ModelProto:
    """The graph up to its scores; weights are in it, sizes of windows are not."""
    nodes, inputs, weights = [], [], []
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            inputs.append(node.name)
            continue
        operation = _operation(traced, node)
        if operation is None:
            continue
        given = node.args[0] if operation == "Concat" else node.args
        values = [v.name for v in given if isinstance(v, fx.Node)]
        layer = _layer(traced, node)
        if isinstance(layer, FoldedConv):
            for what, tensor in zip(("weight", "bias"), layer.folded(), strict=True):
                if tensor is not None:
                    values.append(f"{node.name}.{what}")
                    array = tensor.detach().numpy()
                    weights.append(numpy_helper.from_array(array, values[-1]))
        nodes.append(helper.make_node(operation, values, [node.name], node.name))
    (end,) = (n.args[0] for n in traced.graph.nodes if n.op == "output")
    if nodes and nodes[-1].op_type == "Resize" and nodes[-1].output[0] == end.name:
        end_name = nodes.pop().input[0]  # the tail that the exporter cuts off
    else:
        end_name = end.name
    infos = {
        name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in (*inputs, end_name)
    }
    graph = helper.make_graph(
        nodes, "network", [infos[n] for n in inputs], [infos[end_name]], weights
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


class _Tracer(fx.Tracer):
    """Traces a ``forward(*sensors)``, too, which fx alone cannot."""

    def __init__(self, sensors: int) -> None:
        super().__init__()
        self._sensors = sensors

    def create_args_for_root(
        self,
        root_fn: Any,
        is_module: bool,  # noqa: ARG002
        concrete_args: Any = None,  # noqa: ARG002
    ) -> tuple[Any, list[Any]]:
        names = [f"sensor_{i}" for i in range(self._sensors)]
        sensors = [self.create_proxy("placeholder", name, (), {}) for name in names]
        return root_fn, [self.root, *sensors]


def _layer(traced: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return traced.get_submodule(str(node.target)) if node.op == "call_module" else None


def _only_reader(traced: fx.GraphModule, node: fx.Node) -> nn.BatchNorm2d | None:
    """The normalisation behind a convolution that nothing else reads."""
    readers = [_layer(traced, user) for user in node.users]
    alone = readers[0] if len(readers) == 1 else None
    return alone if isinstance(alone, nn.BatchNorm2d) and alone.affine else None


def _operation(traced: fx.GraphModule, node: fx.Node) -> str | None:
    """The ONNX operator that a node becomes; None if it only asks for a shape."""
    if node.op == "output" or node.target in _SHAPES:
        return None
    layer = _layer(traced, node)
    known: str | None = None
    if isinstance(layer, FoldedConv):
        known = "Conv"
    elif isinstance(layer, nn.ReLU | nn.Sigmoid):
        known = "Relu" if isinstance(layer, nn.ReLU) else "Sigmoid"
    elif isinstance(layer, nn.AdaptiveAvgPool2d):
        alone = layer.output_size in (1, (1, 1))
        known = "GlobalAveragePool" if alone else "AveragePool"
    elif node.op == "call_function":
        known = _FUNCTIONS.get(node.target)  # type: ignore[arg-type]
        if known in ("Add", "Mul") and len(node.all_input_nodes) < len(node.args):
            known = None  # with a number or with itself: the rules differ
    elif node.op == "call_method":
        known = _METHODS.get(str(node.target))
    if known is None:
        what = type(layer).__name__ if layer is not None else node.target
        raise ExportError(
            f"the network must be made of convolutions, ReLU, sigmoid, pools, "
            f"additions, products, concatenations and resizes to be trained with fake "
            f"quantization, got {what} ({node.name})."
        )
    return known
