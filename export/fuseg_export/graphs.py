"""The graph of a network, stage by stage: as exported, simplified, its tail cut off."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import onnx

from fuseg import bundle
from fuseg import manifest as m
from fuseg.cli.printing import plural
from fuseg.errors import ArgumentError, BundleError, ExportError

from .dimensions import with_named_values
from .network.example import Tried
from .network.weight_names import some
from .ort_session import open_cpu_session
from .outputs import ExportedOutput, main_first
from .outputs.base import places_of
from .parts.apart import join
from .parts.trial import StandIn, Trial
from .passes.convolve_before_resize import convolve_before_resize
from .passes.fold_slices import fold_slices
from .passes.simplify import simplify
from .passes.split import Piece, one_piece
from .recurrent import NextState
from .sources.onnx_file.graph import from_file
from .sources.onnx_file.labels import name_scores
from .sources.onnx_file.network import OnnxNetwork
from .to_onnx import Exported, to_onnx
from .weights_apart import StoredGraphs

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
        stand_ins: Outputs as stand-ins make them, which come between both.
        sizes: The typical ones of its dimensions, by name.
        opset: Of all of them.
        exporter: "torchscript" or "dynamo"; "file" if the network is an ONNX file.
        simplifier: Its name and version; "no" if the graph was not simplified.
        warnings: What the user should know of them, a sentence each.
        notes: What was rewritten, a sentence each.
        pieces: The graphs that it is cut into; one is the network as it is.
    """

    stages: StoredGraphs
    network: onnx.ModelProto
    outputs: tuple[ExportedOutput, ...]
    opset: int
    exporter: str
    simplifier: str
    warnings: tuple[str, ...]
    pieces: tuple[Piece, ...]
    notes: tuple[str, ...] = ()
    states: tuple[NextState, ...] = ()
    stand_ins: tuple[StandIn, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def compared(self) -> tuple[ExportedOutput, ...]:
        """All of its outputs, in the graph's order."""
        return (*self.outputs, *(s.output for s in self.stand_ins), *self.states)

    @property
    def scored(self) -> frozenset[str]:
        """The outputs that the frames' true labels are of, by name."""
        main = main_first(self.outputs)[0].name
        others = (s.output.name for s in self.stand_ins if s.of == main)
        return frozenset((main, *others))


def export_graphs(
    tried: Tried,
    opset: int,
    progress: Callable[[str], None],
    *,
    fold: bool = False,
    exporter: str | None = None,
) -> NetworkGraphs:
    """Export a network, simplify its graph and cut the tails off.

    What TorchScript wrote is exported again by torch's newer exporter, if it cannot be
    cut or no engine opens it.

    Args:
        tried: The network, in eval mode, on the CPU.
        opset, exporter: See `to_onnx.to_onnx`.
        fold: Whether to take parts of joined tensors from before the join, see
            `fold_slices`.

    Raises:
        ArgumentError, ExportError: See `to_onnx.to_onnx` and `cut_tail.cut_tail`; or no
            device would load the graph.
    """
    progress("exporting to ONNX")
    exported = _exported(tried, opset, exporter)
    try:
        finished = _finished(tried, exported, progress, fold=fold)
        gc.collect()  # graphs of onnx-ir are cycles, which hold weights
        return finished
    except ExportError as err:
        name_scores(tried, err)
        if exporter or exported.exporter != "torchscript" or tried.others:
            raise
        failed = err
    progress("exporting to ONNX again")
    exported = _exported(tried, opset, "dynamo", failed)
    try:
        return _finished(tried, exported, progress, fold=fold)
    except ExportError as err:
        raise failed from err


def _exported(
    tried: Tried, opset: int, exporter: str | None, failed: ExportError | None = None
) -> Exported:
    how: Any = {"exporter": exporter, "failed": failed}
    if tried.trial is not None:
        apart = tried.trial.apart
        return to_onnx(apart, apart.example, opset, apart.results, **how)
    names = [name for output in _outputs(tried) for name in output.exported_as]
    sizes: Any = {"given": tried.given, "returned": tried.returned}
    network = tried.network.network
    if isinstance(network, OnnxNetwork):
        sources = tried.network.sources
        return from_file(network, tried.example, sources, opset, names, **sizes)
    return to_onnx(tried.network, tried.example, opset, names, **sizes, **how)


def _outputs(tried: Tried) -> list[ExportedOutput]:
    """All of them, in the graph's order."""
    apart = (stand_in.output for stand_in in tried.stand_ins)
    return [*tried.outputs, *apart, *tried.states]


def _finished(
    tried: Tried, exported: Exported, progress: Callable[[str], None], *, fold: bool
) -> NetworkGraphs:
    """Simplified and cut, and opened once."""
    trial, stand_ins = tried.trial, tried.stand_ins
    outputs = _outputs(tried)
    names = [name for output in outputs for name in output.exported_as]
    tensors = tried.example if trial is None else trial.apart.example

    def joined(model: onnx.ModelProto) -> onnx.ModelProto:
        if trial is None:
            return model
        keys = [*trial.keys(tried.outputs), *(s.key for s in stand_ins)]
        pairs = list(zip(keys, names, strict=True))
        return join(model, trial.pieces, list(tried.example), pairs)

    first = fold_slices(exported.model) if fold else exported.model
    progress("simplifying the graph")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    simplified, not_simplified = simplify(first, arrays)
    if tried.others:
        simplified = with_named_values(simplified, arrays, tried.others)
    first, simplified = joined(first), joined(simplified)
    moved: tuple[str, ...] = ()
    rewritten = simplified
    if trial is None:  # the names of what passes between parts would go
        rewritten, moved = convolve_before_resize(simplified)
    cut, after, places = rewritten, list(outputs), places_of(outputs)
    for index, output in enumerate(outputs):
        cut, after[index] = output.cut(cut, places[index])
    _require_bounded(cut)
    open_cpu_session(cut)
    stages = {}
    if not_simplified is not None or _is_readable(first, outputs, places):
        stages["onnx"] = first
    if not_simplified is None:
        stages["simplified"] = simplified
    if moved:
        stages["rewritten"] = rewritten
    if any(output.is_cut for output in after):
        stages["cut"] = cut
    graphs = list(stages.values())
    after = [o.followed(graphs, i) for o, i in zip(after, places, strict=True)]
    count = len(tried.outputs)
    made = tuple(after[:count])
    stand_ins = tuple(
        replace(stand_in, output=after[count + index])
        for index, stand_in in enumerate(stand_ins)
    )
    return NetworkGraphs(
        StoredGraphs(stages),
        cut,
        made,
        exported.opset,
        exported.exporter,
        simplifier="no" if not_simplified else f"onnxsim {version('onnxsim')}",
        warnings=(
            *exported.warnings,
            *([not_simplified] if not_simplified else []),
            *(note for output in after for note in output.notes()),
        ),
        notes=_about_moved(moved),
        states=tried.states,
        stand_ins=stand_ins,
        pieces=_pieces(trial, cut, made, stand_ins),
        sizes={size.dimension: size.sizes[0] for size in tried.others},
    )


def _about_moved(names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    count = plural(len(names), "convolution")
    return (f"moved {count} of 1x1 before what enlarges its input: {some(names)}",)


def _is_readable(
    graph: onnx.ModelProto, outputs: Sequence[ExportedOutput], places: Sequence[int]
) -> bool:
    """Whether a graph has the sizes that its results are made with.

    As torch exports paddings, only simplifying computes what follows them.
    """
    try:
        for output, place in zip(outputs, places, strict=True):
            output.followed([graph], place)
    except ExportError:
        return False
    return True


def _pieces(
    trial: Trial | None,
    network: onnx.ModelProto,
    outputs: Sequence[ExportedOutput],
    stand_ins: Sequence[StandIn],
) -> tuple[Piece, ...]:
    """The graphs of the network's parts, once the tails are cut off."""
    if trial is None:
        return (one_piece(network),)
    left = {name for node in network.graph.node for name in node.input}
    for piece in trial.pieces:
        gone = next((name for name in piece.reads if name not in left), None)
        if gone is not None:
            raise ArgumentError(
                f"part {piece.name} must do more with {gone} than make an output of it "
                "by enlarging or labelling, which the runtime does: do that at the end "
                "of the part before."
            )
    by_name = {output.name: output.record for output in outputs}
    tensors = {
        key: (output.record.tensor, output.record.tensor)
        for key, output in zip(trial.keys(outputs), outputs, strict=True)
    }
    for stand_in in stand_ins:
        own, wanted = stand_in.output.record, by_name[stand_in.of]
        _require_alike(network, own, wanted)
        tensors[stand_in.key] = wanted.tensor, own.tensor
    return trial.finished(tensors)


def _require_alike(network: onnx.ModelProto, own: m.Output, wanted: m.Output) -> None:
    """Refuse a stand-in after whose tensor something else is to be done."""
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in network.graph.output
    }
    same = replace(own, name=wanted.name, tensor=wanted.tensor)
    if isinstance(same, m.SegmentationOutput):
        assert isinstance(wanted, m.SegmentationOutput), "it is of the same kind"
        same = replace(same, tail=replace(same.tail, removed=wanted.tail.removed))
    if same != wanted or shapes[own.tensor] != shapes[wanted.tensor]:
        raise ArgumentError(
            f"{own.name} must end as {wanted.name} does, with the same upsampling of "
            f"{shapes[wanted.tensor]}, got {shapes[own.tensor]} at that place: let the "
            "stand-in interpolate its scores alike."
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
