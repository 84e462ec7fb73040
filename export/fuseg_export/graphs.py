"""The graph of a network, stage by stage: as exported, simplified, its tail cut off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

import onnx

from fuseg import bundle
from fuseg.errors import BundleError, ExportError

from .network.example import Tried
from .outputs import ExportedOutput
from .passes.fold_slices import fold_slices
from .passes.simplify import simplify
from .recurrent import NextState
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
        states: Its states' next values, which are outputs of the graph behind those.
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
    states: tuple[NextState, ...] = ()

    @property
    def compared(self) -> tuple[ExportedOutput, ...]:
        """All of its outputs, in the graph's order."""
        return (*self.outputs, *self.states)


def export_graphs(
    tried: Tried, opset: int, progress: Callable[[str], None], *, fold: bool = False
) -> NetworkGraphs:
    """Export a network, simplify its graph and cut the tails off.

    Args:
        tried: The network, in eval mode, on the CPU.
        opset: See `to_onnx.to_onnx`.
        fold: Whether to take parts of joined tensors from before the join, see
            `fold_slices`.

    Raises:
        ArgumentError, ExportError: See `to_onnx.to_onnx` and `cut_tail.cut_tail`; or no
            device would load the graph.
    """
    progress("exporting to ONNX")
    outputs: list[ExportedOutput] = [*tried.outputs, *tried.states]
    names = [output.exported_as for output in outputs]
    exported = to_onnx(tried.network, tried.example, opset, names)
    first = fold_slices(exported.model) if fold else exported.model
    progress("simplifying the graph")
    tensors = {name: tensor.numpy() for name, tensor in tried.example.items()}
    simplified, not_simplified = simplify(first, tensors)
    cut, after = simplified, list(outputs)
    for index, output in enumerate(outputs):
        cut, after[index] = output.cut(cut, index)
    _require_bounded(cut)
    stages = {"onnx": first}
    if not_simplified is None:
        stages["simplified"] = simplified
    if any(output.is_cut for output in after):
        stages["cut"] = cut
    graphs = list(stages.values())
    return NetworkGraphs(
        stages,
        cut,
        tuple(after[i].followed(graphs, i) for i in range(len(tried.outputs))),
        exported.opset,
        exported.exporter,
        simplifier="no" if not_simplified else f"onnxsim {version('onnxsim')}",
        warnings=(
            *exported.warnings,
            *([not_simplified] if not_simplified else []),
            *(note for output in after for note in output.notes()),
        ),
        states=tried.states,
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
