"""The graph of a network, stage by stage: as exported, simplified, its tail cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import onnx
from torch import Tensor

from fuseg import bundle
from fuseg.errors import BundleError, ExportError

from .network.outputs import OneOutput
from .passes.cut_tail import CutTail, cut_tail, find_tail
from .passes.simplify import simplify
from .to_onnx import to_onnx

__all__ = ["NetworkGraphs", "export_graphs"]


@dataclass(frozen=True)
class NetworkGraphs:
    """One network as ONNX graphs.

    Attributes:
        stages: By name, in the order they were made; those that change nothing are
            left out.
        network: The last one, which the runtime runs: one output, the scores.
        tail: What was cut off it.
        opset: Of all of them.
        exporter: "torchscript" or "dynamo".
        simplifier: Its name and version; "no" if the graph was not simplified.
        warnings: What the user should know of them, a sentence each.
    """

    stages: Mapping[str, onnx.ModelProto]
    network: onnx.ModelProto
    tail: CutTail
    opset: int
    exporter: str
    simplifier: str
    warnings: tuple[str, ...]

    def whole_tail(self) -> CutTail:
        """The longest tail of a stage: onnxsim may drop a softmax before an argmax."""
        tails = [find_tail(graph)[1] for graph in self.stages.values()]
        return max(tails, key=lambda tail: len(tail.removed))


def export_graphs(
    network: OneOutput,
    example: Mapping[str, Tensor],
    opset: int,
    progress: Callable[[str], None],
) -> NetworkGraphs:
    """Export a network, simplify its graph and cut the tail off.

    Args:
        network: In eval mode, on the CPU.
        example: A tensor for each of its arguments, by the name it gets in the graph.
        opset: See `to_onnx.to_onnx`.

    Raises:
        ArgumentError, ExportError: See `to_onnx.to_onnx` and `cut_tail.cut_tail`; or no
            device would load the graph.
    """
    progress("exporting to ONNX")
    exported = to_onnx(network, example, opset)
    progress("simplifying the graph")
    tensors = {name: tensor.numpy() for name, tensor in example.items()}
    simplified, not_simplified = simplify(exported.model, tensors)
    cut, tail = cut_tail(simplified)
    _require_bounded(cut)
    stages = {"onnx": exported.model}
    if not_simplified is None:
        stages["simplified"] = simplified
    if tail.removed:
        stages["cut"] = cut
    return NetworkGraphs(
        stages,
        cut,
        tail,
        exported.opset,
        exported.exporter,
        simplifier="no" if not_simplified else f"onnxsim {version('onnxsim')}",
        warnings=(
            *exported.warnings,
            *([not_simplified] if not_simplified else []),
            *([tail.kept] if tail.kept else []),
        ),
    )


def _require_bounded(model: onnx.ModelProto) -> None:
    """Refuse now what no device would load."""
    data = memoryview(model.SerializeToString())
    try:
        bundle.require_network(data, model.opset_import[0].version, model.ir_version)
    except BundleError as err:
        raise ExportError(
            f"the network cannot be put into a bundle: {err} Change its forward, so "
            "that the graph has other operators."
        ) from err
