"""A trained network becomes a verified bundle: the whole road, in reading order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from fuseg import Segmenter, bundle, load
from fuseg.manifest import Manifest
from fuseg.robustness import measure, without_hold

from .bundle_draft import BundleDraft
from .dimensions import at_example
from .frames.frame_set import FrameSet
from .frames.packing import PackedFrame
from .frames.selection import FrameOptions, collect_frames
from .graphs import NetworkGraphs, export_graphs
from .network.example import Tried, try_network
from .network.target import NetworkOptions, resolve
from .network.weights import load_weights
from .outputs import main_first, truth_size
from .outputs.base import StageResult
from .outputs.segmentation import Segmentation
from .parts.runtime import WithoutSensors
from .parts.trial import StandIn
from .passes.cut_tail import CutTail
from .passes.split import Cut, about, find_cuts, with_encoder
from .passes.tidy import count_nodes
from .precision.built_variant import BuiltVariant
from .precision.int8.tensorrt_rules import refused_by_tensorrt
from .precision.make_variants import make_variants
from .precision.options import FP32, Precision
from .precision.tensorrt_check import check_variants, is_to_check
from .recurrent import Recurrent
from .reference import at_size
from .report.pictures import DrawnFrame, draw
from .robustness import frames_of_card
from .stage_programs import Program, onnx_program, together, torch_program
from .verify import compare
from .write_bundle import (
    first_results,
    require_distinct,
    require_writable,
    usable_results,
    write_bundle,
)

__all__ = ["ExportReport", "Stage", "export_bundle"]

SAMPLES = 2  # frame sets that travel in the bundle


_Opened = Callable[[Mapping[str, Any]], Segmenter]


@dataclass(frozen=True)
class Stage:
    """One form of the network, and how it compares with the one before.

    ``nodes`` and ``bytes`` are of its graph; of the runtime the finished bundle's.
    """

    nodes: int
    bytes: int
    result: StageResult


@dataclass(frozen=True)
class ExportReport:
    """What an export made.

    Attributes:
        bundle: The file.
        digest: Its sha256, in hex.
        bytes: Its size.
        stages: In the order they were made.
        tail: What was cut off the first segmentation; None if there is none.
        opset: Of the ONNX in the bundle.
        exporter: "torchscript" or "dynamo"; "file" for an ONNX file.
        notes: What was adapted or chosen without being asked, a sentence each.
        warnings: What the user should know before relying on it, a sentence each.
        variants: fp32, what was made of it in other precisions, what was refused.
        drawn: Frames for a report.
        manifest: The bundle's.
        left_out: Of the variants that were asked for by name, why they are not in the
            bundle, a sentence each; also among the warnings.
    """

    bundle: Path
    digest: str
    bytes: int
    stages: tuple[Stage, ...]
    tail: CutTail | None
    opset: int
    exporter: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    variants: tuple[BuiltVariant, ...]
    drawn: tuple[DrawnFrame, ...]
    manifest: Manifest
    left_out: tuple[str, ...] = ()


def export_bundle(
    options: NetworkOptions,
    out: Path,
    *,
    frames: FrameOptions = FrameOptions(),  # noqa: B008 - it is frozen
    precision: Precision = FP32,
    check_tensorrt: bool | None = None,
    robustness: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ExportReport:
    """Make a bundle from a trained network and prove that it labels alike.

    Each form of the network is compared with the one before on frame sets, the
    finished bundle, run by fuseg, with the torch network or the ONNX file. Nothing is
    written unless all agree. The same checkpoint, tools and CPU give the same bytes.

    Args:
        options: The network and its weights.
        out: The file to make or to replace.
        frames: To verify and evaluate on. Stages are compared on the first 16.
        precision: Which variants to make, calibrated on what, and what they may lose.
        check_tensorrt: Build the variants with NVIDIA's builder, which needs no GPU.
            None: where it is installed.
        robustness: How many frames with true labels the robustness card is measured
            on, none for 0. None: 8, where true labels are known.
        progress: Called with what is about to be done.

    Raises:
        FusegError: In one sentence, what is wrong; see `fuseg.errors`. What was at
            ``out`` before is still there.
    """
    require_writable(out)
    read = {"--checkpoint": options.checkpoint, "the target": Path(options.target)}
    require_distinct({"--out": out}, read)
    to_check = is_to_check(check_tensorrt)  # before anything takes long
    with _one_thread():
        progress("loading the network and its weights")
        target = resolve(options)
        loaded = load_weights(target, options)

        progress("taking frames to verify on")
        chosen = collect_frames(target, frames, precision.calibration)
        tried = try_network(target, chosen.compared[0])
        split = options.split or target.split
        graphs = export_graphs(
            tried, options.opset, progress, fold=bool(split), exporter=options.exporter
        )
        cuts = _cuts(graphs, tried, split)
        for cut in cuts:
            graphs = replace(graphs, pieces=with_encoder(graphs.pieces, cut))

        adapted = (*target.adapted, *loaded.notes, *tried.notes)
        draft = BundleDraft(
            target,
            graphs,
            checkpoint_sha256=loaded.sha256,
            adapted=adapted,
            paths=tried.paths,
        )
        chosen = chosen.with_truth(draft.manifest)
        progress(f"comparing every stage on {len(chosen.compared)} frames")
        results = _compare(
            _as_run(draft, graphs, chosen.compared), draft, tried, graphs
        )
        draft.add_verification(results)
        with _opened(draft, graphs.stand_ins) as (segmenter, _, opened):
            texts = {t.name: t.defaults for t in draft.manifest.texts}
            for frame in chosen.compared[:SAMPLES]:
                given = {**frame.given, **texts}
                draft.add_sample(given, first_results(segmenter, given))
            labelled = frames_of_card(draft.manifest, target, chosen, robustness)
            if labelled:
                progress(f"measuring robustness on {len(labelled)} frames")
                gone = opened(without_hold(draft.manifest))
                draft.add_robustness(measure(gone, labelled))
        if frames.frames or target.is_reference:  # else not this network's sensors
            draft.add_statistics([frame.arrays for frame in chosen.compared])

        variants = make_variants(
            precision,
            target,
            draft.manifest,
            graphs,
            chosen,
            progress,
        )
        refused = refused_by_tensorrt(graphs.network)
        draft.add_tensorrt_rules(refused)
        drawn = draw(variants, draft.manifest)
        variants = replace(variants, functions={})  # which hold their weights
        built = variants.built
        if to_check:
            built = check_variants(built, draft.manifest, progress)
        draft.add_variants([v for v in built if v.refused is None])
        progress(f"writing {out}")
        digest, trust_warnings = write_bundle(draft, out)

    size = out.stat().st_size
    sizes = {s: (count_nodes(g), g.ByteSize()) for s, g in graphs.stages.items()}
    sizes["runtime"] = count_nodes(graphs.network), size
    main = main_first(graphs.outputs)[0]
    return ExportReport(
        bundle=out,
        digest=digest,
        bytes=size,
        stages=tuple(Stage(*sizes[r.stage], r) for r in results),
        tail=main.tail if isinstance(main, Segmentation) else None,
        opset=graphs.opset,
        exporter=graphs.exporter,
        notes=(
            *adapted,
            *graphs.notes,
            *map(about, cuts),
            *target.notes,
            *chosen.notes,
            *variants.notes,
        ),
        warnings=(
            *variants.left_out,
            *graphs.warnings,
            *refused,
            *chosen.warnings,
            *variants.warnings,
            *trust_warnings,
        ),
        variants=built,
        drawn=drawn,
        manifest=draft.manifest,
        left_out=variants.left_out,
    )


def _cuts(
    graphs: NetworkGraphs,
    tried: Tried,
    inputs: Sequence[str],
) -> list[Cut]:
    """Where the network is cut for these inputs; see `find_cuts`."""
    network = graphs.network
    if inputs and tried.others:
        example = {name: tensor.numpy() for name, tensor in tried.example.items()}
        network = at_example(network, example)
    return find_cuts(network, graphs.pieces, inputs, list(tried.given))


@contextmanager
def _opened(
    draft: BundleDraft, stand_ins: Sequence[StandIn]
) -> Iterator[tuple[Segmenter, list[WithoutSensors], _Opened]]:
    """The draft as fuseg itself runs it, as it runs without sensors, and with other
    policies."""
    with tempfile.TemporaryDirectory(prefix="fuseg-") as folder:
        path = Path(folder, "draft.fuseg")
        digest = bundle.write(path, draft.manifest, draft.members)

        def opened(missing: Mapping[str, Any]) -> Segmenter:
            return load(
                path, backend="onnxruntime", threads=1, trust=digest, missing=missing
            )

        found = opened({})
        others = [WithoutSensors(s, draft.manifest, opened) for s in stand_ins]
        with found:
            yield found, others, opened


def _as_run(
    draft: BundleDraft, graphs: NetworkGraphs, frames: Sequence[FrameSet]
) -> list[tuple[PackedFrame, dict[str, NDArray[Any]]]]:
    """See `_packed`; the runtime is closed before the stages are opened."""
    with _opened(draft, graphs.stand_ins) as (segmenter, others, _):
        return list(_packed(segmenter, others, frames, truth_size(graphs.outputs)))


def _compare(
    frames: Sequence[tuple[PackedFrame, dict[str, NDArray[Any]]]],
    draft: BundleDraft,
    tried: Tried,
    graphs: NetworkGraphs,
) -> list[StageResult]:
    def carrying(program: Program) -> Program:
        states = draft.manifest.states
        shapes = {state.tensor: tried.example[state.tensor].shape for state in states}
        return Recurrent(program, states, shapes, lambda p: p.tensor)

    outputs, names = graphs.compared, list(tried.example)
    own = [*graphs.outputs, *graphs.states]
    programs = {
        "file" if graphs.exporter == "file" else "torch": together(
            torch_program(tried.network, names, own),
            *(torch_program(s.network, names, [s.output]) for s in graphs.stand_ins),
        )
    }
    for stage in graphs.stages:  # which are read one by one
        folder = graphs.stages.folder(stage)
        programs[stage] = onnx_program(graphs.stages.light(stage), outputs, folder)
    return compare(
        frames,
        {stage: carrying(program) for stage, program in programs.items()},
        outputs,
        graphs.scored,
    )


def _packed(
    segmenter: Segmenter,
    others: Sequence[WithoutSensors],
    frames: Sequence[FrameSet],
    size: tuple[int, int] | None,
) -> Iterator[tuple[PackedFrame, dict[str, NDArray[Any]]]]:
    """Frames as the runtime packs them, and its results of the network's own size."""
    for frame in frames:
        truth = frame.truth
        if truth is not None:
            truth = None if size is None else at_size(truth, size)
        first = next(iter(frame.arrays.values()), None)
        camera = None if first is None else (first.shape[0], first.shape[1])
        tensors = segmenter.preprocess(**frame.given)
        packed = PackedFrame(tensors, truth, camera)
        results = usable_results(segmenter, frame.given, size)
        for other in others:
            results |= other(frame.given, size)
        yield packed, results


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch on one thread: sums in one order, so that numbers can be repeated."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
