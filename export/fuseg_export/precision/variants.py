"""All variants of one export: one calibration; each judged, timed, kept or refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from fuseg.dataset import metrics
from fuseg.errors import ArgumentError, ExportError
from fuseg.manifest import Manifest

from ..frames.selection import Data, Given, choose
from ..network.target import Target
from ..passes.cut_tail import Tail
from ..passes.float_weights import with_float_weights
from ..passes.to_fp16 import to_fp16
from ..report.pictures import Shown, show
from .calibrate import Ranges, cached, calibrate
from .calibration_checks import Watch
from .evaluate import Budget, Case, Scores, Verdict, judge, scores_of
from .fp16_overflow import overflow_risks
from .fp16_simulation import simulate
from .latency import median_ms
from .mixed_precision_search import Repair, repair
from .ort_fusion_check import left_in_float
from .qdq_placement import CPU, TENSORRT, QdqScheme
from .quantize import quantizable, quantize
from .tensorrt_rules import check_for_tensorrt

__all__ = [
    "FP32",
    "KINDS",
    "Made",
    "Precision",
    "Variants",
    "float32",
    "make_variants",
    "parse_kinds",
]

KINDS = ("fp32", "fp16", "int8")
_OPSET_OF_TENSORRT_8 = 17
_FASTER = 0.95  # of fp32's time: what INT8 must reach to be worth its labels


@dataclass(frozen=True)
class Precision:
    """Which variants to make beside fp32, and what they may lose.

    Attributes:
        kinds: Of `KINDS`, fp32 among them.
        auto: Whether a variant that is over the budget or not faster is left out; if
            not, it is an error, since it was asked for.
        calibration: Frames whose ranges are taken, sources by input name.
        method: See `calibrate.calibrate`.
        cache: See `calibrate.cached`; None: nothing is kept.
        budget: Against fp32.
    """

    kinds: tuple[str, ...] = ("fp32",)
    auto: bool = False
    calibration: Mapping[str, str] | None = None
    method: str = "minmax"
    cache: Path | None = None
    budget: Budget = field(default_factory=Budget)


FP32 = Precision()


@dataclass(frozen=True)
class Made:
    """One variant, and what is known of it.

    Attributes:
        name, targets, precision: As the manifest has them.
        model: The graph, float32 at its ends.
        frames: How many it was judged on; 0 if it was not.
        score: On their true labels; None if those are not known.
        verdict: Beside fp32 on the same frames; None for fp32 itself.
        repair: What had to stay in float, and what it was without that.
        times: Median milliseconds of one run, one thread, by backend.
        in_float: Quantized layers that ONNX Runtime computes in float nevertheless; of
            int8-cpu, which is made for it.
        refused: Why it is left out; None if it goes into the bundle.
    """

    name: str
    targets: tuple[str, ...]
    precision: dict[str, str]
    model: onnx.ModelProto
    frames: int = 0
    score: metrics.Score | None = None
    verdict: Verdict | None = None
    repair: Repair | None = None
    times: dict[str, float] = field(default_factory=dict)
    in_float: tuple[str, ...] = ()
    refused: str | None = None

    @property
    def fastest(self) -> tuple[str, float] | None:
        """The backend that runs it fastest, and its time."""
        return min(self.times.items(), key=lambda item: item[1], default=None)


def float32(network: onnx.ModelProto) -> Made:
    """The variant that the others are judged by."""
    return Made("fp32", ("any",), {"kind": "fp32"}, network)


def parse_kinds(words: str) -> tuple[tuple[str, ...], bool]:
    """Read ``--precision``: kinds joined by commas, or ``auto``, which is all of them.

    Returns:
        The kinds, fp32 first, and whether it was ``auto``.

    Raises:
        ArgumentError: A word is none of them.
    """
    if words == "auto":
        return KINDS, True
    kinds = tuple(dict.fromkeys(["fp32", *words.split(",")]))
    if not set(kinds) <= set(KINDS):
        raise ArgumentError(
            f"--precision must be auto, or of {', '.join(KINDS)} joined by commas, "
            f"got {words!r}."
        )
    return kinds, False


@dataclass(frozen=True)
class Variants:
    """What was made of a network.

    Attributes:
        made: The kept ones first, of these the one to prefer on this CPU.
        shown: Frames for a report: where the variants differ most from fp32, or fp32
            from the truth.
        warnings: What the user should know of the frames, a sentence each.
    """

    made: tuple[Made, ...]
    shown: tuple[Shown, ...]
    warnings: tuple[str, ...]


def make_variants(
    asked: Precision,
    target: Target,
    manifest: Manifest,
    network: onnx.ModelProto,
    tail: Tail,
    given: Given,
    progress: Callable[[str], None],
) -> Variants:
    """Make, repair, judge and time the variants of a float32 network.

    Args:
        manifest: Of the bundle as it is so far.
        network: ``tail`` cut off. Without int8-trt8 if its opset is above 17.
        given: The frames to calibrate and to judge on.

    Raises:
        ExportError: A variant that was asked for by name is over its budget though it
            was repaired.
        ArgumentError, InputFileError: The frames are not as they must be.
    """
    full = float32(network)
    (output,) = manifest.outputs
    data = choose(
        target,
        manifest.inputs,
        tail.size,
        calibration=given.calibration,
        frames=given.frames,
    )
    classes = tuple(c.name for c in output.classes)
    progress(f"calibrating on {len(data.calibration)} frames")
    watch = Watch(manifest.inputs)
    if asked.cache is None:
        ranges = calibrate(network, data.calibrating(watch), method=asked.method)
    else:
        read = data.calibrating
        ranges = cached(asked.cache, network, lambda: read(watch), method=asked.method)
    work = _Work(
        network,
        tail,
        data,
        ranges,
        asked.budget,
        classes,
        output.ignore,
        given.mapped,
    )
    made = [full]
    if "fp16" in asked.kinds:
        made.append(work.fp16())
    if "int8" in asked.kinds:
        made += work.int8(progress)
    progress(f"judging {len(made) - 1} variants on {len(data.held_out)} frames")
    programs = {m.name: _program(m) for m in made}
    made, score, worst = work.judged(made, programs)
    progress("timing the variants")
    made = _timed(made)
    made = [replace(m, refused=_refused(m, made[0], asked)) for m in made]
    for variant in made:
        if variant.refused is not None and not asked.auto:
            raise ExportError(
                f"variant {variant.name} is not good enough to be shipped: "
                f"{variant.refused}. Give other calibration frames or another method, "
                "raise --max-miou-drop, or let --precision auto leave it out."
            )
    given.require_scored(score)
    shown = show(data.frame, worst, programs, tail, manifest)
    return Variants(
        made=tuple(sorted(made, key=lambda m: _rank(m, made[0]))),
        shown=shown,
        warnings=(
            *data.doubts,
            *watch.doubts(),
            *(score.warnings if score is not None else ()),
        ),
    )


@dataclass(frozen=True)
class _Work:
    network: onnx.ModelProto
    tail: Tail
    data: Data
    ranges: Ranges
    budget: Budget
    classes: tuple[str, ...]
    ignore: int
    mapped: bool

    def fp16(self) -> Made:
        keep = overflow_risks(self.ranges.of, self.network)
        precision = {"kind": "fp16", "float32_nodes": str(len(keep))}
        return Made("fp16", ("any",), precision, to_fp16(self.network, keep))

    def int8(self, progress: Callable[[str], None]) -> list[Made]:
        cases = self.data.repairing()
        for_cpu = self._repaired(CPU, cases, progress)
        for_gpu = self._repaired(TENSORRT, cases, progress)
        whole = self._quantized(TENSORRT, for_gpu.kept)
        risks = overflow_risks(self.ranges.of, self.network)
        half, full = to_fp16(whole, risks), with_float_weights(whole)
        _require_rules(check_for_tensorrt(half, version="10.3", keep=risks))
        old = self.network.opset_import[0].version <= _OPSET_OF_TENSORRT_8
        if old:
            _require_rules(check_for_tensorrt(full, version="8.6"))
        made = (
            ("int8-cpu", "cpu", self._quantized(CPU, for_cpu.kept), "float32"),
            ("int8-trt", "tensorrt", half, "float16"),
            ("int8-trt8", "tensorrt-8", full, "float32"),
        )
        return [
            Made(
                name,
                (runtime,),
                {
                    "kind": "int8",
                    "activations": "uint8" if name == "int8-cpu" else "int8",
                    "rest": rest,
                    "calibration": self.ranges.method,
                    "frames": str(self.ranges.frames),
                    "float_nodes": str(len(repaired.kept)),
                },
                model,
                repair=repaired,
                in_float=tuple(left_in_float(model)) if name == "int8-cpu" else (),
            )
            for (name, runtime, model, rest), repaired in zip(
                made, (for_cpu, for_gpu, for_gpu), strict=True
            )
            if old or name != "int8-trt8"
        ]

    def judged(
        self, made: Sequence[Made], programs: Mapping[str, Scores]
    ) -> tuple[list[Made], metrics.Score | None, dict[int, tuple[str, ...]]]:
        """The same on the held-out frames, the first one's score, and by frame which
        variants label it so differently that it is worth a picture."""
        full, *rest = made
        found = judge(
            self.data.judging(),
            programs[full.name],
            {m.name: programs[m.name] for m in rest},
            self.tail,
            classes=self.classes,
            ignore=self.ignore,
            mapped=self.mapped,
        )
        worst: dict[int, tuple[str, ...]] = {}
        for variant in rest:
            for number in found.verdicts[variant.name].worst_frames:
                worst[number] = (*worst.get(number, ()), variant.name)
        scores = {**found.scores, full.name: found.full}
        judged = [
            replace(
                m,
                frames=found.frames,
                score=scores.get(m.name),
                verdict=found.verdicts.get(m.name),
            )
            for m in made
        ]
        return judged, found.full, worst

    def _repaired(
        self,
        scheme: QdqScheme,
        cases: Sequence[Case],
        progress: Callable[[str], None],
    ) -> Repair:
        return repair(
            self.network,
            quantizable(self.network, scheme),
            lambda keep: self._quantized(scheme, keep),
            scores_of,
            self.tail,
            cases,
            budget=self.budget.halved(),
            classes=self.classes,
            ignore=self.ignore,
            progress=progress,
        )

    def _quantized(self, scheme: QdqScheme, keep: Collection[str]) -> onnx.ModelProto:
        return quantize(self.network, self.ranges, scheme, keep)


def _require_rules(broken: Sequence[str]) -> None:
    """Refuse a variant that TensorRT would refuse, or run slowly."""
    if broken:
        raise ExportError(
            f"the INT8 network breaks {len(broken)} of TensorRT's rules; the first: "
            f"{broken[0]}"
        )


def _program(made: Made) -> Scores:
    """ONNX Runtime computes float16 in float32, so that has to be simulated."""
    half = "fp16" in made.precision.values() or "float16" in made.precision.values()
    return simulate(made.model) if half else scores_of(made.model)


def _timed(made: Sequence[Made]) -> list[Made]:
    on_a_cpu = [m for m in made if {"any", "cpu"} & set(m.targets)]
    found = zip(on_a_cpu, median_ms([m.model for m in on_a_cpu]), strict=True)
    times = {m.name: ms for m, ms in found}
    return [replace(m, times=times.get(m.name, {})) for m in made]


def _refused(variant: Made, full: Made, asked: Precision) -> str | None:
    over = None if variant.verdict is None else variant.verdict.over(asked.budget)
    if over is not None or not asked.auto or variant.name != "int8-cpu":
        return over
    if _faster(variant, full):
        return None
    spelled = " against ".join(
        f"{ms:.2f} ms of {m.name} ({backend})"
        for m in (variant, full)
        for backend, ms in [m.fastest or ("no backend", 0.0)]
    )
    return f"it is not faster here: {spelled}"


def _faster(variant: Made, full: Made) -> bool:
    if variant.fastest is None or full.fastest is None:
        return False
    return variant.fastest[1] < full.fastest[1] * _FASTER


def _rank(variant: Made, full: Made) -> int:
    """Kept before refused; INT8 before fp32 only where it is faster."""
    if variant.refused is not None:
        return 3
    if variant.name == "fp32":
        return 1
    return 0 if variant.name == "int8-cpu" and _faster(variant, full) else 2
