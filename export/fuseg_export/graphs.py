"""The graph of a network, stage by stage: as exported, simplified, its tail cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import onnx
from torch import Tensor

from fuseg import bundle
from fuseg.errors import BundleError, ExportError

from .network.outputs import SelectedOutputs
from .outputs import ExportedOutput
from .passes.simplify import simplify
from .to_onnx import to_onnx

__all__ = ["NetworkGraphs", "export_graphs"]


@dataclass(frozen=True)
class NetworkGraphs:
    """One network as ONNX graphs.

    Attributes:
        stages: By name, in the order they were made; those that change nothing are
            left out.
        network: The last one, which the runtime runs.
        outputs: Its outputs, their tails cut off.
        opset: Of all of them.
        exporter: "torchscript" or "dynamo".
        simplifier: Its name and version; "no" if the graph was not simplified.
        warnings: What the user should know of them, a sentence each.
    """

    stages: Mapping[str, onnx.ModelProto]
    network: onnx.ModelProto
    outputs: tuple[ExportedOutput, ...]
    opset: int
    exporter: str
    simplifier: str
    warnings: tuple[str, ...]


def export_graphs(
    network: SelectedOutputs,
    outputs: Sequence[ExportedOutput],
    example: Mapping[str, Tensor],
    opset: int,
    progress: Callable[[str], None],
) -> NetworkGraphs:
    """Export a network, simplify its graph and cut the tails off.

    Args:
        network: In eval mode, on the CPU.
        outputs: What it returns, in order.
        example: A tensor for each of its arguments, by the name it gets in the graph.
        opset: See `to_onnx.to_onnx`.

    Raises:
        ArgumentError, ExportError: See `to_onnx.to_onnx` and `cut_tail.cut_tail`; or no
            device would load the graph.
    """
    progress("exporting to ONNX")
    exported = to_onnx(network, example, opset, [o.exported_as for o in outputs])
    progress("simplifying the graph")
    tensors = {name: tensor.numpy() for name, tensor in example.items()}
    simplified, not_simplified = simplify(exported.model, tensors)
    cut, after = simplified, list(outputs)
    for index, output in enumerate(outputs):
        cut, after[index] = output.cut(cut, index)
    _require_bounded(cut)
    stages = {"onnx": exported.model}
    if not_simplified is None:
        stages["simplified"] = simplified
    if any(output.is_cut for output in after):
        stages["cut"] = cut
    graphs = list(stages.values())
    return NetworkGraphs(
        stages,
        cut,
        tuple(output.followed(graphs, i) for i, output in enumerate(after)),
        exported.opset,
        exported.exporter,
        simplifier="no" if not_simplified else f"onnxsim {version('onnxsim')}",
        warnings=(
            *exported.warnings,
            *([not_simplified] if not_simplified else []),
            *(note for output in after for note in output.notes()),
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
