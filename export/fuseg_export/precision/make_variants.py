"""All variants of one export: calibrated once, evaluated, timed, kept or refused."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import onnx

from fuseg.cli.printing import plural
from fuseg.errors import ExportError
from fuseg.manifest import Manifest, State, image_inputs

from ..frames.frame_set import Dataset, WithExamples
from ..frames.packing import Tensors
from ..frames.selection import DataSplit, ExportFrames, split
from ..graphs import NetworkGraphs
from ..network.target import Target
from ..outputs import main_first, truth_size
from ..outputs.base import Task
from ..outputs.comparison import Evaluation, over
from ..recurrent import SEQUENCE, Recurrent, along_sequences, sequence_length
from .build_variants import build_fp16, build_fp32, build_int8
from .built_variant import BuiltVariant, Functions
from .calibrate import Ranges, cached, calibrate
from .calibration_checks import CalibrationChecks
from .evaluate import NetworkFunction, evaluate, network_function
from .latency import Timer
from .mixed_precision_search import Judge
from .options import FP32, Precision
from .tensorrt_check import left_out_if_refused
from .texts_apart import TextsApart
from .verdict import FASTER, over_budget, rank, refusal, slow

__all__ = ["Variants", "make_variants"]

_SHOWN = 4  # frames in a report without variants and without truth


@dataclass(frozen=True)
class Variants:
    """What was made of a network.

    Attributes:
        built: The kept ones first, of these the one to prefer on this CPU.
        functions: Each variant as a function of its tensors, by name.
        split: The frames that they were calibrated and evaluated on.
        worth_showing: By number of a held-out frame, the variants that label it most
            differently from fp32; or none, where fp32 differs most from the truth.
        warnings: What the user should know of the frames, a sentence each.
        left_out: Of the variants that were asked for, why they are missing, a sentence
            each.
        notes: How long the sequences were of a network with states.
    """

    built: tuple[BuiltVariant, ...]
    functions: Mapping[str, NetworkFunction]
    split: DataSplit
    worth_showing: Mapping[int, Sequence[str]]
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def make_variants(
    precision: Precision,
    target: Target,
    manifest: Manifest,
    graphs: NetworkGraphs,
    frames: ExportFrames,
    progress: Callable[[str], None],
) -> Variants:
    """Make, evaluate and time the variants of a float32 network.

    Args:
        precision: Which variants, and what they may lose.
        manifest: Of the bundle as it is so far.
        graphs: The network's. Without int8-trt8 if its opset is above 17.
        frames: To calibrate and to evaluate on.

    Raises:
        ExportError: The network cannot be calibrated.
        ArgumentError, InputFileError: The frames are not as they must be.
    """
    network, states = graphs.network, manifest.states
    compared = main_first(graphs.compared)
    tasks = {output.name: output.task(mapped=frames.mapped) for output in compared}
    apart = TextsApart(network, graphs.pieces, [text.tensor for text in manifest.texts])
    if precision.kinds == FP32.kinds:
        return _fp32_alone(tasks, target, manifest, graphs, apart, frames, progress)
    data = split(
        target,
        image_inputs(manifest.sensors),
        truth_size(graphs.outputs),
        calibration=frames.calibration,
        frames=frames.frames,
    )
    progress(f"calibrating on {len(data.calibration)} frames")
    checks = CalibrationChecks(image_inputs(manifest.sensors))
    ranges = _ranges(network, states, data, checks, precision)
    built, failed = [build_fp32(network)], dict[str, str]()
    if "fp16" in precision.kinds:
        with _noted(failed, "fp16"):
            built.append(build_fp16(network, ranges))
    timer = Timer(graphs, apart.piece, manifest)
    if "int8" in precision.kinds:
        without = [variant.model for variant in built]
        with _noted(failed, "int8"):
            built += build_int8(
                network,
                apart,
                ranges,
                _judge(precision, data, tasks, states, graphs, apart),
                speed=lambda model: timer.share(model, without),
                progress=progress,
            )
    progress(f"evaluating {len(built) - 1} variants on {len(data.held_out)} frames")
    variants = dict(Functions(built, apart, states))
    full = variants.pop("fp32")
    found = evaluate(data.held_out_frames(), full, variants, tasks, graphs.scored)
    del full, variants  # and the sessions that they are
    gc.collect()
    progress("timing the variants")
    made = [_with_results(variant, found) for variant in built]
    timed = _timed(made, timer)
    fp32 = timed[0]
    final = [replace(v, refused=refusal(v, fp32, precision)) for v in timed]
    left_out = (*_failures(failed), *over_budget(final, precision.budget))
    final = [left_out_if_refused(variant) for variant in final]
    scored = next(iter(found.values())).fp32
    frames.require_scored(scored)
    return Variants(
        built=tuple(sorted(final, key=lambda variant: rank(variant, fp32))),
        functions=Functions(built, apart, states),
        split=data,
        worth_showing=_worst(found),
        warnings=(
            *data.warnings,
            *checks.warnings(),
            *(scored.warnings if scored is not None else ()),
            *(_short_sequences(data) if states else ()),
            *slow(final, fp32),
            *(_failures(failed) if precision.auto else ()),
        ),
        notes=_sequences(data) if states else (),
        left_out=() if precision.auto else left_out,
    )


def _fp32_alone(
    tasks: Mapping[str, Task],
    target: Target,
    manifest: Manifest,
    graphs: NetworkGraphs,
    apart: TextsApart,
    frames: ExportFrames,
    progress: Callable[[str], None],
) -> Variants:
    """Score the float32 network, where the truth is known.

    Scored are the user's frames if their truth is known, else those that the stages
    were compared on, if they have one.
    """
    fp32 = build_fp32(graphs.network)
    dataset: Dataset = frames.compared
    if frames.has_truth and frames.frames is not None:
        dataset = WithExamples(frames.frames, target.others)
    data = DataSplit(
        image_inputs(manifest.sensors), truth_size(graphs.outputs), dataset, dataset
    )
    function = fp32.function(apart, manifest.states)
    worst: Sequence[int] = range(min(len(dataset), _SHOWN))
    if dataset[0].truth is not None:
        progress(f"scoring fp32 on {len(dataset)} frames")
        found = evaluate(data.held_out_frames(), function, {}, tasks, graphs.scored)
        worst = next(iter(found.values())).worst_frames
        fp32 = _with_results(fp32, found)
    frames.require_scored(fp32.score)
    return Variants(
        built=(fp32,),
        functions={fp32.name: function},
        split=data,
        worth_showing=dict.fromkeys(worst, ()),
        warnings=() if fp32.score is None else fp32.score.warnings,
    )


def _ranges(
    network: onnx.ModelProto,
    states: Sequence[State],
    data: DataSplit,
    checks: CalibrationChecks,
    precision: Precision,
) -> Ranges:
    fp32 = network_function(network, states)
    length = sequence_length(len(data.calibration))

    def frames() -> Iterable[Tensors]:
        tensors = data.calibration_tensors(checks)
        if isinstance(fp32, Recurrent):
            return along_sequences(tensors, length, fp32)
        return tensors

    if precision.cache is None:
        return calibrate(network, frames(), method=precision.method)
    return cached(precision.cache, network, frames, method=precision.method)


def _judge(
    precision: Precision,
    data: DataSplit,
    tasks: Mapping[str, Task],
    states: Sequence[State],
    graphs: NetworkGraphs,
    apart: TextsApart,
) -> Judge:
    """Who decides which layers stay in float: the frames of the calibration."""

    def proves(model: onnx.ModelProto) -> bool:
        fp32, own = (network_function(m, states) for m in (apart.rest, model))
        frames = apart.frames(data.held_out_frames())
        found = evaluate(frames, fp32, {"": own}, tasks, graphs.scored)
        compared = {name: one.comparisons[""] for name, one in found.items()}
        return over(compared, precision.budget) is None

    return Judge(
        tasks,
        data.calibration_frames(),
        data.ranking_frames(along=bool(states)),
        precision.budget,
        states=states,
        scored=graphs.scored,
        proves=proves if data.only_held_out_has_truth else None,
        slowest=FASTER if precision.auto else 1.0,
    )


def _sequences(data: DataSplit) -> tuple[str, ...]:
    count = len(data.calibration)
    length = sequence_length(count)
    starts = plural(math.ceil(count / length), "sequence")
    sentence = (
        f"calibrated along {starts} of up to {length} frames, evaluated along one of "
        f"{len(data.held_out)}, with each variant's own states"
    )
    return (sentence,)


def _short_sequences(data: DataSplit) -> Iterator[str]:
    count = len(data.calibration)
    if count < SEQUENCE:
        yield (
            f"--calibration: {count} in a row show little of what a state holds: give "
            f"{SEQUENCE} or more"
        )


def _with_results(
    variant: BuiltVariant, found: Mapping[str, Evaluation]
) -> BuiltVariant:
    main = next(iter(found.values()))
    scores = {"fp32": main.fp32, **main.scores}
    return replace(
        variant,
        frames=main.frames,
        score=scores.get(variant.name),
        comparisons={
            name: evaluation.comparisons[variant.name]
            for name, evaluation in found.items()
            if variant.name in evaluation.comparisons
        },
    )


def _worst(found: Mapping[str, Evaluation]) -> dict[int, tuple[str, ...]]:
    worst: dict[int, tuple[str, ...]] = {}
    for name, comparison in next(iter(found.values())).comparisons.items():
        for number in comparison.worst_frames:
            worst[number] = (*worst.get(number, ()), name)
    return worst


def _timed(built: Sequence[BuiltVariant], timer: Timer) -> list[BuiltVariant]:
    on_a_cpu = [v for v in built if {"any", "cpu"} & set(v.targets)]
    found = zip(on_a_cpu, timer([v.model for v in on_a_cpu]), strict=True)
    times = {v.name: ms for v, ms in found}
    return [replace(v, times=times.get(v.name, {})) for v in built]


@contextmanager
def _noted(failed: dict[str, str], kind: str) -> Iterator[None]:
    """One kind that cannot be made does not cost the others."""
    try:
        yield
    except ExportError as err:
        failed[kind] = str(err)


def _failures(failed: Mapping[str, str]) -> Iterator[str]:
    for kind, why in failed.items():
        yield f"{kind} is left out: {why}"
