"""``fuseg verify``: does the bundle give the right labels on this machine?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..bundle import Bundle
from ..bundle.signing import require_trusted
from ..dataset import metrics
from ..dataset.label_ids import TruthReader
from ..errors import ArgumentError, BackendError
from ..manifest import Robustness
from ..manifest.schema import dump
from ..robustness import measure, require_few
from ..segmenter import Segmenter
from ..selection.load_options import LoadOptions
from .frame_reader import (
    FrameReader,
    assignments,
    hertz,
    match_files,
    nothing_matches,
    one_by_one,
    policies,
    report_unmatched,
    require_names,
    set_texts,
    unmatched_json,
)
from .labelled_frames import TRUTH, LabelledFrames, labels_of
from .options import (
    BackendOption,
    BundleArgument,
    ChannelsOption,
    DeviceOption,
    InputOption,
    JsonOption,
    MatchOption,
    MissingOption,
    NoSpinningOption,
    PlaneOption,
    RateOption,
    ReferenceOption,
    SlopOption,
    TextOption,
    ThreadsOption,
    TrustOption,
    TruthMapOption,
    UnitOption,
    VariantOption,
    require_device,
)
from .printing import plural, print_json, print_table, report, say, warn
from .replay_samples import FP32_AGREEMENT, LABEL_AGREEMENT, ReplayedSample, replay
from .robustness_table import show_robustness


def verify(
    bundle: BundleArgument,
    input: InputOption = None,
    truth: Annotated[
        str | None,
        typer.Option(
            help="The true labels, at the camera's size: a file, folder or pattern of "
            "gray or palette PNGs, like the inputs."
        ),
    ] = None,
    truth_map: TruthMapOption = None,
    unit: UnitOption = None,
    channels: ChannelsOption = None,
    missing: MissingOption = None,
    plane: PlaneOption = None,
    rate: RateOption = None,
    text: TextOption = None,
    match: MatchOption = "name",
    slop: SlopOption = None,
    reference: ReferenceOption = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of equal labels that each sample must reach.",
            show_default=f"{FP32_AGREEMENT} for fp32, {LABEL_AGREEMENT} for others",
        ),
    ] = None,
    min_miou: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="mIoU that must be reached."),
    ] = None,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also score every set of sensors, the others being gone, and frames "
            "with lost pixels and noise.",
        ),
    ] = False,
    threads: ThreadsOption = None,
    no_spinning: NoSpinningOption = False,
    backend: BackendOption = "auto",
    variant: VariantOption = None,
    device: DeviceOption = 0,
    trust: TrustOption = None,
    json: JsonOption = False,
) -> None:
    """Replay the bundle's samples; score it on frames with true labels.

    Samples are replayed with every variant meant for the backend, unless one is named.
    True labels are compared with the variant that fuseg.load would pick. Exits with 1
    if a sample agrees too little, or the mIoU is too low.
    """
    sources = assignments("--input", input)
    if bool(sources) != (truth is not None):
        raise ArgumentError(
            "--input and --truth must be given together: frames and their true labels."
        )
    of_frames = {
        "--min-miou": min_miou,
        "--truth-map": truth_map,
        "--unit": unit,
        "--channels": channels,
        "--missing": missing,
        "--plane": plane,
        "--rate": rate,
        "--text": text,
        "--match": None if match == "name" else match,
        "--slop": slop,
        "--reference": reference,
        "--robustness": robustness or None,
    }
    for option, value in of_frames.items():
        if truth is None and value not in (None, []):
            raise ArgumentError(f"{option} needs frames to score: --input and --truth.")
    require_device(backend, device)
    opened = Bundle.open(bundle)
    if trust is not None:
        require_trusted(opened, trust)
    if truth is not None:
        output = labels_of(opened)
        classes = opened.manifest.classes_of(output)
        read_truth = TruthReader(classes, output.ignore, truth_map)
    if robustness:
        require_few(opened.manifest, "--robustness")
    samples = replay(
        opened,
        backend,
        variant,
        threads,
        not no_spinning,
        device,
        min_agreement,
        trusted=trust is not None,
    )
    score = scores = segmenter = card = None
    refusals = []
    unscored = "no frame has a labelled pixel."
    if truth is not None:
        orders = assignments("--channels", channels)
        units = assignments("--unit", unit)
        try:
            options = LoadOptions(
                backend=backend,
                variant=variant,
                threads=threads,
                allow_spinning=not no_spinning,
                device=device,
                units=units,
                channels=orders,
                rates=hertz(rate),
                missing=one_by_one(opened.manifest, missing),
                hold=bool(opened.manifest.states),
                trust=trust,
            )
            segmenter = Segmenter(opened, options)
        except BackendError as err:  # the samples say why, and they are shown
            refusals.append(f"nothing is scored, as loading is refused: {err}")
    if truth is not None and segmenter is not None:
        require_names(segmenter.manifest, sources)
        matched = match_files(
            {**sources, TRUTH: truth}, match, slop, reference, policies(missing)
        )
        report_unmatched(matched)
        if not matched.frames:
            unscored = nothing_matches(matched)
        planes = assignments("--plane", plane)
        reader = FrameReader(opened.manifest, orders, planes, hertz(rate))
        set_texts(segmenter, text)
        frames = LabelledFrames(matched, reader, read_truth)
        score = frames.score(segmenter)
        if robustness and score.miou is not None:
            card = measure(
                segmenter, frames.for_robustness(), units=units, channels=orders
            )
        scores = {"frames": len(matched.frames), **asdict(score)}
        scores["unmatched"] = unmatched_json(matched)

    failures = _failures(samples, scores, min_miou, unscored) + refusals
    if json:
        print_json(
            {
                "bundle": str(bundle),
                "digest": opened.digest,
                "passed": not failures,
                "failures": failures,
                "min_agreement": min_agreement,
                "min_miou": min_miou,
                "samples": [asdict(sample) for sample in samples],
                "truth": scores,
                "robustness": None if card is None else dump(card),
            }
        )
    else:
        _show(samples, score, 0 if scores is None else scores["frames"], card)
    if score is not None:
        for sentence in score.warnings:
            warn(sentence)
    for failure in failures:
        report("failed", failure)
    if failures:
        raise typer.Exit(1)


def _failures(
    samples: list[ReplayedSample],
    scores: dict[str, Any] | None,
    min_miou: float | None,
    unscored: str,
) -> list[str]:
    failures = [
        f"{sample.words}, at least {sample.min_agreement} must."
        for sample in samples
        if sample.agreement < sample.min_agreement
    ]
    if not samples and scores is None:
        failures.append(
            "nothing to verify: the bundle holds no samples; give --input and --truth."
        )
    if scores is not None:
        if scores["miou"] is None:
            failures.append(f"nothing to score: {unscored}")
        elif min_miou is not None and scores["miou"] < min_miou:
            failures.append(
                f"mIoU is {scores['miou']:.4f}, it must be at least {min_miou}."
            )
    return failures


def _show(
    samples: list[ReplayedSample],
    score: metrics.Score | None,
    frames: int,
    card: Robustness | None,
) -> None:
    for sample in samples:
        say(sample.words)
    if score is None or score.miou is None:
        return
    rows = [
        (name, "does not occur" if value is None else f"{value:.4f}")
        for name, value in score.iou.items()
    ]
    print_table(("class", "IoU"), rows, right=("IoU",), title=plural(frames, "frame"))
    for line in score.words:
        say(line)
    if card is not None:
        say()
        show_robustness(card)
